//! Outgoing HTTP: the one connector, which decides what addresses may be reached, and a small bounded `GET`.
//!
//! The address policy is asked after name resolution, about the very address that is then connected to: a
//! name that resolves to a harmless address when checked and to another when used gains nothing.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_openssl::SslStream;
use tower_service::Service;

/// What may be connected to, and how.
#[derive(Clone)]
pub struct OutboundPolicy {
    /// Whether loopback, private and other special addresses may be reached; see [`is_private`].
    pub allow_private: bool,
    /// Whether the other side has to prove who it is; false for tests and the demo only.
    pub verify_tls: bool,
    /// Trusted instead of the system's certificates, where given.
    pub ca: Option<Vec<X509>>,
    /// For name, connection and handshake together.
    pub connect_timeout: Duration,
}

/// The TLS settings cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the TLS settings for outgoing connections cannot be made: {0}")]
pub struct OutboundError(#[from] ErrorStack);

/// Why there is no connection. Found again in the error of a client by [`connect_error`].
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URI names no host, or has a scheme other than http and https.
    #[error("the address is not an http or https URL with a host")]
    BadUri,
    /// The policy allows none of the addresses of this host.
    #[error("{host} is at {address}, a private or special address, which the settings do not allow")]
    RefusedByPolicy {
        /// The host asked for.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
    },
    /// The host's name does not resolve.
    #[error("{host} does not resolve: {source}")]
    Dns {
        /// The host asked for.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The host does not take the connection.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// Nothing came of it in time.
    #[error("no connection in time")]
    Timeout,
    /// The TLS handshake failed.
    #[error("TLS with {host}: {reason}")]
    Tls {
        /// The host asked for.
        host: String,
        /// What is wrong with its certificate, or what OpenSSL says.
        reason: String,
    },
}

/// The [`ConnectError`] among the sources of `error`, if that is what went wrong.
#[must_use]
pub fn connect_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a ConnectError> {
    std::iter::successors(Some(error), |error| (**error).source()).find_map(|error| error.downcast_ref())
}

/// Makes connections for a client of `hyper_util`; a clone shares the TLS settings.
#[derive(Clone)]
pub struct Connector {
    tls: SslConnector,
    allow_private: bool,
    verify_tls: bool,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector under `policy`, which offers HTTP/2 besides HTTP/1.1 if `alpn_h2`.
    ///
    /// # Errors
    /// The trusted certificates are unusable.
    pub fn new(policy: OutboundPolicy, alpn_h2: bool) -> Result<Self, OutboundError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_alpn_protos(if alpn_h2 { b"\x02h2\x08http/1.1" } else { b"\x08http/1.1" })?;
        if !policy.verify_tls {
            builder.set_verify(SslVerifyMode::NONE);
        } else if let Some(trusted) = policy.ca {
            let mut store = X509StoreBuilder::new()?;
            for certificate in trusted {
                store.add_cert(certificate)?;
            }
            builder.set_cert_store(store.build());
        } else if let Some(bundle) = *SYSTEM_BUNDLE {
            builder.set_ca_file(bundle)?;
        }
        let OutboundPolicy { allow_private, verify_tls, connect_timeout, .. } = policy;
        Ok(Self { tls: builder.build(), allow_private, verify_tls, connect_timeout })
    }

    async fn connect(self, uri: Uri) -> Result<Outbound, ConnectError> {
        let deadline = Instant::now() + self.connect_timeout;
        let connecting = self.connect_by(&uri, deadline);
        timeout_at(deadline, connecting).await.unwrap_or(Err(ConnectError::Timeout))
    }

    async fn connect_by(&self, uri: &Uri, deadline: Instant) -> Result<Outbound, ConnectError> {
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(ConnectError::BadUri),
        };
        // An IPv6 address stands in brackets in a URI, and nowhere else.
        let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        let host = host.filter(|host| !host.is_empty()).ok_or(ConnectError::BadUri)?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });

        let tcp = self.connect_tcp(host, port, deadline).await?;
        // An HTTP request is one write: waiting for more of it only delays it.
        tcp.set_nodelay(true).map_err(ConnectError::Connect)?;
        if secure { self.handshake(host, tcp).await } else { Ok(Outbound(Stream::Plain(TokioIo::new(tcp)))) }
    }

    async fn connect_tcp(&self, host: &str, port: u16, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let dns = |source| ConnectError::Dns { host: host.to_owned(), source };
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(dns)?.collect();
        let first = found.first().ok_or_else(|| dns(io::Error::other("no address")))?.ip();
        let allowed: Vec<_> =
            found.into_iter().filter(|found| self.allow_private || !is_private(found.ip())).collect();

        let mut failed = ConnectError::RefusedByPolicy { host: host.to_owned(), address: first };
        for (tried, address) in allowed.iter().enumerate() {
            // Each gets its share of what time is left: one that never answers must not use it all up.
            let left = u32::try_from(allowed.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(why)) => failed = ConnectError::Connect(why),
                Err(_) => failed = ConnectError::Timeout,
            }
        }
        Err(failed)
    }

    async fn handshake(&self, host: &str, tcp: TcpStream) -> Result<Outbound, ConnectError> {
        let fault = |reason: String| ConnectError::Tls { host: host.to_owned(), reason };
        let configured = self.tls.configure().map(|tls| tls.verify_hostname(self.verify_tls));
        let ssl = configured.and_then(|tls| tls.into_ssl(host)).map_err(|why| fault(why.to_string()))?;
        let mut stream = Box::new(SslStream::new(ssl, tcp).map_err(|why| fault(why.to_string()))?);
        if let Err(why) = Pin::new(&mut *stream).connect().await {
            // "certificate verify failed" alone does not tell an expired certificate from an unknown issuer.
            let verified = stream.ssl().verify_result();
            return Err(fault(if verified == X509VerifyResult::OK || !self.verify_tls {
                why.to_string()
            } else {
                format!("the certificate is refused: {}", verified.error_string())
            }));
        }
        Ok(Outbound(Stream::Tls(TokioIo::new(stream))))
    }
}

