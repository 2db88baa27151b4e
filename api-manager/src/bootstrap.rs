//! Brings the server up: data dir, database, keys, listeners; and down again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{HttpServer, web};
use shared_claims::clock::Clock;
use shared_claims::secret::Secret;
use shared_server::administrator::{Administrator, AdministratorError};
use shared_server::database::{Database, Migrations, StorageError};
use shared_server::hashing::{HashingError, HashingPool};
use shared_server::health::Health;
use shared_server::outbound::OutboundError;
use shared_server::sealing::{MasterKey, SealingError, private_dir};
use shared_server::telemetry::Metrics;
use shared_server::tls::{Tls, TlsError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::backend_key::{BackendKey, BackendKeyError};
use crate::backend_states::BackendStates;
use crate::changes::Changes;
use crate::decisions::Decisions;
use crate::exchanges::Exchanges;
use crate::facts::Facts;
use crate::flows::housekeeping;
use crate::gateway::{self, GatewayError, GatewayHandle};
use crate::http;
use crate::issuers::Issuers;
use crate::settings::Settings;

const SQLITE: diesel_migrations::EmbeddedMigrations =
    diesel_migrations::embed_migrations!("migrations/sqlite");
const POSTGRES: diesel_migrations::EmbeddedMigrations =
    diesel_migrations::embed_migrations!("migrations/postgres");

/// The migrations of this server.
pub const MIGRATIONS: Migrations = Migrations { sqlite: || SQLITE, postgres: || POSTGRES };

/// Connections that one worker holds at once; further ones wait to be accepted.
const CONNECTIONS_PER_WORKER: usize = 8_192;
/// Connections that the kernel holds for us.
const BACKLOG: u32 = 1_024;
/// How long a client may take to send the head of a request, or to shake hands.
const SLOWEST_CLIENT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Seconds that requests get to finish when the server stops.
const FAREWELL: u64 = 3;
/// What the management listener negotiates.
const ALPN: &[u8] = b"\x02h2\x08http/1.1";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or the master key.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The administrator.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
    /// The key that vouches for callers.
    #[error(transparent)]
    BackendKey(#[from] BackendKeyError),
    /// The hashing threads.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// The TLS settings for fetching keys.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address}: {source}; stop what listens there, or set API_MANAGER_LISTEN")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A server that accepts connections. Dropping it does not stop it.
pub struct Running {
    /// Where the token endpoint and the management REST answer.
    pub management: SocketAddr,
    /// Where the gateway answers with TLS.
    pub gateway: SocketAddr,
    /// Where it answers without.
    pub gateway_http: Option<SocketAddr>,
    /// The administrator's password, where this start made one up.
    pub administrator_password: Option<Secret>,
    health: Health,
    guard: GatewayHandle,
    listener: Listener,
    housekeeping: JoinHandle<()>,
}

/// The management listener.
struct Listener {
    address: SocketAddr,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What is needed before anything can be served: also what the command line works with.
pub(crate) struct Foundation {
    pub(crate) database: Database,
    pub(crate) master: MasterKey,
}

impl Foundation {
    /// Makes the data directory and the master key where there are none, and migrates the database.
    pub(crate) async fn lay(settings: &Settings) -> Result<Self, StartError> {
        private_dir(&settings.data_dir)?;
        let master = MasterKey::load_or_create(&settings.data_dir, settings.master_key.as_ref())?;
        let (url, connections) = (&settings.database_url, settings.database_connections);
        Ok(Self { database: Database::open_and_migrate(url, connections, MIGRATIONS).await?, master })
    }
}

/// Starts the server; it accepts connections when this returns.
///
/// # Errors
/// [`StartError`].
pub async fn run(settings: Settings, clock: Clock) -> Result<Running, StartError> {
    let Foundation { database, master } = Foundation::lay(&settings).await?;
    let hashing = HashingPool::start(settings.hashing_threads)?;
    let (administrator, administrator_password) =
        Administrator::load_or_create(&database, hashing, settings.admin_password.clone()).await?;
    let hosts = host_of(&settings.public_url);
    let tls = Tls::open(&settings.data_dir, &master, settings.tls.clone(), &hosts, clock.now())?;
    tls.spawn_reload();

    let metrics = Metrics::new();
    let health = Health::new(database.clone(), metrics.clone());
    let (changes, notices) = Changes::channel();
    let issuers = Issuers::new(&settings)?;
    let backend_key = BackendKey::load_or_create(&database, &master, clock.now()).await?;
    let decisions = Decisions::default();
    let app = Arc::new(App {
        settings,
        backend_states: Arc::new(BackendStates::new(clock.clone())),
        clock,
        exchanges: Exchanges::on(&database),
        database,
        administrator,
        facts: Facts::default(),
        issuers,
        backend_key,
        changes,
        decisions,
        metrics,
    });

    // The gateway first: a change that the management takes must find it listening.
    let guard = gateway::start(Arc::clone(&app), notices, Arc::clone(&tls)).await?;
    let listener = match listen(&app, &health, &tls) {
        Ok(listener) => listener,
        Err(error) => {
            guard.stop().await;
            return Err(error);
        }
    };
    let housekeeping = tokio::spawn(housekeeping::keep_sweeping(app));
    health.set_ready(true);
    let (management, gateway, gateway_http) = (listener.address, guard.address, guard.http_address);
    log::info!(
        management = management.to_string().as_str(), gateway = gateway.to_string().as_str();
        "the API manager is ready"
    );
    Ok(Running {
        management,
        gateway,
        gateway_http,
        administrator_password,
        health,
        guard,
        listener,
        housekeeping,
    })
}

fn host_of(public_url: &str) -> Vec<String> {
    let host = url::Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    // An IPv6 address stands in brackets in a URL, and without them in a certificate.
    host.into_iter().map(|host| host.trim_matches(['[', ']']).to_owned()).collect()
}

fn listen(app: &Arc<App>, health: &Health, tls: &Arc<Tls>) -> Result<Listener, StartError> {
    let address = app.settings.listen;
    let workers = app.settings.workers;
    let (data, health) = (web::Data::from(Arc::clone(app)), health.clone());
    // The certificate is looked after for as long as the listener lives.
    let tls_in_use = Arc::clone(tls);
    let factory = move || {
        let _ = &tls_in_use;
        http::wrapped(&data, &health)
    };
    let failed = |source| StartError::Listen { address, source };
    let server = HttpServer::new(factory)
        .workers(workers)
        .worker_max_blocking_threads(32)
        .max_connections(CONNECTIONS_PER_WORKER)
        .backlog(BACKLOG)
        // Else the first answer on a connection waits for the client to acknowledge the session tickets: 40 ms.
        .tcp_nodelay(true)
        .client_request_timeout(SLOWEST_CLIENT)
        .client_disconnect_timeout(Duration::from_secs(2))
        .tls_handshake_timeout(SLOWEST_CLIENT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(FAREWELL)
        .disable_signals()
        .bind_openssl(address, tls.acceptor_builder(ALPN)?)
        .map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    let handle = server.handle();
    Ok(Listener { address, handle, serving: tokio::spawn(server) })
}

impl Running {
    /// Stops accepting, lets requests in flight finish, and ends.
    pub async fn stop(self) {
        self.health.set_ready(false);
        tokio::join!(self.listener.handle.stop(true), self.guard.stop());
        self.housekeeping.abort();
        if let Ok(Err(error)) = self.listener.serving.await {
            log::error!(cause = error.to_string().as_str(); "the listener failed");
        }
    }

    /// Serves until the process is told to stop (SIGTERM, SIGINT), then stops.
    pub async fn wait(mut self) {
        let terminated = async {
            match signal(SignalKind::terminate()) {
                Ok(mut terminated) => {
                    terminated.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = terminated => {}
            _ = tokio::signal::ctrl_c() => {}
            ended = &mut self.listener.serving => {
                log::error!(outcome = format!("{ended:?}").as_str(); "the listener ended");
                self.guard.stop().await;
                return;
            }
        }
        log::info!("stopping");
        self.stop().await;
    }
}
