//! The heads of messages (RFC 9112, sections 2 to 6).

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};

use crate::gateway::headers::is_misframed;

/// Lines of an answer's head, mostly and at most.
const FEW_LINES: usize = 24;
const MOST_LINES: usize = 100;

/// What came is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its head.
    #[error("the answer's head is no head: {0}")]
    Head(httparse::Error),
    /// A line of it.
    #[error("a header of the answer is none")]
    Header,
    /// Its head goes on for too long.
    #[error("the answer's head is too large")]
    TooLarge,
    /// The length of its body can be read in two ways.
    #[error("the answer has two readings")]
    Framing,
    /// It changes protocols, which nobody asked for.
    #[error("the answer changes protocols, which nobody asked for")]
    Upgrade,
}

/// Where an answer's body ends, and what of the connection after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Where it ends.
    pub end: End,
    /// Whether the connection may be used for another request.
    pub goes_on: bool,
}

/// Where a body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After so many bytes.
    After(u64),
    /// After the last chunk.
    LastChunk,
    /// With the connection.
    Close,
}

/// Writes a request's head, with the length of its body where it has one.
pub fn write(parts: &Parts, length: Option<u64>) -> BytesMut {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = BytesMut::with_capacity(target.len() + 64 + parts.headers.len() * 48);
    head.extend_from_slice(parts.method.as_str().as_bytes());
    head.extend_from_slice(b" ");
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &parts.headers {
        if *name != CONTENT_LENGTH {
            line(&mut head, name, value.as_bytes());
        }
    }
    // Where there is no body, that is said for methods that expect one (RFC 9110, section 8.6).
    let expects_one = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    let says_none = expects_one || parts.headers.contains_key(CONTENT_LENGTH);
    let said = length.or_else(|| says_none.then_some(0));
    if let Some(length) = said {
        line(&mut head, &CONTENT_LENGTH, HeaderValue::from(length).as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn line(head: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Takes the head of an answer out of `read`; `None` where it is not complete. Interim answers are passed over (RFC 9110,
/// section 15.2).
///
/// # Errors
/// [`Malformed`].
pub fn read(read: &mut BytesMut, is_head: bool) -> Result<Option<(Response<()>, Framing)>, Malformed> {
    while !read.is_empty() {
        // Room for many costs more to make than most heads cost to read.
        let parsed = match parse::<FEW_LINES>(read) {
            Err(Malformed::Head(httparse::Error::TooManyHeaders)) => parse::<MOST_LINES>(read)?,
            parsed => parsed?,
        };
        let Some((length, parsed)) = parsed else { return Ok(None) };
        match parsed {
            Some(response) => {
                read.advance(length);
                let framing = framing(&response, is_head)?;
                return Ok(Some((response, framing)));
            }
            None => read.advance(length),
        }
    }
    Ok(None)
}

/// A head's length with what it says, which is nothing for an interim answer.
type Parsed = (usize, Option<Response<()>>);

/// Parses a head; `None` where it is not complete.
fn parse<const LINES: usize>(read: &[u8]) -> Result<Option<Parsed>, Malformed> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut parsed = httparse::Response::new(&mut lines);
    let length = match parsed.parse(read).map_err(Malformed::Head)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::Header)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed::Upgrade);
    }
    if status.is_informational() {
        return Ok(Some((length, None)));
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    *response.headers_mut() = headers(read.get(..length).unwrap_or_default(), parsed.headers)?;
    Ok(Some((length, Some(response))))
}

/// The headers of a head: slices of one copy of it, which costs less than a copy of each value, and lets the connection
/// keep its buffer.
fn headers(head: &[u8], lines: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let copy = Bytes::copy_from_slice(head);
    let start = head.as_ptr().addr();
    // Room for what we add.
    let mut headers = HeaderMap::with_capacity(lines.len() + 8);
    for line in lines {
        let from = line.value.as_ptr().addr().saturating_sub(start);
        let to = from.saturating_add(line.value.len());
        let value = if line.value.is_empty() { Bytes::new() } else { copy.slice(from..to.min(copy.len())) };
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed::Header)?;
        headers.append(name, HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Header)?);
    }
    Ok(headers)
}

fn framing(response: &Response<()>, is_head: bool) -> Result<Framing, Malformed> {
    let headers = response.headers();
    let is_old = response.version() == Version::HTTP_10;
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    if is_misframed(headers) || is_old && is_chunked {
        return Err(Malformed::Framing);
    }
    let has_none = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let end = if is_head || has_none {
        End::After(0)
    } else if is_chunked {
        End::LastChunk
    } else if let Some(length) = headers.get(CONTENT_LENGTH) {
        let length = length.to_str().ok().and_then(|length| length.parse().ok());
        End::After(length.ok_or(Malformed::Framing)?)
    } else {
        End::Close
    };
    let says = |option: &str| {
        let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(option))
    };
    // RFC 9112, section 9.3.
    let goes_on = end != End::Close && !says("close") && (!is_old || says("keep-alive"));
    Ok(Framing { end, goes_on })
}
