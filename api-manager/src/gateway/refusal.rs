//! What the gateway says when a request goes no further: status, code, fixed words, and the challenge of RFC 6750.
//!
//! Codes and words are those of the original's version 4. Causes go to the log; bodies never name a backend.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use shared_claims::scope::ScopeSet;

use super::bodies::Outgoing;
use super::challenge;
use super::contracts::Breach;
use super::limits::Throttled;
use super::path::BadPath;
use super::upstream::NoBackend;
use super::websocket;
use crate::domain::api_key::NotFromHere;
use crate::domain::application::KeyType;
use crate::domain::ids::DenyRuleId;
use crate::domain::scheme::Schemes;

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request breaks HTTP's rules.
    #[error("{0}")]
    Malformed(&'static str),
    /// The path could be read in two ways.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// Only `100-continue` can be expected (RFC 9110, section 10.1.1).
    #[error("an expectation other than 100-continue")]
    Expectation,
    /// A WebSocket of another version than ours (RFC 6455, section 4.4).
    #[error("a WebSocket version other than 13")]
    WebSocketVersion,
    /// No API or no operation answers here.
    #[error("nothing answers at this path")]
    NotFound,
    /// The path is declared with other methods, in the form of an `Allow` header.
    #[error("the method is not declared")]
    MethodNotAllowed(String),
    /// The publisher has stopped the API.
    #[error("the API is blocked")]
    ApiBlocked,
    /// A deny rule keeps this address away, or everybody from this API.
    #[error("the deny rule {0}")]
    PlaceDenied(DenyRuleId),
    /// A deny rule keeps this caller away.
    #[error("the deny rule {0}")]
    CallerDenied(DenyRuleId),
    /// There is nothing of what the API takes.
    #[error("no credentials")]
    MissingCredentials(Schemes),
    /// There is more than one kind of credentials.
    #[error("more than one kind of credentials")]
    SeveralCredentials,
    /// What came is not in the form of a token of ours.
    #[error("the token is malformed")]
    MalformedToken,
    /// No such token was ever issued, or it is long gone.
    #[error("the token is unknown")]
    UnknownToken,
    /// The token was revoked.
    #[error("the token is revoked")]
    RevokedToken,
    /// The token's time is over.
    #[error("the token has expired")]
    ExpiredToken,
    /// The key is good, but not for calls from there.
    #[error("the key is not for calls from there")]
    NotFromHere(NotFromHere),
    /// The identity provider behind the token is not trusted now.
    #[error("the identity provider is disabled or gone")]
    ProviderDisabled,
    /// The operation asks for a token without a person behind it.
    #[error("the operation takes application tokens only")]
    TokenType,
    /// The application's subscription is blocked.
    #[error("the subscription is blocked")]
    SubscriptionBlocked,
    /// The application has not subscribed to this API.
    #[error("the application has no subscription")]
    NotSubscribed,
    /// The token has none of the scopes that the operation asks for.
    #[error("the token lacks the scope")]
    ScopeMissing(ScopeSet),
    /// The API has no backend for keys of this type.
    #[error("no endpoint for this type of key")]
    NoEndpoint(KeyType),
    /// A limit is spent.
    #[error("{}", .0.reason())]
    Throttled(Throttled),
    /// The API's OpenAPI document has nothing for this request.
    #[error("{}", .0.reason())]
    Contract(Breach),
    /// What the token stands for cannot be read now.
    #[error("the token cannot be looked up now")]
    CannotLookUp,
    /// The client stopped sending its body.
    #[error("the request body did not come in time")]
    UploadTimeout,
    /// The client's body broke off or is not well-formed.
    #[error("the request body broke off")]
    UploadBroken,
    /// None of the API's backends takes the request.
    #[error("{}", .0.reason())]
    NoBackend(NoBackend),
    /// There is no connection to the backend.
    #[error("the backend cannot be reached")]
    BackendUnreachable,
    /// The backend broke off, or does not speak HTTP.
    #[error("the backend's answer is broken")]
    BackendBroken,
    /// The backend did not take the connection, or did not answer, in time.
    #[error("the backend did not answer in time")]
    BackendTimeout,
    /// The request has come through here too often.
    #[error("the request goes in circles")]
    Loop,
    /// We failed.
    #[error("an internal fault")]
    Fault,
}

const INVALID: &str = "Invalid Credentials";
const INVALID_DESCRIPTION: &str =
    "Invalid Credentials. Make sure you have provided the correct security credentials";
