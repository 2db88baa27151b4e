//! The heads of messages (RFC 9112, sections 2 to 6).

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode, Version};

use crate::gateway::headers::comes_back;
use crate::gateway::spare::{self, Buffer};

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
    /// Whether the head says where it ends, also where there is none.
    pub is_said: bool,
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

/// The head of a request, written line by line.
pub struct Writer {
    text: Buffer,
    /// Whether it has to be said that there is no body (RFC 9110, section 8.6).
    says_none: bool,
}

/// Room for the lines of most heads, in bytes.
const MOST_HEADS: usize = 768;

impl Writer {
    /// Begins with the request line; the target comes in parts. `None` where it would not stay one word of that line.
    #[must_use]
    pub fn begin(method: &Method, target: &[&str]) -> Option<Self> {
        let is_word = |part: &&str| part.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        if !target.iter().all(is_word) {
            return None;
        }
        let length = target.iter().map(|part| part.len()).sum::<usize>();
        let mut text = Buffer::with_room(MOST_HEADS + length);
        text.extend_from_slice(method.as_str().as_bytes());
        text.push(b' ');
        target.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
        text.extend_from_slice(b" HTTP/1.1\r\n");
        Some(Self { text, says_none: matches!(*method, Method::POST | Method::PUT | Method::PATCH) })
    }

    /// Adds a line. A length is not taken from here, for the body is what counts.
    pub fn line(&mut self, name: &HeaderName, value: &[u8]) {
        if *name == CONTENT_LENGTH {
            self.says_none = true;
            return;
        }
        let name = name.as_str().as_bytes();
        self.text.reserve(name.len() + value.len() + 4);
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
    }

    /// Ends it, with the length of the body where there is one.
    #[must_use]
    pub fn end(mut self, length: Option<u64>) -> Buffer {
        if let Some(length) = length.or_else(|| self.says_none.then_some(0)) {
            self.text.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        self.text.extend_from_slice(b"\r\n");
        self.text
    }
}

/// The head of an answer, without what was meant for this hop only.
pub type Head = (Response<()>, Framing);

/// Takes the head of an answer out of `read`; `None` where it is not complete. Interim answers are passed over (RFC 9110,
/// section 15.2).
///
/// # Errors
/// [`Malformed`].
pub fn read(read: &mut BytesMut, is_head: bool) -> Result<Option<Head>, Malformed> {
    while !read.is_empty() {
        // Room for many costs more to make than most heads cost to read.
        let parsed = match parse::<FEW_LINES>(read, is_head) {
            Err(Malformed::Head(httparse::Error::TooManyHeaders)) => parse::<MOST_LINES>(read, is_head)?,
            parsed => parsed?,
        };
        let Some((length, parsed)) = parsed else { return Ok(None) };
        read.advance(length);
        if parsed.is_some() {
            return Ok(parsed);
        }
    }
    Ok(None)
}

/// A head's length with what it says, which is nothing for an interim answer.
type Parsed = (usize, Option<Head>);

/// Parses a head; `None` where it is not complete.
fn parse<const LINES: usize>(read: &[u8], is_head: bool) -> Result<Option<Parsed>, Malformed> {
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
    let (headers, said) = headers(read.get(..length).unwrap_or_default(), parsed.headers)?;
    *response.headers_mut() = headers;
    let framing = said.framing(&response, is_head)?;
    Ok(Some((length, Some((response, framing)))))
}

/// The headers of a head: slices of one copy of it, which costs less than a copy of each value, and lets the connection
/// keep its buffer. What is meant for this hop only is looked at here and goes no further (RFC 9110, section 7.6.1).
fn headers(head: &[u8], lines: &[httparse::Header<'_>]) -> Result<(HeaderMap, Said), Malformed> {
    // Of its own length: what is kept of an answer in the cache holds it.
    let copy = Bytes::copy_from_slice(head);
    let start = head.as_ptr().addr();
    // Room for what we add.
    let mut headers = spare::headers(lines.len() + 8);
    let mut said = Said::default();
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed::Header)?;
        said.hear(&name, line.value)?;
        if !comes_back(name.as_str()) {
            continue;
        }
        let from = line.value.as_ptr().addr().saturating_sub(start);
        let to = from.saturating_add(line.value.len());
        let value = if line.value.is_empty() { Bytes::new() } else { copy.slice(from..to.min(copy.len())) };
        headers.append(name, HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Header)?);
    }
    for name in &said.named {
        headers.remove(name);
    }
    Ok((headers, said))
}

/// What an answer's head says of where its body ends, and of the connection.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps: bool,
    /// What `Connection` names besides.
    named: Vec<HeaderName>,
}

impl Said {
    /// Takes note of a line, in whose favour there is no other one (RFC 9112, section 6.3).
    fn hear(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
        if *name == CONTENT_LENGTH {
            // "5, 5" may be taken for 5 (RFC 9110, section 8.6), but who is next may take it otherwise.
            let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length = str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
            if self.length.is_some() || length.is_none() {
                return Err(Malformed::Framing);
            }
            self.length = length;
        } else if *name == TRANSFER_ENCODING {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::Framing);
            }
            self.is_chunked = true;
        } else if *name == CONNECTION {
            for option in value.split(|byte| *byte == b',') {
                self.hear_option(option.trim_ascii());
            }
        }
        Ok(())
    }

    fn hear_option(&mut self, option: &[u8]) {
        if option.eq_ignore_ascii_case(b"close") {
            self.closes = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keeps = true;
        } else {
            self.named.extend(HeaderName::from_bytes(option));
        }
    }

    fn framing(&self, response: &Response<()>, is_head: bool) -> Result<Framing, Malformed> {
        let is_old = response.version() == Version::HTTP_10;
        if self.is_chunked && (is_old || self.length.is_some()) {
            return Err(Malformed::Framing);
        }
        let has_none = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let end = match self.length {
            _ if is_head || has_none => End::After(0),
            _ if self.is_chunked => End::LastChunk,
            Some(length) => End::After(length),
            None => End::Close,
        };
        // RFC 9112, section 9.3.
        let goes_on = end != End::Close && !self.closes && (!is_old || self.keeps);
        let is_said = self.is_chunked || self.length.is_some();
        Ok(Framing { end, goes_on, is_said })
    }
}