impl Service<Uri> for Connector {
    type Response = Outbound;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Outbound, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Where the distributions keep the certificates they trust. The bundled OpenSSL was built elsewhere and
/// knows none of these; a system's OpenSSL knows its own already, and reading it twice does no harm.
static SYSTEM_BUNDLE: LazyLock<Option<&'static str>> = LazyLock::new(|| {
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
        .into_iter()
        .find(|bundle| Path::new(bundle).is_file())
});

/// A connection made by [`Connector`].
pub struct Outbound(Stream);

enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<SslStream<TcpStream>>>),
}

impl Connection for Outbound {
    fn connected(&self) -> Connected {
        match &self.0 {
            Stream::Tls(stream) if stream.inner().ssl().selected_alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl hyper::rt::Read for Outbound {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl hyper::rt::Write for Outbound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }
}

/// Whether `ip` is anything else than an address of the public internet: loopback, link-local (which holds
/// the clouds' metadata service, 169.254.169.254), private, shared, multicast, for documentation, or reserved
/// (the IANA special-purpose registries of RFC 6890), also where an IPv6 address carries such an IPv4
/// address.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    let v6 = match ip {
        IpAddr::V4(v4) => return is_private_v4(v4),
        IpAddr::V6(v6) => v6,
    };
    let carried = |high: u16, low: u16| is_private_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        // Mapped, and the well-known prefix of NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        // 6to4
        [0x2002, high, low, ..] => carried(high, low),
        // IETF protocols (Teredo among them), and documentation twice.
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        [0x3fff, second, ..] => second < 0x1000,
        // All else that is public begins with 001; this leaves out ::, ::1, fc00::/7, fe80::/10, ff00::/8 and
        // more.
        [first, ..] => first >> 13 != 1,
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    match ip.octets() {
        [0 | 10 | 127, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => second & 0xf0 == 16,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [198, second, ..] => second & 0xfe == 18,
        [first, ..] => first >= 224,
    }
}

/// A `GET` for small documents such as a JWK set: bounded in size and time, follows no redirect.
#[derive(Clone)]
pub struct Fetcher {
    client: Client<Connector, Empty<Bytes>>,
    https_only: bool,
    max_bytes: usize,
    timeout: Duration,
}

/// Why there is no document. Never holds the URL, in which an operator may have put a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute URL, or one with a user name or password in it.
    #[error("not an absolute http or https URL without user name and password")]
    BadUrl,
    /// Fetching without TLS is not allowed.
    #[error("the URL has to begin with https://")]
    NotHttps,
    /// The policy does not allow the address.
    #[error("{0}")]
    RefusedByPolicy(String),
    /// There is no connection.
    #[error("{0}")]
    Connect(String),
    /// The connection broke, or what came is not HTTP.
    #[error("no answer: {0}")]
    Broken(String),
    /// The answer is not complete in time.
    #[error("no complete answer in time")]
    Timeout,
    /// Not 200; redirects are not followed.
    #[error("answered with status {0} where only 200 will do; redirects are not followed")]
    Status(u16),
    /// The document is too long.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

impl Fetcher {
    /// A fetcher of documents of at most `max_bytes` each, in at most `timeout` each.
    ///
    /// # Errors
    /// As [`Connector::new`].
    pub fn new(
        policy: OutboundPolicy,
        https_only: bool,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Self, OutboundError> {
        let connector = Connector::new(policy, false)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Ok(Self { client, https_only, max_bytes, timeout })
    }

    /// The document at `url`.
    ///
    /// # Errors
    /// [`FetchError`] says which of the rules it broke.
    pub async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::BadUrl)?;
        let authority = uri.authority().ok_or(FetchError::BadUrl)?;
        match uri.scheme_str() {
            _ if authority.as_str().contains('@') => return Err(FetchError::BadUrl),
            Some("https") => {}
            Some("http") if self.https_only => return Err(FetchError::NotHttps),
            Some("http") => {}
            _ => return Err(FetchError::BadUrl),
        }
        let request = Request::get(uri)
            .header(ACCEPT, "application/json, */*;q=0.5")
            .header(USER_AGENT, "countersign")
            .body(Empty::new())
            .map_err(|_| FetchError::BadUrl)?;
        timeout(self.timeout, self.exchange(request)).await.unwrap_or(Err(FetchError::Timeout))
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Bytes, FetchError> {
        let response = self.client.request(request).await.map_err(|why| match connect_error(&why) {
            Some(refused @ ConnectError::RefusedByPolicy { .. }) => {
                FetchError::RefusedByPolicy(refused.to_string())
            }
            Some(failed) => FetchError::Connect(failed.to_string()),
            None => FetchError::Broken(why.to_string()),
        })?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), self.max_bytes).collect().await;
        let body = body.map_err(|why| {
            let too_large = why.is::<LengthLimitError>();
            if too_large { FetchError::TooLarge(self.max_bytes) } else { FetchError::Broken(why.to_string()) }
        })?;
        Ok(body.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn policy(allow_private: bool) -> OutboundPolicy {
        OutboundPolicy { allow_private, verify_tls: true, ca: None, connect_timeout: Duration::from_secs(2) }
    }

    fn fetcher(policy: OutboundPolicy) -> Fetcher {
        Fetcher::new(policy, false, 16, Duration::from_millis(500)).unwrap()
    }

    /// Serves one fixed answer to every connection, and closes it; an empty answer never ends.
    async fn serve(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _read = stream.read(&mut [0; 1024]).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answer.is_empty() {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            }
        });
        port
    }

    #[test]
    fn only_addresses_of_the_public_internet_are_not_private() {
        let private = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for ip in private {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        let public = [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.1.1.1",
            "::ffff:1.1.1.1",
            "64:ff9b::808:808",
            "2001:4860:4860::8888",
            "2002:101:101::",
            "2606:4700::1111",
        ];
        for ip in public {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn a_private_address_is_refused_after_resolution_however_it_is_spelt() {
        let port = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"] {
            let got = fetcher(policy(false)).get(&format!("http://{host}:{port}/")).await;
            assert!(matches!(got, Err(FetchError::RefusedByPolicy(_))), "{host}: {got:?}");
        }
        assert_eq!(fetcher(policy(true)).get(&format!("http://localhost:{port}/")).await.unwrap(), "ok");
    }

    #[tokio::test]
    async fn a_document_that_breaks_a_rule_is_refused_by_that_rule() {
        let cases = [
            ("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", FetchError::Status(302)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n0123456789abcdefg", FetchError::TooLarge(16)),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n",
                FetchError::TooLarge(16),
            ),
            ("", FetchError::Timeout),
        ];
        for (answer, expected) in cases {
            let url = format!("http://127.0.0.1:{}/", serve(answer).await);
            assert_eq!(fetcher(policy(true)).get(&url).await, Err(expected));
        }
        let strict = Fetcher::new(policy(true), true, 16, Duration::from_secs(1)).unwrap();
        assert_eq!(strict.get("http://localhost/").await, Err(FetchError::NotHttps));
        for url in ["", "/jwks", "ftp://a/", "https://user:secret@a/"] {
            assert_eq!(strict.get(url).await, Err(FetchError::BadUrl), "{url}");
        }
    }

    #[tokio::test]
    async fn tls_is_verified_against_name_and_issuer_and_negotiates_h2() {
        let dir = tempfile::tempdir().unwrap();
        let master = crate::sealing::MasterKey::load_or_create(dir.path(), None).unwrap();
        let now = shared_claims::clock::Clock::System.now();
        let tls = crate::tls::Tls::open(dir.path(), &master, None, &[], now).unwrap();
        let ca = X509::from_pem(tls.certificate_pem().as_bytes()).unwrap();
        let acceptor = tls.acceptor_builder(b"\x02h2\x08http/1.1").unwrap().build();
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let mut stream =
                    SslStream::new(openssl::ssl::Ssl::new(acceptor.context()).unwrap(), tcp).unwrap();
                if Pin::new(&mut stream).accept().await.is_ok() {
                    let _read = stream.read(&mut [0; 1024]).await;
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok();
                }
            }
        });

        let trusting = OutboundPolicy { ca: Some(vec![ca]), ..policy(true) };
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{port}/");
            assert_eq!(fetcher(trusting.clone()).get(&url).await.unwrap(), "ok");
        }
        // The whole of 127/8 is this machine, but the certificate names one address of it.
        for (policy, host, says) in
            [(&trusting, "127.0.0.2", "IP address mismatch"), (&policy(true), "localhost", "self-signed")]
        {
            match fetcher(policy.clone()).get(&format!("https://{host}:{port}/")).await {
                Err(FetchError::Connect(why)) => assert!(why.contains(says), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        let lax = OutboundPolicy { verify_tls: false, ..policy(true) };
        assert!(fetcher(lax).get(&format!("https://localhost:{port}/")).await.is_ok());

        let mut connector = Connector::new(trusting, true).unwrap();
        let outbound = connector.call(format!("https://localhost:{port}/").parse().unwrap()).await.unwrap();
        assert!(outbound.connected().is_negotiated_h2());
    }

    #[tokio::test]
    async fn a_refused_connection_is_found_among_the_sources_of_the_clients_error() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let connector = Connector::new(policy(true), true).unwrap();
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let why = client.get(format!("http://127.0.0.1:{port}/").parse().unwrap()).await.unwrap_err();
        assert!(matches!(connect_error(&why), Some(ConnectError::Connect(_))));
    }
}