const REALM: &str = "Bearer realm=\"Countersign\"";

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Path(BadPath::TooLong) => StatusCode::URI_TOO_LONG,
            Self::Malformed(_) | Self::Path(_) | Self::UploadBroken | Self::SeveralCredentials => {
                StatusCode::BAD_REQUEST
            }
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ApiBlocked | Self::CannotLookUp | Self::NoBackend(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::MissingCredentials(_)
            | Self::MalformedToken
            | Self::UnknownToken
            | Self::RevokedToken
            | Self::ExpiredToken
            | Self::ProviderDisabled
            | Self::TokenType
            | Self::SubscriptionBlocked => StatusCode::UNAUTHORIZED,
            Self::NotSubscribed
            | Self::ScopeMissing(_)
            | Self::NoEndpoint(_)
            | Self::PlaceDenied(_)
            | Self::CallerDenied(_)
            | Self::NotFromHere(_) => StatusCode::FORBIDDEN,
            Self::Throttled(throttled) => throttled.status(),
            Self::Contract(breach) => breach.status(),
            Self::UploadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BackendUnreachable | Self::BackendBroken => StatusCode::BAD_GATEWAY,
            Self::BackendTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_request",
            Self::Path(_) => "bad_path",
            Self::Expectation => "expectation",
            Self::WebSocketVersion => "websocket_version",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::ApiBlocked => "api_blocked",
            Self::PlaceDenied(_) => "place_denied",
            Self::CallerDenied(_) => "caller_denied",
            Self::MissingCredentials(_) => "missing_credentials",
            Self::SeveralCredentials => "several_credentials",
            Self::NotFromHere(NotFromHere::Address) => "address_not_allowed",
            Self::NotFromHere(NotFromHere::Referer) => "referer_not_allowed",
            Self::MalformedToken => "malformed_token",
            Self::UnknownToken => "unknown_token",
            Self::RevokedToken => "revoked_token",
            Self::ExpiredToken => "expired_token",
            Self::ProviderDisabled => "provider_disabled",
            Self::TokenType => "token_type",
            Self::SubscriptionBlocked => "subscription_blocked",
            Self::NotSubscribed => "not_subscribed",
            Self::ScopeMissing(_) => "scope_missing",
            Self::NoEndpoint(_) => "no_endpoint",
            Self::Throttled(throttled) => throttled.reason(),
            Self::Contract(breach) => breach.reason(),
            Self::CannotLookUp => "cannot_look_up",
            Self::UploadTimeout => "upload_timeout",
            Self::UploadBroken => "upload_broken",
            Self::NoBackend(why) => why.reason(),
            Self::BackendUnreachable => "backend_unreachable",
            Self::BackendBroken => "backend_broken",
            Self::BackendTimeout => "backend_timeout",
            Self::Loop => "loop",
            Self::Fault => "fault",
        }
    }

    /// Code, message and description of the body.
    pub(super) fn words(&self) -> (&'static str, &'static str, String) {
        let (code, message, description) = match self {
            Self::Path(BadPath::TooLong) => ("414", "URI Too Long", "The request target is too long."),
            Self::Malformed(_) | Self::Path(_) => {
                return ("400", "Bad Request", capitalised(&self.to_string()));
            }
            Self::UploadBroken => ("400", "Bad Request", "The request body broke off or is not well-formed."),
            Self::Expectation => ("417", "Expectation Failed", "Only 100-continue can be expected."),
            Self::WebSocketVersion => ("426", "Upgrade Required", "WebSockets are of version 13 here."),
            Self::NotFound => ("404", "Not Found", "The requested resource is not available."),
            Self::MethodNotAllowed(_) => {
                ("405", "Method Not Allowed", "Method not allowed for given API resource")
            }
            Self::ApiBlocked => (
                "700700",
                "API blocked",
                "This API has been blocked temporarily. Please try again later or contact the system administrators.",
            ),
            Self::PlaceDenied(_) | Self::CallerDenied(_) => {
                ("900805", "Message blocked", "You have been blocked from accessing the resource")
            }
            Self::MissingCredentials(schemes) => {
                let wanted = challenge::wanted(*schemes);
                let description =
                    format!("Invalid Credentials. Make sure your API invocation call has {wanted}");
                return ("900902", "Missing Credentials", description);
            }
            Self::SeveralCredentials => (
                "400",
                "Bad Request",
                "The request shows more than one kind of credentials. Send exactly one of them.",
            ),
            // Which addresses and pages the key is for is its owner's secret.
            Self::NotFromHere(_) => {
                ("900908", "Resource forbidden", "Access forbidden for the invocations with this key")
            }
            Self::MalformedToken
            | Self::UnknownToken
            | Self::RevokedToken
            | Self::ExpiredToken
            | Self::ProviderDisabled => ("900901", INVALID, INVALID_DESCRIPTION),
            Self::TokenType => (
                "900905",
                "Incorrect Access Token Type is provided",
                "The access token type used is not supported when invoking the API",
            ),
            Self::SubscriptionBlocked => (
                "900907",
                "The requested API is temporarily blocked",
                "The application's subscription to this API is blocked",
            ),
            Self::NotSubscribed => (
                "900908",
                "Resource forbidden",
                "User is NOT authorized to access the Resource. API Subscription validation failed.",
            ),
            Self::ScopeMissing(_) => (
                "900910",
                "The access token does not allow you to access the requested resource",
                "User is NOT authorized to access the Resource. Scope validation failed.",
            ),
            Self::NoEndpoint(KeyType::Sandbox) => {
                ("900901", INVALID, "The sandbox key was used on an API with no sandbox endpoint")
            }
            Self::NoEndpoint(KeyType::Production) => {
                ("900901", INVALID, "The production key was used on an API with no production endpoint")
            }
            Self::Throttled(throttled) => return throttled.words(),
            Self::Contract(breach) => return breach.words(),
            Self::CannotLookUp => (
                "900900",
                "Unclassified Authentication Failure",
                "The access token cannot be checked at the moment. Please try again.",
            ),
            Self::UploadTimeout => ("408", "Request Timeout", "The request body did not come in time."),
            Self::NoBackend(why) => why.words(),
            Self::BackendUnreachable => {
                ("101503", "Connection failed", "There is no connection to the backend of this API.")
            }
            Self::BackendBroken => (
                "101500",
                "Broken answer",
                "The backend of this API broke off or gave an answer that is not HTTP.",
            ),
            Self::BackendTimeout => {
                ("101504", "Connection timed out", "The backend of this API did not answer in time.")
            }
            Self::Loop => ("508", "Loop Detected", "The request has come through this gateway too often."),
            Self::Fault => (
                "900967",
                "Internal Server Error",
                "The gateway failed. The request ID finds the cause in its log.",
            ),
        };
        (code, message, description.to_owned())
    }

    /// `WWW-Authenticate` (RFC 6750, section 3). Without credentials there is no error to name; where a subscription or
    /// an endpoint is missing, no other token would help, and `insufficient_scope` would say that one does.
    fn challenge(&self) -> Option<String> {
        match self {
            Self::ScopeMissing(scopes) => Some(format!(
                "{REALM}, error=\"insufficient_scope\", error_description=\"the token has none of the scopes\", \
                 scope=\"{scopes}\""
            )),
            Self::MissingCredentials(_) => Some(REALM.to_owned()),
            _ if self.status() == StatusCode::UNAUTHORIZED => {
                let description = match self {
                    Self::TokenType => "the operation takes application tokens only",
                    Self::SubscriptionBlocked => "the subscription is blocked",
                    // Which of the causes it was is not the caller's business; the log has it.
                    _ => "the token is invalid, expired or revoked",
                };
                Some(format!("{REALM}, error=\"invalid_token\", error_description=\"{description}\""))
            }
            _ if self.status() == StatusCode::FORBIDDEN => Some(REALM.to_owned()),
            _ => None,
        }
    }

    /// The answer, without the headers that every answer has.
    #[must_use]
    pub fn response(&self) -> Response<Outgoing> {
        let (code, message, description) = self.words();
        let mut body = serde_json::json!({ "code": code, "message": message, "description": description });
        if let (Self::Throttled(throttled), Some(body)) = (self, body.as_object_mut()) {
            body.insert("nextAccessTime".to_owned(), throttled.next_access_time().into());
        }
        let mut response = Response::new(Outgoing::full(body.to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge().and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if matches!(self, Self::CannotLookUp | Self::NoBackend(_)) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Self::Throttled(throttled) = self {
            throttled.tell(headers);
        }
        if *self == Self::WebSocketVersion {
            websocket::upgrade(headers);
            headers.insert(SEC_WEBSOCKET_VERSION, websocket::VERSION);
        }
        if let Self::MethodNotAllowed(allow) = self
            && let Ok(allow) = HeaderValue::try_from(allow)
        {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).chain(['.']).collect()
}

#[cfg(test)]
mod tests;
