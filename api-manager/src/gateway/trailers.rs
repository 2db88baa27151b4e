//! Trailers on their way through, in both directions (RFC 9110, section 6.5).
//!
//! HTTP/2 carries all of them; HTTP/1.1 those that a `Trailer` header announces, on bodies sent in chunks.

use http::header::{self, HOST, HeaderMap, HeaderName, HeaderValue, TE};

use super::headers::{REQUEST_ID, remove_hop_by_hop, remove_misleading};

const NEVER: [HeaderName; 18] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::TRAILER,
    header::HOST,
    header::VIA,
    header::EXPECT,
    header::RANGE,
    header::MAX_FORWARDS,
    header::CACHE_CONTROL,
    header::AUTHORIZATION,
    header::WWW_AUTHENTICATE,
    header::COOKIE,
    header::SET_COOKIE,
    header::LOCATION,
    header::VARY,
    REQUEST_ID,
];

/// Whether the client takes trailers (RFC 9110, section 10.1.4).
#[must_use]
pub fn are_taken(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Makes a request's headers those of HTTP/2: the authority stands in the target, and `TE` may say one thing
/// (RFC 9113, section 8.2.2). gRPC's servers insist on it.
pub fn for_http2(headers: &mut HeaderMap, trailers: bool) {
    headers.remove(HOST);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Makes trailers harmless: none of them may speak for this hop, frame or route the message, authenticate anybody or
/// say how to read what came before (RFC 9110, section 6.5.1).
pub fn clean(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    for name in &NEVER {
        trailers.remove(name);
    }
}

/// As [`clean`], and without what a request's headers may not say either: a backend that merges trailers into
/// headers would take it from there.
pub fn clean_request(trailers: &mut HeaderMap) {
    clean(trailers);
    remove_misleading(trailers);
}
