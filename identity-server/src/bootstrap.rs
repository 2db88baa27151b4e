//! From settings to a running server, and back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use shared_claims::clock::Clock;
use shared_claims::secret::Secret;
use shared_claims::signature::KeyKind;
use shared_server::administrator::{Administrator, AdministratorError};
use shared_server::database::{Database, StorageError};
use shared_server::hashing::{HashingError, HashingPool};
use shared_server::health::Health;
use shared_server::sealing::{MasterKey, SealingError, private_dir};
use shared_server::telemetry::Metrics;
use shared_server::tls::{Tls, TlsError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::app::{App, Counters};
use crate::domain::claims::Issuer;
use crate::facts::Facts;
use crate::flows::keys::{KeyStore, host_of};
use crate::flows::{FlowError, housekeeping};
use crate::http::{self, Metadata};
use crate::settings::Settings;
use crate::storage::MIGRATIONS;

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
/// What this listener negotiates.
const ALPN: &[u8] = b"\x02h2\x08http/1.1";

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory, the master key, or a sealed key.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The administrator.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
    /// The hashing threads.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] FlowError),
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address}: {source}; stop what listens there, or set IDENTITY_SERVER_LISTEN")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A server that accepts connections. Dropping it does not stop it.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The administrator's password, where this start has made it up.
    pub administrator_password: Option<Secret>,
    health: Health,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    background: Vec<JoinHandle<()>>,
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

    /// Where the signing keys are kept.
    pub(crate) fn key_store<'a>(&'a self, settings: &'a Settings) -> KeyStore<'a> {
        KeyStore { database: &self.database, master: &self.master, host: host_of(&settings.issuer) }
    }
}

/// Starts the server; returns once it accepts connections.
///
/// # Errors
/// [`StartError`].
pub async fn run(settings: Settings, clock: Clock) -> Result<Running, StartError> {
    let foundation = Foundation::lay(&settings).await?;
    let now = clock.now();

    let store = foundation.key_store(&settings);
    store.ensure_first(KeyKind::Rsa, now).await?;
    let keys = store.open(now).await?;
    let hosts = [host_of(&settings.public_url).to_owned()];
    let tls = Tls::open(&settings.data_dir, &foundation.master, settings.tls.clone(), &hosts, now)?;
    let hashing = HashingPool::start(settings.hashing_threads)?;
    let (database, given) = (foundation.database.clone(), settings.admin_password.clone());
    let (administrator, administrator_password) =
        Administrator::load_or_create(&database, hashing.clone(), given).await?;

    let metrics = Metrics::new();
    let health = Health::new(database.clone(), metrics.clone());
    let app = Arc::new(App {
        clock,
        facts: Facts::new(database.is_postgres()),
        database,
        keys,
        master: foundation.master,
        hashing,
        administrator,
        issuer: Issuer { name: settings.issuer.clone(), audiences: settings.audiences.clone() },
        public_url: settings.public_url.clone(),
        signup: settings.signup,
        counters: Counters::new(&metrics),
    });

    tls.spawn_reload();
    let (address, handle, serving) = serve(&settings, &app, &health, &tls)?;
    let background = vec![
        tokio::spawn(housekeeping::follow_keys(Arc::clone(&app))),
        tokio::spawn(housekeeping::keep_sweeping(Arc::clone(&app))),
    ];
    health.set_ready(true);
    log::info!(address = address.to_string().as_str(), issuer = settings.issuer.as_str(); "the identity server is ready");
    Ok(Running { address, administrator_password, health, handle, serving, background })
}

fn serve(
    settings: &Settings,
    app: &Arc<App>,
    health: &Health,
    tls: &Arc<Tls>,
) -> Result<(SocketAddr, ServerHandle, JoinHandle<std::io::Result<()>>), StartError> {
    let (app, health) = (web::Data::from(Arc::clone(app)), web::Data::new(health.clone()));
    let metadata = web::Data::new(Metadata::new(&settings.issuer, &settings.public_url));
    // The listeners live as long as this does.
    let tls_in_use = Arc::clone(tls);
    let factory = move || {
        let _ = &tls_in_use;
        ActixApp::new()
            .wrap(from_fn(http::guard))
            .app_data(app.clone())
            .app_data(health.clone())
            .app_data(metadata.clone())
            .configure(|config| http::routes(config, &metadata))
    };
    let failed = |source| StartError::Listen { address: settings.listen, source };
    let server = HttpServer::new(factory)
        .workers(settings.workers)
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
        .bind_openssl(settings.listen, tls.acceptor_builder(ALPN)?)
        .map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(settings.listen);
    let server = server.run();
    let handle = server.handle();
    Ok((address, handle, tokio::spawn(server)))
}

impl Running {
    /// Stops accepting, lets requests finish for a few seconds, and ends what runs beside them.
    pub async fn stop(self) {
        self.health.set_ready(false);
        self.handle.stop(true).await;
        for task in &self.background {
            task.abort();
        }
        if let Ok(Err(error)) = self.serving.await {
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
            ended = &mut self.serving => {
                log::error!(outcome = format!("{ended:?}").as_str(); "the listener ended");
                for task in &self.background {
                    task.abort();
                }
                return;
            }
        }
        log::info!("stopping");
        self.stop().await;
    }
}
