//! What all resources of the management REST share: answers with a version, ids in paths, descriptions in bodies.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::ready;
use futures_util::stream::once;
use serde::Serialize;
use serde_json::Value;
use shared_server::etag::etag;
use shared_server::fields::{Fields, LONGEST_BODY, bounded_body};
use shared_server::problem::Problem;

/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 4_000;

/// 201, with the place of what was made.
pub(super) fn created(location: &str, revision: i64, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .insert_header((header::ETAG, etag(revision)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}

/// 200, with the version of what is shown.
pub(super) fn shown(revision: i64, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ETAG, etag(revision)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}

/// 200, for a list.
pub(super) fn listed(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// 204.
pub(super) fn gone() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// What a path's id names; text that is no id names nothing.
///
/// # Errors
/// 404.
pub(super) fn named<T>(id: Option<T>, kind: &str) -> Result<T, Problem> {
    id.ok_or_else(|| Problem::not_found(format!("there is no such {kind}")))
}

/// An optional text for people that may be empty and may hold line breaks.
pub(super) fn description(fields: &mut Fields) -> String {
    match fields.value("description") {
        None => return String::new(),
        Some(Value::String(text)) if text.chars().count() > LONGEST_DESCRIPTION => {
            let detail = format!("is too long; at most {LONGEST_DESCRIPTION} characters are accepted");
            fields.blame("description", detail);
        }
        Some(Value::String(text))
            if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) =>
        {
            fields.blame("description", "must not hold control characters");
        }
        Some(Value::String(text)) => return text,
        Some(_) => fields.blame("description", "must be a string"),
    }
    String::new()
}

/// A required name.
pub(super) fn name(fields: &mut Fields) -> String {
    let name = fields.required_text("name", crate::domain::name::LONGEST);
    if let Err(fault) = crate::domain::name::check(&name) {
        fields.blame("name", fault);
    }
    name
}

/// A required id of another resource.
pub(super) fn reference<T>(
    fields: &mut Fields,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = fields.required_text(name, 36);
    let id = parse(&text);
    if id.is_none() && !text.is_empty() {
        fields.blame(name, "must be an id: a UUID in lower case with hyphens");
    }
    id
}

/// What `finish` has just vouched for.
///
/// # Errors
/// A fault of ours: a reader forgot to blame a field that it could not read.
pub(super) fn sure<T>(value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::fault(&"a field without a value was not reported"))
}

/// A JSON body that may be left out altogether; one that is there must be readable.
#[derive(Debug)]
pub(super) struct OptionalFields(pub(super) Option<Fields>);

impl FromRequest for OptionalFields {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = bounded_body(&mut payload, LONGEST_BODY).await?;
            if body.is_empty() {
                return Ok(Self(None));
            }
            let mut again: Payload = Payload::Stream { payload: Box::pin(once(ready(Ok(body.into())))) };
            Fields::from_request(&request, &mut again).await.map(|fields| Self(Some(fields)))
        })
    }
}
