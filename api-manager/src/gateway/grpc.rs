//! gRPC over HTTP/2: calls pass like any others; only what we refuse ourselves is said in gRPC's own way.
//!
//! A client of gRPC looks for `grpc-status` on an answer of 200 and reads no body of ours: a refusal is an answer of
//! trailers alone, which HTTP/2 sends as headers that end the stream (gRPC over HTTP/2, "Responses").

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};

use super::bodies::Outgoing;
use super::refusal::Refusal;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const CONTENT: &[u8] = b"application/grpc";

/// Whether the request is a call of gRPC. gRPC-Web is plain HTTP to us: its clients read HTTP's statuses.
#[must_use]
pub fn is_call<B>(request: &Request<B>) -> bool {
    let content = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let (kind, rest) = content.split_at_checked(CONTENT.len()).unwrap_or_default();
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && kind.eq_ignore_ascii_case(CONTENT)
        && matches!(rest, [] | [b'+' | b';' | b' ', ..])
}

/// A refusal as a client of gRPC understands it; rides on the answer until that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    code: u8,
    message: String,
}

impl Status {
    /// Says the same as the refusal's body. The codes follow gRPC's "HTTP to gRPC Status Code Mapping", but for what a
    /// proxy knows better: a spent limit is `RESOURCE_EXHAUSTED`, and what came too late `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Self {
        let code = match refusal.status() {
            StatusCode::UNAUTHORIZED => 16,
            StatusCode::FORBIDDEN => 7,
            StatusCode::TOO_MANY_REQUESTS => 8,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => 12,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => 4,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => 14,
            status if status.is_client_error() || status.is_server_error() => 13,
            _ => 2,
        };
        let (number, _, description) = refusal.words();
        Self { code, message: format!("{number}: {description}") }
    }
}

/// Spells an answer that carries a [`Status`] as gRPC does; others stay as they are. Headers that tell a client when to
/// come back remain: they reach it as metadata.
#[must_use]
pub fn spell(mut response: Response<Outgoing>) -> Response<Outgoing> {
    let Some(status) = response.extensions_mut().remove::<Status>() else { return response };
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    for name in [CONTENT_LENGTH, CACHE_CONTROL, ALLOW, WWW_AUTHENTICATE] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from(u16::from(status.code)));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&status.message)) {
        headers.insert(MESSAGE, message);
    }
    response.map(|_| Outgoing::full(String::new()))
}

/// Printable ASCII but for the percent sign stays (gRPC over HTTP/2, "Status-Message").
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scheme::Schemes;
    use crate::gateway::path::BadPath;

    #[test]
    fn only_grpc_over_http2_is_a_call() {
        let is = |content: &str, version| {
            let request = Request::post("/").version(version).header(CONTENT_TYPE, content).body(());
            is_call(&request.unwrap())
        };
        for content in ["application/grpc", "Application/gRPC+proto", "application/grpc;x=y"] {
            assert!(is(content, Version::HTTP_2) && !is(content, Version::HTTP_11), "{content}");
        }
        for content in ["application/grpc-web", "application/grpcx", "application/json", "application/grp"] {
            assert!(!is(content, Version::HTTP_2), "{content}");
        }
    }

    #[test]
    fn every_refusal_has_the_code_that_its_cause_asks_for() {
        for (refusal, code) in [
            (Refusal::MissingCredentials(Schemes::default()), 16),
            (Refusal::NotSubscribed, 7),
            (Refusal::NotFound, 12),
            (Refusal::BackendUnreachable, 14),
            (Refusal::BackendTimeout, 4),
            (Refusal::Path(BadPath::TooLong), 13),
            (Refusal::Fault, 13),
        ] {
            assert_eq!(Status::of(&refusal).code, code, "{refusal:?}");
        }
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("100 % \u{fc}\n"), "100 %25 %C3%BC%0A");
    }
}
