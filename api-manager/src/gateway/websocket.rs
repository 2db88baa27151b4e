//! WebSocket handshakes (RFC 6455, section 4): which requests are one, and what each side sees of it.

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::body::Body;

use super::headers::strip;
use super::refusal::Refusal;

/// The one version that there is (RFC 6455, section 4.1); the gateway has to know where its frames end.
pub const VERSION: HeaderValue = HeaderValue::from_static("13");
/// Sixteen bytes in base64.
const KEY_LENGTH: usize = 24;
/// Whether the request asks for a WebSocket. A request that asks in another way, with another method or for another
/// protocol is one like any other: a server may ignore `Upgrade`, and must with HTTP/1.0 (RFC 9110, section 7.8).
///
/// # Errors
/// It asks, but not in a way that can be answered with 101.
pub fn is_handshake<B: Body>(request: &Request<B>) -> Result<bool, Refusal> {
    let headers = request.headers();
    let asks = request.version() == Version::HTTP_11
        && *request.method() == Method::GET
        && lists(headers, &CONNECTION, "upgrade")
        && lists(headers, &UPGRADE, "websocket");
    if !asks {
        return Ok(false);
    }
    if !request.body().is_end_stream() {
        // The backend could take these bytes for the first frames.
        return Err(Refusal::Malformed("a WebSocket handshake has no body"));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(Refusal::WebSocketVersion);
    }
    let is_key = |key: &HeaderValue| key.len() == KEY_LENGTH && key.as_bytes().ends_with(b"==");
    if !only(headers, &SEC_WEBSOCKET_KEY).is_some_and(is_key) {
        return Err(Refusal::Malformed("Sec-WebSocket-Key is not one key of sixteen bytes in base64"));
    }
    Ok(true)
}

/// Whether the backend's 101 is about a WebSocket.
#[must_use]
pub fn is_accepted(headers: &HeaderMap) -> bool {
    lists(headers, &UPGRADE, "websocket") && headers.contains_key(SEC_WEBSOCKET_ACCEPT)
}

/// Puts back what was taken out with all that is meant for one hop only.
pub fn upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Takes half a handshake out of a request that is none.
pub fn no_upgrade(headers: &mut HeaderMap) {
    strip(headers, is_part);
}

/// Whether a header is part of a handshake.
#[must_use]
pub fn is_part(name: &str) -> bool {
    let rest = name.strip_prefix("sec-websocket-");
    matches!(rest, Some("accept" | "extensions" | "key" | "protocol" | "version"))
}

fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut words = headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    words.any(|given| given.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut given = headers.get_all(name).iter();
    given.next().filter(|_| given.next().is_none())
}
