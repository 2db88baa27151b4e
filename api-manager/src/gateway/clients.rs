//! What connects to backends: one client for each way of connecting, shared by the APIs that connect alike.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use log::error;
use openssl::x509::X509;
use shared_claims::secret::Digest;
use shared_server::outbound::{Connector, OutboundError, OutboundPolicy, Trusted};

use super::cores::PerCore;
use super::http1::Http1;
use super::uploads::Upload;
use crate::domain::api::Definition;
use crate::domain::api::transport::{BackendTls, Protocol, Transport};

/// hyper's client.
pub type Pool = legacy::Client<Connector, Upload>;

/// What sends requests to backends, over connections that each thread of the gateway pools for itself.
#[derive(Clone)]
pub struct Client(Arc<PerCore<Pools>>);

/// Those of one thread.
struct Pools {
    http1: Option<Http1>,
    hyper: Pool,
}

impl Client {
    /// Our own client, where the backends speak HTTP/1.1.
    #[must_use]
    pub fn http1(&self) -> Option<&Http1> {
        self.0.here().http1.as_ref()
    }

    /// The client for everything.
    #[must_use]
    pub fn hyper(&self) -> &Pool {
        &self.0.here().hyper
    }
}

/// Connections that are kept for each backend while nobody uses them, and for how long.
const MOST_IDLE: usize = 128;
const IDLE_FOR: Duration = Duration::from_secs(30);
/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 128 * 1_024;
/// What a backend may send ahead over HTTP/2, for one request and for all on its connection.
const STREAM_WINDOW: u32 = 256 * 1_024;
const CONNECTION_WINDOW: u32 = 4 * 1_024 * 1_024;
const PING_EVERY: Duration = Duration::from_secs(30);

/// How an API's backends are connected to. APIs with the same profile share their connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// In milliseconds, for name, connection and handshake together.
    connect_timeout: u32,
    transport: Transport,
}

impl Profile {
    /// As the API says.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        let transport = definition.transport.clone();
        Self { connect_timeout: definition.timeouts.connect.max(1), transport }
    }

    /// The same for WebSockets, which begin in HTTP/1.1.
    #[must_use]
    pub fn for_websockets(&self) -> Self {
        let transport = Transport { protocol: Protocol::Http1, ..self.transport.clone() };
        Self { transport, ..self.clone() }
    }

    /// All that the API needs.
    #[must_use]
    pub fn all_of(definition: &Definition) -> [Self; 2] {
        let profile = Self::of(definition);
        [profile.for_websockets(), profile]
    }
}

/// One client for each profile. There are never more than twice as many as the table has APIs.
pub struct Clients {
    policy: OutboundPolicy,
    connector: Connector,
    cores: usize,
    made: Mutex<HashMap<Profile, Client>>,
}

impl Clients {
    /// Clients for so many threads, under `policy`.
    ///
    /// # Errors
    /// OpenSSL refused.
    pub fn new(cores: usize, policy: OutboundPolicy) -> Result<Self, OutboundError> {
        let connector = Connector::new(policy.clone(), false)?;
        Ok(Self { policy, connector, cores, made: Mutex::default() })
    }

    /// The client that connects so.
    #[must_use]
    pub fn get(&self, profile: Profile) -> Client {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&profile) {
            return client.clone();
        }
        let connector = self.connector(&profile);
        let protocol = profile.transport.protocol;
        let build = || Pools {
            http1: (protocol == Protocol::Http1).then(|| Http1::new(connector.clone())),
            hyper: build(connector.clone(), protocol),
        };
        let client = Client(Arc::new(PerCore::new(self.cores, build)));
        made.insert(profile, client.clone());
        client
    }

    /// Forgets the clients that no API has any more.
    pub fn forget_unused(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, client| Arc::strong_count(&client.0) > 1);
    }

    fn connector(&self, profile: &Profile) -> Connector {
        let connect_timeout = Duration::from_millis(profile.connect_timeout.into());
        let mut connector = match &profile.transport.tls {
            None => self.connector.clone(),
            Some(tls) => self.trusting(tls),
        };
        if profile.transport.protocol == Protocol::Http2 {
            connector = connector.with_http2_only();
        }
        connector.with_connect_timeout(connect_timeout)
    }

    fn trusting(&self, tls: &BackendTls) -> Connector {
        let mut connector = match only(&tls.ca) {
            None => self.connector.clone(),
            Some(ca) => self.ending_at(ca),
        };
        if let Some(name) = &tls.server_name {
            connector = connector.with_server_name(name);
        }
        connector.with_pinned_keys(tls.pinned_keys.clone(), tls.ca.is_empty())
    }

    fn ending_at(&self, ca: Vec<X509>) -> Connector {
        let policy = OutboundPolicy { ca: Some(Trusted::Only(ca)), ..self.policy.clone() };
        Connector::new(policy, false).unwrap_or_else(|why| {
            error!(cause = why.to_string().as_str(); "an API's certificates cannot be used; its backends are not trusted");
            // No key has this digest.
            self.connector.clone().with_pinned_keys(vec![Digest::of(b"")], false)
        })
    }
}

/// The certificates of an API that names any. One that cannot be read is left out, and trusts nobody: it never opens the
/// API to what the system trusts.
fn only(ca: &[String]) -> Option<Vec<X509>> {
    (!ca.is_empty()).then(|| ca.iter().filter_map(|pem| X509::from_pem(pem.as_bytes()).ok()).collect())
}

fn build(connector: Connector, protocol: Protocol) -> Pool {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(MOST_IDLE)
        .http1_max_buf_size(LARGEST_HEAD)
        .set_host(false);
    if protocol == Protocol::Http2 {
        builder
            .http2_only(true)
            .timer(TokioTimer::new())
            .http2_max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX))
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_EVERY);
    }
    builder.build(connector)
}

/// Whether the backend says that it has not looked at the request, so that sending it again does nothing twice: a stream
/// beyond the last one of a GOAWAY, or one refused (RFC 9113, sections 6.8 and 8.7).
#[must_use]
pub fn is_unprocessed(why: &legacy::Error) -> bool {
    let mut causes = std::iter::successors(why.source(), |why| (**why).source());
    causes.find_map(|why| why.downcast_ref::<h2::Error>()).is_some_and(|why| {
        why.is_remote()
            && (why.is_go_away() || why.is_reset() && why.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}
