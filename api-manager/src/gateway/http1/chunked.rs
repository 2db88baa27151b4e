//! Bodies in chunks (RFC 9112, section 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The longest line that says how long a chunk is, with its extensions, and the largest trailers, in bytes.
const LONGEST_LINE: usize = 4 * 1_024;
const LARGEST_TRAILERS: usize = 16 * 1_024;
const MOST_TRAILERS: usize = 64;

/// What came are no chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer's chunks are none")]
pub struct NoChunks;

/// Where the reading of a body stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunks {
    /// Before the line that says how long the next chunk is.
    #[default]
    Size,
    /// Within a chunk of which so many bytes are left.
    Data(u64),
    /// Before the line end after a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
    /// After all.
    Over,
}

/// What was taken out.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Content.
    Data(Bytes),
    /// Trailers; what they close is over.
    Trailers(HeaderMap),
    /// The end, without trailers.
    End,
}

impl Chunks {
    /// Takes the next piece out of `read`; `None` where more has to come first.
    ///
    /// # Errors
    /// [`NoChunks`].
    pub fn take(&mut self, read: &mut BytesMut) -> Result<Option<Piece>, NoChunks> {
        loop {
            match self {
                Self::Size => {
                    let Some((length, size)) = size(read)? else { return Ok(None) };
                    read.advance(length);
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    if read.is_empty() {
                        return Ok(None);
                    }
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(read.len());
                    *left -= u64::try_from(length).unwrap_or(*left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Some(Piece::Data(read.split_to(length).freeze())));
                }
                Self::DataEnd => {
                    match read.as_ref() {
                        [b'\r', b'\n', ..] => read.advance(2),
                        [] | [b'\r'] => return Ok(None),
                        _ => return Err(NoChunks),
                    }
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some((length, trailers)) = trailers(read)? else { return Ok(None) };
                    read.advance(length);
                    *self = Self::Over;
                    return Ok(Some(if trailers.is_empty() {
                        Piece::End
                    } else {
                        Piece::Trailers(trailers)
                    }));
                }
                Self::Over => return Ok(Some(Piece::End)),
            }
        }
    }
}

/// The length of the line, and what it says.
fn size(read: &[u8]) -> Result<Option<(usize, u64)>, NoChunks> {
    match httparse::parse_chunk_size(read) {
        Ok(httparse::Status::Complete((length, size))) => Ok(Some((length, size))),
        Ok(httparse::Status::Partial) if read.len() <= LONGEST_LINE => Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::InvalidChunkSize) => Err(NoChunks),
    }
}

/// The length of the trailers with the empty line after them, and what they say.
fn trailers(read: &[u8]) -> Result<Option<(usize, HeaderMap)>, NoChunks> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let (length, lines) = match httparse::parse_headers(read, &mut lines).map_err(|_| NoChunks)? {
        httparse::Status::Complete(parsed) => parsed,
        httparse::Status::Partial if read.len() <= LARGEST_TRAILERS => return Ok(None),
        httparse::Status::Partial => return Err(NoChunks),
    };
    let mut trailers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| NoChunks)?;
        trailers.append(name, HeaderValue::from_bytes(line.value).map_err(|_| NoChunks)?);
    }
    Ok(Some((length, trailers)))
}
