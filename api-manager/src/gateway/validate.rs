//! Requests judged by the API's OpenAPI document before they go to its backend.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::Body;
use shared_claims::field_error::FieldError;
use tokio::time::timeout;

use super::contracts::Breach;
use super::inbound::Inbound;
use super::path::decoded;
use super::refusal::Refusal;
use super::routes::Route;
use crate::domain::api::Operation;
use crate::domain::openapi::request::{BodyIs, Head, body_faults};

/// The longest body that is judged.
const LONGEST: usize = 1024 * 1024;
/// How long a whole body may take.
const SLOWEST: Duration = Duration::from_secs(60);

/// Judges the request; the body, where it had to be read for that, goes to the backend as it came. `count` is told its bytes.
///
/// # Errors
/// [`Breach`], with everything that is wrong; or the body did not come.
pub async fn judge(
    route: &Route,
    (operation, rest): (&Operation, &str),
    request: &mut Request<Inbound>,
    pause: Duration,
    count: &mut u64,
) -> Result<Option<Bytes>, Refusal> {
    let contract = route.contract.as_ref().ok_or(Refusal::Fault)?;
    let (Some(judge), Some(rules)) = (contract.judge(), contract.rules(operation, request.method().as_str()))
    else {
        return Ok(None);
    };
    let mut faults =
        head_faults(request.headers(), request.uri().query(), rest, |head| rules.faults(judge, head));
    let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut body = None;
    match rules.body(media, request.body().is_end_stream()) {
        BodyIs::Free => {}
        BodyIs::Foreign => return Err(Refusal::Contract(Breach::MediaType)),
        BodyIs::Missing => faults.push(FieldError::new("/body", "is required")),
        BodyIs::Json(pointer) => {
            let bytes = timeout(SLOWEST, read(request.body_mut(), pause, count)).await;
            let bytes = bytes.map_err(|_| Refusal::UploadTimeout)??;
            faults.extend(body_faults(judge, &pointer, &bytes));
            body = Some(bytes);
        }
    }
    if faults.is_empty() { Ok(body) } else { Err(Refusal::Contract(Breach::Invalid(faults))) }
}

fn head_faults(
    headers: &HeaderMap,
    query: Option<&str>,
    rest: &str,
    faults: impl Fn(&Head<'_>) -> Vec<FieldError>,
) -> Vec<FieldError> {
    let segments: Vec<String> = rest.split('/').map(|segment| decoded(segment).into_owned()).collect();
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let header = |name: &str| {
        let texts: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    };
    faults(&Head { segments: &segments, query: &query, header: &header })
}

async fn read(body: &mut Inbound, pause: Duration, count: &mut u64) -> Result<Bytes, Refusal> {
    let too_long = || Refusal::Contract(Breach::TooLarge);
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_long());
    }
    let mut read = BytesMut::new();
    while let Some(frame) = timeout(pause, body.frame()).await.map_err(|_| Refusal::UploadTimeout)? {
        let frame = frame.map_err(|_| Refusal::UploadBroken)?;
        let Some(data) = frame.data_ref() else { continue };
        *count += data.len() as u64;
        if read.len() + data.len() > LONGEST {
            return Err(too_long());
        }
        read.extend_from_slice(data);
    }
    Ok(read.freeze())
}
