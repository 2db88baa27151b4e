//! `Server-Timing` (W3C) for callers who ask for it: where the time went, and nothing else.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// `X-Server-Timing: 1` asks.
const WANTED: HeaderName = HeaderName::from_static("x-server-timing");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Whether the caller asks for it.
#[must_use]
pub fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(WANTED).is_some_and(|value| value == "1")
}

/// Tells the gateway's own time and the backend's, where it was asked, until the heads of their answers. What the backend
/// tells of its own stays.
pub fn tell(headers: &mut HeaderMap, whole: Duration, backend: Option<Duration>) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let own = milliseconds(whole.saturating_sub(backend.unwrap_or_default()));
    let mut text = format!("gateway;dur={own:.3}");
    if let Some(backend) = backend {
        text.push_str(&format!(", backend;dur={:.3}", milliseconds(backend)));
    }
    if let Ok(text) = HeaderValue::try_from(text) {
        headers.append(SERVER_TIMING, text);
    }
}
