//! Errors of everything that is not an OAuth endpoint: `application/problem+json` (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use shared_claims::field_error::FieldError;

use crate::database::StorageError;

/// A refusal that says what is wrong and, for bad fields, names every one of them at once.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    challenges: Vec<String>,
    allow: Option<&'static str>,
    retry_after: Option<u32>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of any status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            challenges: Vec::new(),
            allow: None,
            retry_after: None,
        }
    }

    /// 422: the named fields are wrong. All of them, in one answer.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.detail),
            many => format!("{} fields are wrong; see errors", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 400: the request cannot be read at all.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, with a challenge for each scheme that would do (RFC 9110, section 15.5.2).
    pub fn unauthorized(detail: impl Into<String>, challenges: Vec<String>) -> Self {
        Self { challenges, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 403: known, and not allowed. With a challenge where a wider token would do (RFC 6750, section 3.1).
    pub fn forbidden(detail: impl Into<String>, challenge: Option<String>) -> Self {
        Self { challenges: challenge.into_iter().collect(), ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405, naming the methods that there are.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this resource answers {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// 409: it exists already, or its state forbids the change.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: `If-Match` names another version than the present one.
    #[must_use]
    pub fn precondition_failed() -> Self {
        let detail = "the resource has changed since you read it; read it again and repeat the change";
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 503 with `Retry-After` in seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 500: our fault. The cause is logged here and stays out of the answer.
    pub fn fault(cause: &dyn std::fmt::Display) -> Self {
        log::error!(cause = cause.to_string().as_str(); "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log has the cause")
    }

    /// The status that will be sent.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, as the answer says it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The bad fields, where that is what is wrong.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}

impl From<StorageError> for Problem {
    /// For an edge that expects neither a duplicate nor a row in use; those that do, match first.
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Duplicate => Self::conflict("it exists already"),
            StorageError::InUse => {
                Self::conflict("something else still uses it, or what it refers to is gone")
            }
            StorageError::Busy => Self::unavailable("the server is busy; try again in a moment", 1),
            StorageError::Unavailable(cause) => {
                log::error!(cause = cause.as_str(); "the database cannot be reached");
                Self::unavailable("the database cannot be reached; try again in a moment", 2)
            }
            StorageError::Fault(cause) => Self::fault(&cause),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header((header::CACHE_CONTROL, "no-store"));
        for challenge in self.challenges.iter().filter_map(|c| HeaderValue::from_str(c).ok()) {
            answer.append_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(allow) = self.allow {
            answer.insert_header((header::ALLOW, allow));
        }
        if let Some(seconds) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        answer.content_type("application/problem+json").body(serde_json::to_string(&body).unwrap_or_default())
    }
}
