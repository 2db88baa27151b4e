//! The edge of OAuth endpoints: the form with its client credentials in, RFC 6749 errors out.

use std::borrow::Cow;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use shared_claims::credentials::{Basic, Pair};
use shared_claims::oauth::{ErrorAnswer, ErrorCode, Form};
use shared_claims::secret::Secret;

use crate::database::StorageError;
use crate::fields::bounded_body;

/// The longest form that is read, in bytes.
pub const LONGEST_FORM: usize = 64 * 1024;
/// The longest form with a token to ask about or to call back: whatever a caller found is answered, not refused.
pub const LONGEST_TOKEN_FORM: usize = 2 * 1024 * 1024;

/// The longest form that is read at `path`, in bytes.
#[must_use]
pub fn longest_form(path: &str) -> usize {
    if path.ends_with("/introspect") || path.ends_with("/revoke") { LONGEST_TOKEN_FORM } else { LONGEST_FORM }
}

/// An error of an OAuth endpoint. The description is fixed text, or text made fit by `printable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    /// `error`.
    pub code: ErrorCode,
    /// `error_description`.
    pub description: Cow<'static, str>,
    status: StatusCode,
    allow: Option<&'static str>,
}

impl OAuthError {
    /// An error with the status that RFC 6749 section 5.2 (and, for 503, RFC 9110) gives its code.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        let status = match code {
            ErrorCode::InvalidClient | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
            ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::InvalidRequest
            | ErrorCode::InvalidGrant
            | ErrorCode::UnauthorizedClient
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::InvalidScope => StatusCode::BAD_REQUEST,
        };
        Self { code, description: description.into(), status, allow: None }
    }

    /// `invalid_request`, 400.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_client`, 401: one text for an unknown client and a wrong secret.
    #[must_use]
    pub fn invalid_client() -> Self {
        Self::new(ErrorCode::InvalidClient, "Client credentials are invalid.")
    }

    /// 405 with `Allow`: a token endpoint answers POST only.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let error = Self::invalid_request("This endpoint answers POST with a form-urlencoded body.");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(allow), ..error }
    }

    /// 500; the cause is logged here and stays out of the answer.
    pub fn fault(cause: &dyn std::fmt::Display) -> Self {
        log::error!(cause = cause.to_string().as_str(); "a request failed");
        Self::new(ErrorCode::ServerError, "The server failed.")
    }

    /// 503 with `Retry-After`.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(
            ErrorCode::TemporarilyUnavailable,
            "The server is busy or its database is away; try again shortly.",
        )
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl From<StorageError> for OAuthError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy => Self::unavailable(),
            StorageError::Unavailable(cause) => {
                log::error!(cause = cause.as_str(); "the database cannot be reached");
                Self::unavailable()
            }
            StorageError::Duplicate | StorageError::InUse | StorageError::Fault(_) => Self::fault(&error),
        }
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = if self.code == ErrorCode::InvalidToken { "Bearer" } else { "Basic" };
            let challenge = match scheme {
                "Bearer" => format!("Bearer realm=\"Countersign\", error=\"{}\"", self.code.as_str()),
                _ => "Basic realm=\"Countersign\", charset=\"UTF-8\"".to_owned(),
            };
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((header::RETRY_AFTER, "1"));
        }
        if let Some(allow) = self.allow {
            answer.insert_header((header::ALLOW, allow));
        }
        let body = ErrorAnswer {
            error: Cow::Borrowed(self.code.as_str()),
            error_description: self.description.clone(),
        };
        json(&mut answer, &body)
    }
}

/// An answer that must not be stored (RFC 6749, section 5.1).
pub fn no_store(body: &impl Serialize) -> HttpResponse {
    json(&mut HttpResponse::Ok(), body)
}

fn json(answer: &mut HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    answer
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(body)
}

/// How the caller of an OAuth endpoint said who it is.
#[derive(Clone, Debug)]
pub enum PresentedClient {
    /// `Authorization: Basic`.
    Basic(Basic),
    /// `client_id` and `client_secret` in the body.
    Body(Pair),
    /// Only `client_id` in the body.
    Named(String),
    /// `Authorization: Bearer`, which introspection and REST accept.
    Bearer(Secret),
    /// Not at all.
    Absent,
}

