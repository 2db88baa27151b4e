//! One connection to either database, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::{self, ManageConnection, R2D2Connection};
use diesel::{Connection, PgConnection, SqliteConnection};
use shared_claims::secret::Secret;

use super::StorageError;

/// A connection to SQLite or PostgreSQL; queries written once run on both.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    /// SQLite, embedded.
    Sqlite(SqliteConnection),
    /// PostgreSQL.
    Postgres(PgConnection),
}

/// Where the database is. Parsed by its scheme: diesel's own guess would take `postgres:oops` for a file name.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A connection URL, which may hold a password.
    Postgres(Secret),
}

impl DatabaseUrl {
    /// Reads `sqlite://path` (relative paths count from `data_dir`) or `postgres://…`.
    ///
    /// # Errors
    /// A sentence that says which forms there are; it does not repeat the value, which may hold a password.
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err("the SQLite file name is missing; write sqlite://name.db".to_owned());
            }
            return Ok(Self::Sqlite(data_dir.join(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::new(text)));
        }
        Err("the scheme must be sqlite:// or postgres://".to_owned())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

/// Opens one connection.
pub(super) fn establish(url: &DatabaseUrl) -> Result<AnyConnection, StorageError> {
    let opened = match url {
        DatabaseUrl::Sqlite(path) => SqliteConnection::establish(&path.to_string_lossy()).and_then(|mut sqlite| {
            // Before all else, for it counts only in a file that is still empty: what is deleted can be given back.
            // Per connection, every time: durable commits, waiting instead of failing, and foreign keys that hold. The log's file stays
            // as long as a busy one becomes, 64 MiB at most: what is cut off is written to a file that has to grow again.
            sqlite
                .batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2000; \
                     PRAGMA journal_size_limit = 67108864;",
                )
                .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
            Ok(AnyConnection::Sqlite(sqlite))
        }),
        DatabaseUrl::Postgres(url) => PgConnection::establish(&with_time_outs(url.expose())).and_then(|mut postgres| {
            postgres
                .batch_execute("SET client_min_messages = warning; SET statement_timeout = '10s'; SET lock_timeout = '5s'")
                .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
            Ok(AnyConnection::Postgres(postgres))
        }),
    };
    opened.map_err(|e| StorageError::Unavailable(e.to_string()))
}

/// A server that went away must be noticed in seconds, not in the kernel's quarter of an hour.
fn with_time_outs(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [("connect_timeout", "2"), ("tcp_user_timeout", "5000")] {
        if !url.contains(name) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
    }
    url
}

/// A connection to PostgreSQL that was in use so short a time ago is taken without asking whether it is still there: the
/// question costs as much as a statement, and where the connection is gone the statement says so itself.
const FRESH: Duration = Duration::from_secs(1);

/// A connection of the pool.
pub(super) struct Pooled {
    /// The connection.
    pub(super) connection: AnyConnection,
    /// When it was last given back, or opened.
    used: Instant,
}

/// Makes and checks connections for the pool.
pub(super) struct Manager {
    url: DatabaseUrl,
}

impl Manager {
    pub(super) fn new(url: DatabaseUrl) -> Self {
        Self { url }
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = StorageError;

    fn connect(&self) -> Result<Pooled, StorageError> {
        Ok(Pooled { connection: establish(&self.url)?, used: Instant::now() })
    }

    /// Asked at every check-out.
    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), StorageError> {
        match &mut pooled.connection {
            // An embedded database cannot go away; asking it at every check-out would be the cost of a query.
            AnyConnection::Sqlite(_) => Ok(()),
            AnyConnection::Postgres(_) if pooled.used.elapsed() < FRESH => Ok(()),
            AnyConnection::Postgres(postgres) => Ok(postgres.ping()?),
        }
    }

    /// Asked whenever one is given back. A statement that found the connection gone has left it broken.
    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.used = Instant::now();
        match &mut pooled.connection {
            AnyConnection::Sqlite(sqlite) => sqlite.is_broken(),
            AnyConnection::Postgres(postgres) => std::thread::panicking() || postgres.is_broken(),
        }
    }
}

/// The pool's own complaints: one line, without the URL.
#[derive(Debug)]
pub(super) struct Quiet;

impl r2d2::HandleError<StorageError> for Quiet {
    fn handle_error(&self, error: StorageError) {
        log::debug!(cause = error.to_string().as_str(); "a database connection could not be opened");
    }
}
