//! The guarded traffic: tokio and hyper, its own listener. A cache hit touches no lock and no database.
//!
//! A request passes `service`, `call`, `decision` (which API and operation; `admission`: may it?), `forward` (to the
//! backend and back); `refusal` is what it hears otherwise. `refresh` keeps `routes` and `grant_cache` true in the
//! background.

pub mod admission;
pub mod answer;
pub mod bodies;
pub mod call;
pub mod challenge;
pub mod clients;
pub mod connection;
pub mod contracts;
pub mod cores;
pub mod cors;
pub mod credentials;
pub mod decision;
pub mod decisions;
pub mod deny;
mod drive;
pub mod first_byte;
pub mod forward;
pub mod frames;
pub mod grant_cache;
pub mod grpc;
pub mod headers;
pub mod http1;
pub mod identity;
pub mod inbound;
pub mod limits;
pub mod listener;
pub mod live;
pub mod lookups;
pub mod mock;
pub mod onward;
pub mod operations;
pub mod pacing;
pub mod path;
pub mod refresh;
pub mod refusal;
pub mod resolve;
pub mod response_cache;
pub mod rewrite;
pub mod route;
pub mod routes;
pub mod service;
pub mod shards;
pub mod slots;
pub mod sources;
pub mod spare;
pub mod streams;
pub mod subscribers;
pub mod throttle;
pub mod timing;
pub mod trace;
pub mod trailers;
pub mod transforms;
pub mod tunnel;
pub mod uploads;
pub mod upstream;
pub mod usage;
pub mod validate;
mod warden;
pub mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use openssl::error::ErrorStack;
use shared_server::database::StorageError;
use shared_server::outbound::OutboundError;
use shared_server::tls::{Tls, TlsError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::changes::Notice;
use crate::storage::revocations;
use clients::Clients;
use connection::Patience;
use cores::{Cores, PerCore};
use grant_cache::{CacheLimits, GrantCache};
use identity::Assertions;
use limits::Buckets;
use listener::Phase;
use pacing::Pace;
use refresh::Refresh;
use response_cache::ResponseCache;
use routes::RouteTable;
use upstream::Upstreams;
use upstream::checks::Checks;
use usage::Usage;

const ALPN: &[u8] = b"\x02h2\x08http/1.1";

/// How long usage may be written when the gateway stops.
const LAST_WRITE: Duration = Duration::from_secs(3);
/// How long those that are cut have to be entered in the books.
const LAST_ENTRIES: Duration = Duration::from_secs(1);

/// Bounds of the gateway; the defaults are what a server runs with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at once.
    pub connections: usize,
    /// How long clients may take.
    pub patience: Patience,
    /// Of the grant cache.
    pub cache: CacheLimits,
    /// How fast unknown credentials are refused.
    pub pace: Pace,
    /// How long requests may go on when the gateway stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            patience: Patience::default(),
            cache: CacheLimits::default(),
            pace: Pace::default(),
            drain: Duration::from_secs(20),
        }
    }
}

