//! Answers in the place of a backend that does not exist yet, from the examples of the API's OpenAPI document.

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::bodies::Outgoing;
use super::contracts::Breach;
use super::headers::REQUEST_ID;
use super::refusal::Refusal;
use super::routes::Route;
use crate::domain::api::Operation;
use crate::domain::openapi::contract::{Preference, Unanswerable};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The most media ranges of `Accept` that are looked at.
const MOST_RANGES: usize = 50;

/// The answer to an admitted request.
///
/// # Errors
/// [`Breach`]: there is no example, or none that the client takes.
pub fn answer(
    route: &Route,
    (operation, method): (&Operation, &Method),
    headers: &HeaderMap,
    request_id: &HeaderValue,
) -> Result<Response<Outgoing>, Refusal> {
    let described = route.contract.as_ref().and_then(|contract| contract.find(operation, method.as_str()));
    let described = described.ok_or(Refusal::Contract(Breach::NoExample))?;
    let preference = preference(headers);
    let (status, body) = described.answer(&preference).map_err(|why| {
        Refusal::Contract(match why {
            Unanswerable::NoExample => Breach::NoExample,
            Unanswerable::NotAcceptable => Breach::NotAcceptable,
        })
    })?;
    let mut response = Response::new(Outgoing::full(body.map_or_else(String::new, |body| body.text.clone())));
    // Nothing comes after an answer of the ones, and a client would wait for it.
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    *response.status_mut() = status.ok_or(Refusal::Contract(Breach::NoExample))?;
    let told = response.headers_mut();
    told.insert(REQUEST_ID, request_id.clone());
    told.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(media) = body.and_then(|body| HeaderValue::try_from(&body.media).ok()) {
        told.insert(CONTENT_TYPE, media);
    }
    let applied = preference.status.and_then(|status| HeaderValue::try_from(format!("status={status}")).ok());
    if let Some(applied) = applied {
        told.insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

fn preference(headers: &HeaderMap) -> Preference {
    let mut preference = Preference::default();
    for word in words(headers, &PREFER) {
        let Some((name, value)) = word.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim() {
            "status" | "code" => {
                preference.status = value.parse().ok().filter(|status| (200..600).contains(status))
            }
            "example" => preference.example = Some(value.to_owned()),
            _ => {}
        }
    }
    for range in words(headers, &ACCEPT).take(MOST_RANGES) {
        let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let weight = weight.map_or(1.0, |text| text.trim().parse().unwrap_or(0.0));
        preference.accept.push((media.trim().to_owned(), weight));
    }
    preference
}

fn words<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
}
