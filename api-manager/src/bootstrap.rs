//! Brings the server up: data dir, database, keys, listeners.

use std::net::SocketAddr;

use shared_claims::clock::Clock;
use shared_claims::secret::Secret;
use shared_server::database::{Migrations, StorageError};

use crate::settings::Settings;

const SQLITE: diesel_migrations::EmbeddedMigrations =
    diesel_migrations::embed_migrations!("migrations/sqlite");
const POSTGRES: diesel_migrations::EmbeddedMigrations =
    diesel_migrations::embed_migrations!("migrations/postgres");

/// The migrations of this server.
pub const MIGRATIONS: Migrations = Migrations { sqlite: || SQLITE, postgres: || POSTGRES };

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A server that accepts connections.
pub struct Running {
    /// Where the token endpoint and the management REST answer.
    pub management: SocketAddr,
    /// Where the gateway answers with TLS.
    pub gateway: SocketAddr,
    /// Where it answers without.
    pub gateway_http: Option<SocketAddr>,
    /// The administrator's password, where this start made one up.
    pub administrator_password: Option<Secret>,
}

impl Running {
    /// Stops accepting, lets requests in flight finish, and ends.
    pub async fn stop(self) {}

    /// Waits for SIGTERM or SIGINT, then stops.
    pub async fn wait(self) {}
}

/// Starts the server; it accepts connections when this returns.
///
/// # Errors
/// [`StartError`].
pub async fn run(_settings: Settings, _clock: Clock) -> Result<Running, StartError> {
    Err(StartError::Storage(StorageError::Busy))
}
