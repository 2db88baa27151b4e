//! Bodies that the shared extractors do not read: one that may be empty, and SCIM's.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest};
use serde_json::{Map, Value};
use shared_claims::jose::{Malformed, strict_object};
use shared_server::fields::{Fields, LONGEST_BODY, bounded_body};
use shared_server::problem::Problem;

/// A JSON object that may be left out altogether.
pub(crate) struct OptionalFields(pub Fields);

impl FromRequest for OptionalFields {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let mut payload = payload.take();
        Box::pin(async move {
            let body = bounded_body(&mut payload, LONGEST_BODY).await?;
            match (body.is_empty(), is_json) {
                (true, _) => Ok(Self(Fields::read(b"{}")?)),
                (false, true) => Ok(Self(Fields::read(&body)?)),
                (false, false) => Err(not_json()),
            }
        })
    }
}

/// A SCIM message: a JSON object whose names are read without regard to case (RFC 7643, section 2.1).
pub(crate) struct ScimBody(pub Map<String, Value>);

impl FromRequest for ScimBody {
    type Error = super::scim::ScimError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let mut payload = payload.take();
        Box::pin(async move {
            if !is_json {
                return Err(not_json().into());
            }
            let body = bounded_body(&mut payload, LONGEST_BODY).await?;
            strict_object(&body).map(Self).map_err(|malformed| {
                let detail = match malformed {
                    Malformed::DuplicateName => "the JSON body names a member twice",
                    _ => "the body must be one JSON object",
                };
                super::scim::ScimError::bad_request("invalidSyntax", detail)
            })
        })
    }
}

/// A form or text/plain is what a foreign page can send without asking (CSRF), so it is never read as JSON.
fn not_json() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
}

fn is_json(request: &HttpRequest) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}
