//! One HTTP/1.1 connection that is kept alive, over TCP or TLS, with blocking reads and writes.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Where connections go.
pub(super) struct Origin {
    address: SocketAddr,
    tls: Option<SslConnector>,
}

/// A connection, open or not.
pub(super) struct Connection<'o> {
    origin: &'o Origin,
    stream: Option<Stream>,
    buffer: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Origin {
    /// Reads `http://127.0.0.1:1` or `https://127.0.0.1:1`.
    pub(super) fn parse(origin: &str) -> Self {
        let (scheme, address) = origin.split_once("://").expect("an origin has a scheme");
        let tls = (scheme == "https").then(|| {
            let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL makes settings");
            builder.set_verify(SslVerifyMode::NONE);
            builder.build()
        });
        Self { address: address.parse().expect("an origin has an address and a port"), tls }
    }

    fn open(&self) -> Result<Stream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let settings =
            tls.configure().map_err(Error::other)?.verify_hostname(false).use_server_name_indication(false);
        Ok(Stream::Tls(settings.connect("localhost", stream).map_err(Error::other)?))
    }
}

impl<'o> Connection<'o> {
    pub(super) fn new(origin: &'o Origin) -> Self {
        Self { origin, stream: None, buffer: Vec::with_capacity(16 * 1_024) }
    }

    /// Connects ahead of the first request; where that fails, the request will say so.
    pub(super) fn open(&mut self) {
        self.stream = self.origin.open().ok();
    }

    /// Sends a request and reads its answer to the end; the status. A connection that failed is made anew for the next.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.origin.open()?,
        };
        stream.write_all(request)?;
        self.buffer.clear();
        let head = loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
            stream.read_more(&mut self.buffer)?;
        };
        while self.buffer.len() < head.whole {
            stream.read_more(&mut self.buffer)?;
        }
        if head.stays {
            self.stream = Some(stream);
        }
        Ok(head.status)
    }

    /// Sends several requests at once and reads their answers; how many of these were 2xx. A connection that failed, or is
    /// closed before the last answer, is made anew for the next.
    pub(super) fn pipeline(&mut self, requests: &[u8], count: usize) -> Result<usize> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.origin.open()?,
        };
        stream.write_all(requests)?;
        self.buffer.clear();
        let (mut answered, mut fine, mut read) = (0, 0, 0);
        while answered < count {
            let rest = self.buffer.get(read..).unwrap_or_default();
            let Some(head) = Head::parse(rest)?.filter(|head| head.whole <= rest.len()) else {
                stream.read_more(&mut self.buffer)?;
                continue;
            };
            (answered, read) = (answered + 1, read + head.whole);
            fine += usize::from((200..300).contains(&head.status));
            if !head.stays {
                return Ok(fine);
            }
        }
        self.stream = Some(stream);
        Ok(fine)
    }
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
        }
    }

    fn read_more(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let mut chunk = [0; 16 * 1_024];
        let read = match self {
            Self::Plain(stream) => stream.read(&mut chunk)?,
            Self::Tls(stream) => stream.read(&mut chunk)?,
        };
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// What a generator of load has to know of an answer.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// The length of head and body.
    whole: usize,
    /// Whether the connection may be used again.
    stays: bool,
}

impl Head {
    /// `None` where more has to be read. Answers need a `Content-Length`, as all of those that are measured have.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let invalid = |why: &str| Error::new(ErrorKind::InvalidData, why);
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default());
        let head = head.map_err(|_| invalid("a head that is no text"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid("no status"))?;
        let header = |name: &str| {
            let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
        };
        let length = match (status, header("content-length")) {
            (204 | 304, _) => 0,
            (_, Some(length)) => length.parse().map_err(|_| invalid("an odd Content-Length"))?,
            (_, None) => return Err(invalid("an answer without Content-Length")),
        };
        let stays = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Some(Self { status, whole: end + 4 + length, stays }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let head = |text: &str| Head::parse(text.as_bytes()).ok().flatten();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(head(answer), Some(Head { status: 200, whole: answer.len() + 3, stays: true }));
        let last = "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(head(last), Some(Head { status: 401, whole: last.len(), stays: false }));
        assert_eq!(head("HTTP/1.1 204 No Content\r\n\r\n").map(|head| head.whole), Some(27));
    }

    #[test]
    fn half_a_head_wants_more_and_a_body_without_length_is_an_error() {
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-").unwrap(), None);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"nonsense\r\n\r\n").is_err());
    }
}
