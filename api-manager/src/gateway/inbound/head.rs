//! The heads of requests that ask for nothing out of the ordinary (RFC 9112, sections 2 to 6).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Uri, Version};
use http_body_util::Full;

use super::Inbound;
use crate::gateway::spare;

/// Lines of a head. One with more goes to hyper.
const MOST_LINES: usize = 48;
/// Headers that are added on a request's way.
const OURS: usize = 4;

/// What was heard.
#[expect(clippy::large_enum_variant, reason = "it is nearly always a request, and gone at once")]
pub enum Heard {
    /// A request.
    Request {
        /// It, with its body.
        request: Request<Inbound>,
        /// How long it is, in bytes.
        length: usize,
        /// Whether the client may send another one after it.
        goes_on: bool,
    },
    /// The beginning of a head.
    Part,
    /// Something else: a request that asks for more than is done here, or none at all.
    Unusual,
}

/// What a head says besides its headers.
struct Said {
    length: Option<usize>,
    goes_on: bool,
}

/// Reads a request from the beginning of `bytes`. Its target is told before its headers become a map.
pub fn read(bytes: &Bytes, target: impl FnOnce(&str)) -> Heard {
    let mut lines = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Request::new(&mut []);
    let end = match parsed.parse_with_uninit_headers(bytes, &mut lines) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Heard::Part,
        Err(_) => return Heard::Unusual,
    };
    if let Some(path) = parsed.path {
        target(path);
    }
    take(bytes, end, &parsed).unwrap_or(Heard::Unusual)
}

/// The request whose head ends at `end`; `None` where it is out of the ordinary.
fn take(bytes: &Bytes, end: usize, parsed: &httparse::Request<'_, '_>) -> Option<Heard> {
    let (Some(method), Some(path), Some(1)) = (parsed.method, parsed.path, parsed.version) else {
        return None;
    };
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    // A whole URL and an asterisk are for hyper, as is what CONNECT names.
    if !path.starts_with('/') || method == Method::CONNECT {
        return None;
    }
    let uri = Uri::from_maybe_shared(bytes.slice_ref(path.as_bytes())).ok()?;
    let mut headers = spare::headers(parsed.headers.len() + OURS);
    let mut said = Said { length: None, goes_on: true };
    for line in &*parsed.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        said.hear(&name, line.value)?;
        headers.append(name, HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).ok()?);
    }
    let length = end.checked_add(said.length.unwrap_or(0))?;
    // A body that has not come whole is on its way.
    let body = if length == end {
        Bytes::new()
    } else {
        bytes.get(end..length).map(|body| bytes.slice_ref(body))?
    };
    let mut request = Request::new(Inbound::Left(Full::new(body)));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Some(Heard::Request { request, length, goes_on: said.goes_on })
}

impl Said {
    /// Takes note of a line; `None` where it says something out of the ordinary.
    fn hear(&mut self, name: &HeaderName, value: &[u8]) -> Option<()> {
        match *name {
            // Chunks; what is said before a body; other protocols; trailers.
            TRANSFER_ENCODING | EXPECT | UPGRADE | TE | TRAILER => None,
            CONNECTION if value.eq_ignore_ascii_case(b"keep-alive") => Some(()),
            CONNECTION if value.eq_ignore_ascii_case(b"close") => {
                self.goes_on = false;
                Some(())
            }
            CONNECTION => None,
            CONTENT_LENGTH if self.length.is_none() => {
                self.length = Some(plain_number(value)?);
                Some(())
            }
            CONTENT_LENGTH => None,
            _ => Some(()),
        }
    }
}

/// Digits that nobody could read otherwise: no sign, no list, no zero in front.
fn plain_number(value: &[u8]) -> Option<usize> {
    let is_plain = value.iter().all(u8::is_ascii_digit) && (value.len() == 1 || !value.starts_with(b"0"));
    str::from_utf8(value).ok().filter(|_| is_plain)?.parse().ok()
}
