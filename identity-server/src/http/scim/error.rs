//! Refusals in SCIM's form (RFC 7644, section 3.12).

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use shared_server::problem::Problem;
use utoipa::{IntoResponses, ToSchema};

use super::MEDIA;
use crate::flows::FlowError;

/// A refusal.
#[derive(Debug)]
pub(crate) struct ScimError {
    problem: Problem,
    kind: Option<&'static str>,
}

/// A refusal on the wire.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ScimErrorBody {
    schemas: [&'static str; 1],
    /// The status, as text.
    status: String,
    #[serde(rename = "scimType", skip_serializing_if = "Option::is_none")]
    scim_type: Option<&'static str>,
    detail: String,
}

impl ScimError {
    /// 400 with one of RFC 7644's words for it.
    pub(crate) fn bad_request(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { problem: Problem::bad_request(detail), kind: Some(kind) }
    }

    /// 404.
    pub(super) fn not_found(detail: &str) -> Self {
        Problem::not_found(detail).into()
    }

    /// 405.
    pub(super) fn method_not_allowed(methods: &'static str) -> Self {
        Problem::method_not_allowed(methods).into()
    }
}

impl From<Problem> for ScimError {
    fn from(problem: Problem) -> Self {
        Self { problem, kind: None }
    }
}

impl From<FlowError> for ScimError {
    fn from(error: FlowError) -> Self {
        let kind = match error {
            FlowError::NameTaken => Some("uniqueness"),
            FlowError::NameIsFixed => {
                return Self::bad_request(
                    "mutability",
                    "userName cannot be changed; it is the sub of issued tokens",
                );
            }
            _ => None,
        };
        Self { problem: error.into(), kind }
    }
}

impl std::fmt::Display for ScimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for ScimError {
    fn status_code(&self) -> StatusCode {
        self.problem.status()
    }

    fn error_response(&self) -> HttpResponse {
        let body = ScimErrorBody {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
            status: self.problem.status().as_u16().to_string(),
            scim_type: self.kind,
            detail: self.problem.detail().to_owned(),
        };
        // The problem's own answer knows the challenges and Retry-After.
        let mut answer = self.problem.error_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.set_body(actix_web::body::BoxBody::new(serde_json::to_string(&body).unwrap_or_default()))
    }
}

/// The refusals of SCIM.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what ScimError writes")]
pub(in crate::http) enum ScimRefusals {
    /// The request cannot be read, or a value is wrong; scimType says which.
    #[response(status = 400, content_type = "application/scim+json")]
    BadRequest(ScimErrorBody),
    /// No credentials, or wrong ones.
    #[response(status = 401, content_type = "application/scim+json")]
    Unauthorized(ScimErrorBody),
    /// The token lacks the scope.
    #[response(status = 403, content_type = "application/scim+json")]
    Forbidden(ScimErrorBody),
    /// No such user.
    #[response(status = 404, content_type = "application/scim+json")]
    NotFound(ScimErrorBody),
    /// The user name is taken, or was once.
    #[response(status = 409, content_type = "application/scim+json")]
    Conflict(ScimErrorBody),
    /// `If-Match` names another version.
    #[response(status = 412, content_type = "application/scim+json")]
    PreconditionFailed(ScimErrorBody),
    /// The body is too long.
    #[response(status = 413, content_type = "application/scim+json")]
    TooLong(ScimErrorBody),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/scim+json")]
    NotJson(ScimErrorBody),
    /// Busy; `Retry-After` says when to come back.
    #[response(status = 503, content_type = "application/scim+json")]
    Unavailable(ScimErrorBody),
}
