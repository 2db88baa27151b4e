//! One HTTP/1.1 connection that is kept alive, over TCP or TLS. It is opened with patience, and then never waits.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

/// How long a handshake may be silent.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Bytes of answers that there is room for at first.
const ROOM: usize = 16 * 1_024;
/// Lines of an answer's head.
const MOST_LINES: usize = 32;

/// Where connections go.
#[derive(Clone)]
pub(super) struct Origin {
    address: SocketAddr,
    tls: Option<SslConnector>,
}

/// A connection, open or not.
pub(super) struct Connection {
    origin: Origin,
    stream: Option<Stream>,
    incoming: Incoming,
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
        stream.set_read_timeout(Some(HANDSHAKE))?;
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let settings = tls.configure().map_err(Error::other)?;
                let settings = settings.verify_hostname(false).use_server_name_indication(false);
                Stream::Tls(settings.connect("localhost", stream).map_err(Error::other)?)
            }
        };
        stream.tcp().set_nonblocking(true)?;
        Ok(stream)
    }
}

impl Connection {
    pub(super) fn new(origin: &Origin) -> Self {
        Self { origin: origin.clone(), stream: None, incoming: Incoming::new() }
    }

    /// What to wait for with others; `None` of one that is not open.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.stream.as_ref().map(|stream| stream.tcp().as_fd())
    }

    /// Connects and shakes hands.
    pub(super) fn open(&mut self) -> Result<()> {
        self.stream = Some(self.origin.open()?);
        self.incoming.expect(0);
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.stream = None;
    }

    /// Sends that many requests at once. All answers to the last ones are there: what is sent has room in the kernel.
    pub(super) fn send(&mut self, requests: &[u8], count: usize) -> Result<()> {
        let mut stream = self.stream.take().ok_or(ErrorKind::NotConnected)?;
        stream.bytes().write_all(requests)?;
        self.incoming.expect(count);
        self.stream = Some(stream);
        Ok(())
    }

    /// Reads what has come. Once the last answer is there: how many were 2xx or 3xx; `None` while more is to come, or nothing is.
    /// A connection that failed, or was closed before the last answer, is not open afterwards.
    pub(super) fn receive(&mut self) -> Result<Option<usize>> {
        let mut stream = self.stream.take().ok_or(ErrorKind::NotConnected)?;
        loop {
            match self.incoming.read(stream.bytes()) {
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    self.stream = Some(stream);
                    return Ok(None);
                }
                read => read?,
            }
            let stays = self.incoming.parse()?;
            if self.incoming.missing == 0 || !stays {
                self.stream = stays.then_some(stream);
                return Ok(Some(self.incoming.fine));
            }
        }
    }
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    fn bytes(&mut self) -> &mut dyn Bytes {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

/// Bytes in both directions.
trait Bytes: Read + Write {}

impl<S: Read + Write> Bytes for S {}

/// The answers to what was sent last, as far as they have come.
struct Incoming {
    bytes: Vec<u8>,
    /// How many of the bytes were read.
    filled: usize,
    /// How many of these were parsed.
    parsed: usize,
    /// Answers that are still to come.
    missing: usize,
    /// Answers of 2xx or 3xx.
    fine: usize,
}

impl Incoming {
    fn new() -> Self {
        Self { bytes: vec![0; ROOM], filled: 0, parsed: 0, missing: 0, fine: 0 }
    }

    fn expect(&mut self, count: usize) {
        (self.filled, self.parsed, self.missing, self.fine) = (0, 0, count, 0);
    }

    fn read(&mut self, from: &mut dyn Read) -> Result<()> {
        if self.filled == self.bytes.len() {
            self.bytes.resize(2 * self.filled, 0);
        }
        let read = from.read(self.bytes.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += read;
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Takes the answers that are whole; `false` where the last of them closes the connection.
    fn parse(&mut self) -> Result<bool> {
        while self.missing > 0 {
            let rest = self.bytes.get(self.parsed..self.filled).unwrap_or_default();
            let Some(head) = Head::parse(rest)?.filter(|head| head.whole <= rest.len()) else { break };
            self.parsed += head.whole;
            self.missing -= 1;
            self.fine += usize::from((200..400).contains(&head.status));
            if !head.stays {
                return Ok(false);
            }
        }
        Ok(true)
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
        let invalid = |why: &str| Error::new(ErrorKind::InvalidData, why);
        let mut lines = [httparse::EMPTY_HEADER; MOST_LINES];
        let mut head = httparse::Response::new(&mut lines);
        let end = match head.parse(bytes).map_err(|why| invalid(&why.to_string()))? {
            httparse::Status::Complete(end) => end,
            httparse::Status::Partial => return Ok(None),
        };
        let status = head.code.unwrap_or(0);
        let (mut length, mut stays) = (None, true);
        for line in head.headers.iter() {
            if line.name.eq_ignore_ascii_case("content-length") {
                let said = std::str::from_utf8(line.value).ok().and_then(|said| said.parse().ok());
                length = Some(said.ok_or_else(|| invalid("an odd Content-Length"))?);
            } else if line.name.eq_ignore_ascii_case("connection") {
                stays = !line.value.eq_ignore_ascii_case(b"close");
            }
        }
        let length = match (status, length) {
            (204 | 304, _) => 0,
            (_, Some(length)) => length,
            (_, None) => return Err(invalid("an answer without Content-Length")),
        };
        Ok(Some(Self { status, whole: end + length, stays }))
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
