//! Answers as HTTP/1.1 writes them (RFC 9112, sections 4 to 7).

use std::io::Write as _;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::response::Parts;
use http_body::{Body, Frame};
use shared_claims::clock::Clock;

use super::outgoing::Outbox;
use super::{Broken, date};

/// Where the sending of a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// In chunks. Trailers are left out: whoever takes them says so (`TE`), and is served by hyper.
    Chunks,
    /// There is no more.
    Over,
}

/// Whether the connection ends with this answer.
#[must_use]
pub fn closes(headers: &HeaderMap) -> bool {
    let options =
        headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Writes the head of an answer whose body is `body`; returns how that is to be sent.
pub fn write<B: Body>(
    out: &mut Vec<u8>,
    parts: &Parts,
    (is_head, goes_on): (bool, bool),
    body: &B,
) -> Framing {
    if parts.status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let reason = parts.status.canonical_reason().unwrap_or_default();
        for part in ["HTTP/1.1 ", parts.status.as_str(), " ", reason, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    let (mut length, mut has_date) = (None, false);
    for (name, value) in &parts.headers {
        match *name {
            // These speak of the message and not of what it carries, and are ours to say.
            CONNECTION | TRANSFER_ENCODING => continue,
            CONTENT_LENGTH => {
                length = Some(value);
                continue;
            }
            DATE => has_date = true,
            _ => {}
        }
        line(out, name, value.as_bytes());
    }
    let framing = frame(out, parts, is_head, length, body);
    if !goes_on {
        out.extend_from_slice(b"connection: close\r\n");
    }
    if !has_date {
        out.extend_from_slice(b"date: ");
        date::write(out, Clock::System.now());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// Says how long the body is, where that may be said (RFC 9112, section 6).
fn frame<B: Body>(
    out: &mut Vec<u8>,
    parts: &Parts,
    is_head: bool,
    said: Option<&HeaderValue>,
    body: &B,
) -> Framing {
    let has_none = parts.status.is_informational()
        || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
    if is_head {
        // What GET would be answered with; where there is no telling, nothing.
        match (said, length) {
            (Some(said), _) => line(out, &CONTENT_LENGTH, said.as_bytes()),
            (None, Some(length @ 1..)) if !has_none => write_length(out, length),
            (None, _) => {}
        }
        return Framing::Over;
    }
    if has_none {
        return Framing::Over;
    }
    let said = || said?.to_str().ok()?.parse().ok();
    match length.or_else(said) {
        Some(length) => {
            write_length(out, length);
            if length == 0 { Framing::Over } else { Framing::Length(length) }
        }
        None => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunks
        }
    }
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    // To write to memory does not fail.
    let _ = write!(out, "content-length: {length}\r\n");
}

impl Framing {
    /// Passes a frame of the body on, or its end.
    ///
    /// # Errors
    /// It ends before it should.
    pub fn pass(&mut self, frame: Option<Frame<Bytes>>, out: &mut Outbox) -> Result<(), Broken> {
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => self.data(data, out),
            // What follows trailers is the end.
            Some(Err(_)) => {}
            None => return self.end(out),
        }
        Ok(())
    }

    fn data(&mut self, mut data: Bytes, out: &mut Outbox) {
        match self {
            Self::Length(left) => {
                // What is more than was said is nobody's.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= u64::try_from(data.len()).unwrap_or(*left);
                if *left == 0 {
                    *self = Self::Over;
                }
                out.add(data);
            }
            // An empty chunk would be the last one.
            Self::Chunks if !data.is_empty() => {
                // To write to memory does not fail.
                let _ = write!(out.end(), "{:x}\r\n", data.len());
                out.add(data);
                out.end().extend_from_slice(b"\r\n");
            }
            Self::Chunks | Self::Over => {}
        }
    }

    fn end(&mut self, out: &mut Outbox) -> Result<(), Broken> {
        match self {
            Self::Length(_) => return Err(Broken),
            Self::Chunks => out.end().extend_from_slice(b"0\r\n\r\n"),
            Self::Over => {}
        }
        *self = Self::Over;
        Ok(())
    }
}
