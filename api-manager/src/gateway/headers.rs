//! What each side gets to see of the other's headers (RFC 9110, sections 7.6 and 10; RFC 7239).

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, VIA,
};
use http::{Request, Version};
use shared_claims::random;
use uuid::fmt::Hyphenated;

use super::refusal::Refusal;

/// The header by which a request is found again.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What we say of the caller to the backend.
pub const ASSERTION: HeaderName = HeaderName::from_static(crate::domain::api::transform::ASSERTION);

/// Whether it is meant for the next hop only, as are the credentials that were meant for us.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
    )
}

/// Whether it would tell a backend of us, of the caller or of the path in our name.
pub(super) fn is_misleading(name: &str) -> bool {
    match name {
        // Some frameworks take the path from these instead of the request line: what we matched would not be what they serve.
        "x-original-url" | "x-rewrite-url" => true,
        "apikey" | "forwarded" | "x-real-ip" => true,
        // CGI-style backends cannot tell `x_y` from `x-y`, so the first would pass for the second (D19).
        name => name == ASSERTION.as_str() || name.starts_with("x-forwarded") || name.contains('_'),
    }
}

const PSEUDONYM: &str = "countersign";
/// How often a request may have come through gateways of ours.
const MOST_PASSAGES: usize = 8;
const LONGEST_ID: usize = 128;

/// The request's id as it came where it is harmless, else a new one.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(&REQUEST_ID).iter();
    if let (Some(id), None) = (given.next(), given.next()) {
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:+/=@".contains(byte);
        if (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(harmless) {
            return id.clone();
        }
    }
    let mut text = [0; Hyphenated::LENGTH];
    random::id().hyphenated().encode_lower(&mut text);
    HeaderValue::from_maybe_shared(Bytes::from_owner(text)).unwrap_or(HeaderValue::from_static("none"))
}

/// The one host that the request names (RFC 9112, section 3.2); `None` for an HTTP/1.0 client that names none.
///
/// # Errors
/// None, several, or one that is no `host[:port]`.
pub fn host<B>(request: &Request<B>) -> Result<Option<HeaderValue>, Refusal> {
    const BAD: Refusal = Refusal::Malformed("the Host header is not one host with an optional port");
    let mut given = request.headers().get_all(HOST).iter();
    let named = given.next();
    if given.next().is_some() || named.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(BAD);
    }
    let Some(authority) = request.uri().authority() else {
        return match named {
            None if request.version() >= Version::HTTP_11 => Err(BAD),
            named => Ok(named.cloned()),
        };
    };
    // HTTP/2, or a request line with a whole URL: that one counts.
    if !is_host(authority.as_str().as_bytes()) || (named.is_none() && request.version() == Version::HTTP_11) {
        return Err(BAD);
    }
    if request.version() == Version::HTTP_2
        && named.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
    {
        return Err(BAD);
    }
    HeaderValue::from_str(authority.as_str()).map(Some).map_err(|_| BAD)
}

fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let (address, port) = rest.split_at_checked(end).unwrap_or_default();
            let address_only = address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
            (if address_only { address } else { &[] }, port.get(1..).unwrap_or_default())
        }
        _ => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            let (name, port) = text.split_at_checked(end).unwrap_or_default();
            let name_only = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte));
            (if name_only { name } else { &[] }, port)
        }
    };
    let port_only = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && host.len() <= 255 && port_only
}

/// Whether the request has come through here so often that it must be going in circles.
#[must_use]
pub fn is_loop(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(VIA).iter().filter_map(|line| line.to_str().ok());
    lines.map(|line| line.matches(PSEUDONYM).count()).sum::<usize>() > MOST_PASSAGES
}

/// Whether an answer's framing has two readings, or one that we do not know (RFC 9112, section 6.3): whoever hands such
/// an answer on hands on a truncated body, or somebody else's.
#[must_use]
pub fn is_misframed(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |length: &HeaderValue| length.as_bytes().iter().all(u8::is_ascii_digit);
    // "5, 5" may be taken for 5 (RFC 9110, section 8.6), but who is next may take it otherwise.
    if lengths.next().is_some_and(|length| !is_number(length)) || lengths.next().is_some() {
        return true;
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else { return false };
    encodings.next().is_some()
        || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked")
        || headers.contains_key(CONTENT_LENGTH)
}

/// Whether a request's framing has two readings, or one that we do not know. hyper reads `gzip, chunked` as chunked; the
/// backend would be handed the chunks' content as if it were plain (RFC 9112, section 6.1).
#[must_use]
pub fn is_misframed_request(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).map_or(&b""[..], HeaderValue::as_bytes);
    is_misframed(headers) || length.len() > 1 && length.starts_with(b"0")
}

/// Whether an answer that breaks off can be told from one that ends: without a length it ends with the connection (RFC
/// 9112, section 8).
#[must_use]
pub fn shows_its_end(headers: &HeaderMap, version: Version) -> bool {
    version == Version::HTTP_2
        || headers.contains_key(CONTENT_LENGTH)
        || headers.contains_key(TRANSFER_ENCODING)
}

/// Whether the client gets to see this header of a backend's answer.
#[must_use]
pub fn comes_back(name: &str) -> bool {
    // `Alt-Svc` would name a way around us.
    name != "alt-svc" && !is_hop_by_hop(name)
}

/// Takes out of an answer what the client does not get to see.
pub fn clean_answer(headers: &mut HeaderMap) {
    remove_named(headers);
    strip(headers, |name| !comes_back(name));
}

/// Adds to a clean answer what we say ourselves.
pub fn tell_client(headers: &mut HeaderMap, version: Version, request_id: &HeaderValue) {
    headers.append(VIA, via(version));
    headers.insert(REQUEST_ID, request_id.clone());
}

/// Takes out what would tell a backend of us, of the caller or of the path in our name.
pub(super) fn remove_misleading(headers: &mut HeaderMap) {
    strip(headers, is_misleading);
}

/// Takes out what is meant for the next hop only.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_named(headers);
    strip(headers, is_hop_by_hop);
}

/// Takes out what `Connection` names (RFC 9110, section 7.6.1).
pub(super) fn remove_named(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Takes out every header that `goes`. Looks at each that is there, for that costs less than looking for each that might be.
pub(super) fn strip(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let going: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in going {
        headers.remove(name);
    }
}

pub(super) fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_10 => "1.0 countersign",
        Version::HTTP_2 => "2.0 countersign",
        _ => "1.1 countersign",
    })
}

#[cfg(test)]
mod tests;