/// A request to an OAuth endpoint, taken apart once: the form and the client's credentials.
#[derive(Debug)]
pub struct OAuthRequest {
    /// The form, without repetition.
    pub form: Form,
    /// Who calls.
    pub client: PresentedClient,
}

impl OAuthRequest {
    /// A parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request` that names it.
    pub fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.form.get(name).ok_or_else(|| OAuthError::invalid_request(format!("Missing parameters: {name}.")))
    }
}

impl FromRequest for OAuthRequest {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_head(request);
        let longest = longest_form(request.path());
        let mut payload = payload.take();
        Box::pin(async move {
            let authorization = checked?;
            let body = bounded_body(&mut payload, longest).await.map_err(|problem| {
                let error = OAuthError::invalid_request(
                    "The request body is too long or broke off; at most 64 KiB are read.",
                );
                error.with_status(problem.status())
            })?;
            let form = Form::parse(&body).map_err(|e| OAuthError::invalid_request(e.to_string()))?;
            let client = presented_client(authorization, &form)?;
            Ok(Self { form, client })
        })
    }
}

enum Authorization {
    Basic(Basic),
    Bearer(Secret),
    Absent,
}

/// What can be refused before the body is read.
fn check_head(request: &HttpRequest) -> Result<Authorization, OAuthError> {
    // Parameters in a URL end up in logs, histories and Referer headers (RFC 6749, section 2.3.1).
    const SENSITIVE: [&str; 8] = [
        "client_secret",
        "password",
        "assertion",
        "token",
        "access_token",
        "refresh_token",
        "code",
        "client_assertion",
    ];
    let names = request.query_string().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    for name in names {
        let name = Form::parse(name.as_bytes()).ok();
        if name.is_some_and(|form| form.names().any(|n| SENSITIVE.contains(&n))) {
            return Err(OAuthError::invalid_request("Invalid request with sensitive data in the URL."));
        }
    }

    let authorization = authorization(request.headers())?;
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let description = "Send the parameters as application/x-www-form-urlencoded in the body.";
        return Err(OAuthError::invalid_request(description));
    }
    let charset = content_type
        .split(';')
        .skip(1)
        .find_map(|p| p.trim().to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
    if charset.is_some_and(|c| !matches!(c.trim_matches('"'), "utf-8" | "utf8" | "us-ascii")) {
        return Err(OAuthError::invalid_request("The charset of the form must be UTF-8."));
    }
    Ok(authorization)
}

fn authorization(headers: &HeaderMap) -> Result<Authorization, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(Authorization::Absent) };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("The request has more than one Authorization header."));
    }
    let text = value.to_str().map_err(|_| OAuthError::invalid_client())?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Basic::parse(rest).map(Authorization::Basic).map_err(|_| OAuthError::invalid_client());
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Authorization::Bearer(Secret::new(rest.trim())));
    }
    Err(OAuthError::invalid_client())
}

/// RFC 6749, section 2.3: one authentication method a request.
fn presented_client(authorization: Authorization, form: &Form) -> Result<PresentedClient, OAuthError> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    match (authorization, id, secret) {
        (Authorization::Basic(_) | Authorization::Bearer(_), _, Some(_)) => {
            Err(OAuthError::invalid_request("Request body and headers contain authorization information"))
        }
        (Authorization::Basic(basic), Some(id), None) => {
            // Repeating the identifier is common and harmless; contradicting it is not.
            if basic.readings().iter().any(|pair| pair.name == id) {
                Ok(PresentedClient::Basic(basic))
            } else {
                Err(OAuthError::invalid_request(
                    "client_id in the body differs from the Authorization header.",
                ))
            }
        }
        (Authorization::Basic(basic), None, None) => Ok(PresentedClient::Basic(basic)),
        (Authorization::Bearer(token), _, None) => Ok(PresentedClient::Bearer(token)),
        (Authorization::Absent, Some(id), Some(secret)) => {
            Ok(PresentedClient::Body(Pair { name: id.to_owned(), secret: Secret::new(secret) }))
        }
        (Authorization::Absent, Some(id), None) => Ok(PresentedClient::Named(id.to_owned())),
        (Authorization::Absent, None, Some(_)) => {
            Err(OAuthError::invalid_request("Missing parameters: client_id."))
        }
        (Authorization::Absent, None, None) => Ok(PresentedClient::Absent),
    }
}

#[cfg(test)]
mod tests;
