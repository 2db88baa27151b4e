//! Outgoing HTTP: the one connector, which decides what addresses may be reached, and a small bounded `GET`.
//!
//! The address policy is asked after name resolution, about the very address that is then connected to: a
//! name that resolves to a harmless address when checked and to another when used gains nothing.

mod address;
mod client_tls;
mod fetch;
mod stream;
#[cfg(test)]
mod tests;
mod trust;

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use openssl::error::ErrorStack;
use openssl::x509::X509VerifyResult;
use shared_claims::secret::Digest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_openssl::SslStream;
use tower_service::Service;

pub use address::is_private;
pub use fetch::{FetchError, Fetcher};
pub use stream::Outbound;
pub use trust::{Trusted, public_key_digest, read_certificates};

use client_tls::ClientTls;
use stream::Stream;
use trust::Expected;

/// What may be connected to, and how.
#[derive(Clone)]
pub struct OutboundPolicy {
    /// Whether loopback, private and other special addresses may be reached; see [`is_private`].
    pub allow_private: bool,
    /// Whether the other side has to prove who it is; false for tests and the demo only.
    pub verify_tls: bool,
    /// Whose certificates count; the system's alone where not given.
    pub ca: Option<Trusted>,
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

/// How long the other side may take nothing of what is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections for a client of `hyper_util`; a clone shares the TLS settings.
#[derive(Clone)]
pub struct Connector {
    tls: ClientTls,
    allow_private: bool,
    verify_tls: bool,
    expected: Expected,
    connect_timeout: Duration,
    write_timeout: Duration,
}

impl Connector {
    /// A connector under `policy`, which offers HTTP/2 besides HTTP/1.1 if `alpn_h2`.
    ///
    /// # Errors
    /// The certificates that the policy names are unusable. The system's own are read by the first connection in TLS.
    pub fn new(policy: OutboundPolicy, alpn_h2: bool) -> Result<Self, OutboundError> {
        let expected = Expected::default();
        let OutboundPolicy { allow_private, verify_tls, connect_timeout, ca } = policy;
        Ok(Self {
            tls: ClientTls::new(alpn_h2, verify_tls, ca)?,
            allow_private,
            verify_tls,
            expected,
            connect_timeout,
            write_timeout: WRITE_TIMEOUT,
        })
    }

    /// The same connector with another limit for name, connection and handshake together.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// The same connector with another limit for how long the other side may take nothing of what is sent.
    #[must_use]
    pub fn with_write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    fn outbound(&self, stream: Stream) -> Outbound {
        Outbound::new(stream, self.write_timeout)
    }

    /// The same connector for servers whose key has one of these digests (see [`public_key_digest`]). With `alone`
    /// the key stands in for chain and name, as it must where the certificate is self-signed; without, all three have
    /// to be right. No certificate is taken outside its dates either way.
    #[must_use]
    pub fn with_pinned_keys(mut self, digests: Vec<Digest>, alone: bool) -> Self {
        self.expected.keys_alone = alone && !digests.is_empty();
        self.expected.keys = digests.into();
        self
    }

    /// The same connector, which asks for this name and looks for it in the certificate instead of the URL's host.
    #[must_use]
    pub fn with_server_name(mut self, name: &str) -> Self {
        self.expected.server_name = Some(Arc::from(name));
        self
    }

    /// The same connector, which takes TLS connections for HTTP/2 only.
    #[must_use]
    pub fn with_http2_only(mut self) -> Self {
        self.expected.http2 = true;
        self
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
        if secure {
            self.handshake(host, tcp).await
        } else {
            Ok(self.outbound(Stream::Plain(TokioIo::new(tcp))))
        }
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
        let tls = self.tls.get().await.map_err(fault)?;
        let ssl = self.expected.ssl(tls, self.verify_tls, host).map_err(|why| fault(why.to_string()))?;
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
        self.expected.check(stream.ssl()).map_err(fault)?;
        Ok(self.outbound(Stream::Tls(TokioIo::new(stream))))
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