/// What every request can reach.
pub struct Gateway {
    app: Arc<App>,
    table: ArcSwap<RouteTable>,
    grants: Arc<GrantCache>,
    clients: Clients,
    buckets: Buckets,
    upstreams: Upstreams,
    checks: Checks,
    assertions: Assertions,
    answers: ResponseCache,
    usage: Usage,
    /// Where each thread's refusals wait.
    refusals: PerCore<pacing::Queue>,
    patience: Patience,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be listened on.
    #[error("the gateway cannot listen on {address}: {source}")]
    Listen {
        /// As set.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// There is no certificate to show.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The TLS settings for backends cannot be made.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The system refuses threads.
    #[error("the gateway's threads cannot be started: {0}")]
    Threads(std::io::Error),
    /// OpenSSL refused.
    #[error(transparent)]
    OpenSsl(#[from] ErrorStack),
    /// The table cannot be loaded.
    #[error("the gateway's table cannot be loaded: {0}")]
    Storage(#[from] StorageError),
}

/// A gateway that accepts connections. Dropping it cuts them; [`GatewayHandle::stop`] lets them finish.
pub struct GatewayHandle {
    /// Where it answers with TLS.
    pub address: SocketAddr,
    /// Where it answers without.
    pub http_address: Option<SocketAddr>,
    gateway: Arc<Gateway>,
    phase: watch::Sender<Phase>,
    places: Arc<Semaphore>,
    connections: usize,
    drain: Duration,
    listeners: Vec<JoinHandle<()>>,
    refresh: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
    /// Last: what runs on them goes with them.
    _cores: Cores,
}

/// Starts the gateway; its table is loaded, and it accepts connections when this returns.
///
/// # Errors
/// [`GatewayError`].
pub async fn start(
    app: Arc<App>,
    notices: mpsc::Receiver<Notice>,
    tls: Arc<Tls>,
) -> Result<GatewayHandle, GatewayError> {
    let cache = CacheLimits { grants: app.settings.token_cache, ..CacheLimits::default() };
    start_within(app, notices, tls, Limits { cache, ..Limits::default() }).await
}

/// As [`start`], with other bounds.
///
/// # Errors
/// [`GatewayError`].
pub async fn start_within(
    app: Arc<App>,
    notices: mpsc::Receiver<Notice>,
    tls: Arc<Tls>,
    limits: Limits,
) -> Result<GatewayHandle, GatewayError> {
    // Before anything is cached: every later revocation is heard.
    let last = app.database.read(revocations::last).await?;
    let cores = Cores::start(app.settings.workers).map_err(GatewayError::Threads)?;
    let help = "Refusals of unknown credentials that had to wait for their turn.";
    let delayed = app.metrics.counter("gateway_refusals_delayed_total", help, &[]);
    let delayed = delayed.with_label_values::<&str>(&[]);
    let gateway = Arc::new(Gateway {
        table: ArcSwap::default(),
        grants: Arc::new(GrantCache::new(limits.cache)),
        clients: Clients::new(cores.count(), app.settings.outbound(Duration::from_secs(5)))?,
        assertions: Assertions::new(app.settings.issuer.clone()),
        answers: ResponseCache::default(),
        buckets: Buckets::new(app.clock.clone()),
        upstreams: Upstreams::new(Arc::clone(&app.backend_states)),
        checks: Checks::default(),
        usage: Usage::start(&app, cores.count()),
        refusals: PerCore::new(cores.count(), || pacing::Queue::new(limits.pace, delayed.clone())),
        patience: limits.patience,
        app,
    });
    refresh::load_table(&gateway).await?;
    let grants = Arc::clone(&gateway.grants);
    let help = "Credentials that the gateway looked up in the database or had a provider's keys vouch for.";
    gateway.app.metrics.counted("gateway_lookups_total", help, move || grants.times_asked());

    let (phase, _) = watch::channel(Phase::Serving);
    let places = Arc::new(Semaphore::new(limits.connections));
    let acceptor = tls.acceptor_builder(ALPN)?.build();
    let opened = listener::open(&gateway, &cores, acceptor, &phase, &places).await?;
    let readers = std::iter::repeat_with(|| {
        tokio::spawn(Arc::clone(&gateway.grants).read_for_all(Arc::clone(&gateway.app)))
    });
    // While one waits for a database that is elsewhere, another gathers; one that is here is asked by one, so that what comes
    // meanwhile is asked together.
    let readers = readers.take(if gateway.app.database.is_postgres() { 2 } else { 1 }).collect();
    let refresh = tokio::spawn(Refresh::new(Arc::clone(&gateway), notices, last).run());
    let (connections, drain) = (limits.connections, limits.drain);
    Ok(GatewayHandle {
        address: opened.address,
        http_address: opened.http_address,
        gateway,
        phase,
        places,
        connections,
        drain,
        listeners: opened.listeners,
        refresh,
        readers,
        _cores: cores,
    })
}

impl GatewayHandle {
    /// How often the database was asked for a grant.
    #[must_use]
    pub fn grants_asked(&self) -> u64 {
        self.gateway.grants.times_asked()
    }

    /// Tells whether the table of now is still kept by anybody: once it was replaced, nobody shall, whoever is connected.
    pub fn keeps_table(&self) -> impl Fn() -> bool + use<> {
        let table = Arc::downgrade(&self.gateway.table.load());
        move || table.strong_count() > 0
    }

    /// Waits until what was called until now is counted in the database.
    pub async fn flush_usage(&self) {
        self.gateway.usage.flush().await;
    }

    /// Stops accepting at once, lets requests finish for a while, and cuts what then remains.
    pub async fn stop(mut self) {
        self.phase.send_replace(Phase::Draining);
        for listener in self.listeners.drain(..) {
            // The socket closes with the task.
            let _ = listener.await;
        }
        let everyone = u32::try_from(self.connections).unwrap_or(u32::MAX);
        if timeout(self.drain, self.places.acquire_many(everyone)).await.is_err() {
            let left = self.connections.saturating_sub(self.places.available_permits());
            log::warn!(connections = left; "requests did not finish in time and are cut");
            self.phase.send_replace(Phase::Cutting);
            // What is cut is still to be entered in the books.
            let _ = timeout(LAST_ENTRIES, self.places.acquire_many(everyone)).await;
        }
        if timeout(LAST_WRITE, self.flush_usage()).await.is_err() {
            log::warn!("usage of the last seconds could not be written in time");
        }
    }
}

impl Drop for GatewayHandle {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Cutting);
        self.refresh.abort();
        self.readers.iter().for_each(JoinHandle::abort);
    }
}
