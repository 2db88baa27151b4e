//! One database, SQLite or PostgreSQL: connections, the read path, the write path, migrations.
//!
//! Reads borrow from a pool. Writes on SQLite go through one thread that joins waiting writes into one durable
//! commit; on PostgreSQL each is a transaction of its own. Nothing is acknowledged before it is durable.

pub mod batches;
mod checkpoints;
mod connection;
mod error;
pub mod space;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::Pool;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use tokio::sync::Semaphore;

pub use connection::{AnyConnection, DatabaseUrl};
pub use error::StorageError;

use connection::Manager;
use writer::{Writer, panicked, run_transaction};

/// How long a caller waits for a connection before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(2);
/// Callers that may wait for a connection at once; one more is told to come back at once.
const MOST_WAITING: usize = 4_096;

/// The migrations of one server, for either database. Both folders hold the same names.
#[derive(Clone, Copy)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: fn() -> EmbeddedMigrations,
    /// For PostgreSQL.
    pub postgres: fn() -> EmbeddedMigrations,
}

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    url: DatabaseUrl,
    pool: Pool<Manager>,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    writer: Option<Writer>,
    /// How many writes were asked for.
    writes: AtomicU64,
}

impl Database {
    /// Opens the database that `url` names, with at most `connections` connections; an SQLite file is made where
    /// there is none. PostgreSQL need not be reachable yet.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where an SQLite file cannot be opened.
    pub fn open(url: &DatabaseUrl, connections: u32) -> Result<Self, StorageError> {
        let connections = connections.max(1);
        let pool = Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .connection_timeout(PATIENCE)
            .test_on_check_out(true)
            .error_handler(Box::new(connection::Quiet))
            .build_unchecked(Manager::new(url.clone()));
        let writer = match url {
            DatabaseUrl::Sqlite(_) => Some(Writer::start(url)?),
            DatabaseUrl::Postgres(_) => None,
        };
        let inner = Inner {
            url: url.clone(),
            pool,
            permits: Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(1))),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            writer,
            writes: AtomicU64::new(0),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Whether this is PostgreSQL, which other nodes may share.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.0.url, DatabaseUrl::Postgres(_))
    }

    /// Runs `work` on a connection, outside any transaction, on a thread that may block.
    ///
    /// # Errors
    /// [`StorageError::Busy`] or [`StorageError::Unavailable`] where no connection is to be had; else what `work` says.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.on_connection(work).await
    }

    /// Runs `work`, which finds single rows by their keys, as [`Database::read`] does. On SQLite it runs at once and right
    /// here where a connection is at hand: to hand it to another thread and its result back costs more than the work.
    ///
    /// # Errors
    /// As [`Database::read`].
    pub async fn look_up<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        // Readers of a write-ahead log wait for nobody; what may take a moment is the disk.
        if self.0.writer.is_some()
            && let Ok(_permit) = self.0.permits.try_acquire()
            && let Some(mut pooled) = self.0.pool.try_get()
        {
            return work(&mut pooled.connection);
        }
        self.on_connection(work).await
    }

    /// Runs `work` in one transaction and returns once it is durable; an error rolls it back.
    ///
    /// # Errors
    /// As [`Database::read`]; a commit that fails is [`StorageError`], and nothing of `work` remains.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        match &self.0.writer {
            Some(writer) => writer.write(work).await,
            None => self.on_connection(|connection| run_transaction(connection, work)).await,
        }
    }

    /// Runs `work`, which on PostgreSQL is one statement: that is a transaction by itself, and beginning and committing one
    /// would be two round trips more. On SQLite it has no savepoint of its own, for which each page that it writes would be
    /// copied: what it refuses it says in its value, having written nothing, and an error undoes all that would have been
    /// committed with it, which others hear of as [`StorageError::Busy`].
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn write_in_one_statement<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        match &self.0.writer {
            Some(writer) => writer.write_bare(work).await,
            None => self.on_connection(work).await,
        }
    }

    /// How many writes were asked for so far: what can wait asks whether others write too.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }

    async fn on_connection<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        // Waiting for the pool would block a thread; the permit is waited for without one.
        let place = self.0.waiting.clone().try_acquire_owned().map_err(|_| StorageError::Busy)?;
        let permit = tokio::time::timeout(PATIENCE, self.0.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| StorageError::Busy)?.map_err(|_| StorageError::Busy)?;
        drop(place);
        let pool = self.0.pool.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut pooled = pool.get().map_err(|e| StorageError::Unavailable(e.to_string()))?;
            work(&mut pooled.connection)
        });
        done.await.map_err(|_| panicked())?
    }

    /// Runs the migrations that are missing. Two processes that start at once take turns.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where the database cannot be reached, [`StorageError::Fault`] for the rest.
    pub fn migrate(&self, migrations: Migrations) -> Result<(), StorageError> {
        let mut connection = connection::establish(&self.0.url)?;
        match &mut connection {
            AnyConnection::Sqlite(sqlite) => sqlite.immediate_transaction(|sqlite| {
                let done = sqlite.run_pending_migrations((migrations.sqlite)()).map(drop);
                done.map_err(|e| StorageError::Fault(format!("migration failed: {e}")))
            }),
            AnyConnection::Postgres(postgres) => {
                // An arbitrary number that only migrations of Countersign take; freed when the connection closes.
                postgres.batch_execute("SELECT pg_advisory_lock(7231946501)")?;
                let done = postgres.run_pending_migrations((migrations.postgres)()).map(drop);
                done.map_err(|e| StorageError::Fault(format!("migration failed: {e}")))
            }
        }
    }

    /// Opens the database and migrates it, waiting for a PostgreSQL that is not there yet.
    ///
    /// # Errors
    /// Whatever does not go away by waiting.
    pub async fn open_and_migrate(
        url: &DatabaseUrl,
        connections: u32,
        migrations: Migrations,
    ) -> Result<Self, StorageError> {
        let mut complained = false;
        loop {
            let url = url.clone();
            let attempt = tokio::task::spawn_blocking(move || {
                let database = Self::open(&url, connections)?;
                database.migrate(migrations).map(|()| database)
            });
            match attempt.await.map_err(|_| StorageError::Fault("migration panicked".to_owned()))? {
                Err(StorageError::Unavailable(cause)) => {
                    if !complained {
                        log::warn!(cause = cause.as_str(); "the database cannot be reached yet; waiting for it");
                        complained = true;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                done => return done,
            }
        }
    }

    /// Whether a query is answered now.
    pub async fn is_reachable(&self) -> bool {
        let asked = self.read(|connection| connection.batch_execute("SELECT 1").map_err(StorageError::from));
        tokio::time::timeout(Duration::from_secs(1), asked).await.is_ok_and(|answer| answer.is_ok())
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({:?})", self.0.url)
    }
}

/// Runs an expression on the native connection, for what the derived connection cannot compile: `on_conflict`,
/// slice inserts, `for_update`; and for what every request asks, because the derived connection writes a statement's
/// text anew several times a call. Both arms are the same text.
///
/// A row that is found by a unique key is read with `get_result`, not with `first`: that adds `LIMIT ?`, and SQLite
/// plans a statement anew whenever its limit is bound.
#[macro_export]
macro_rules! either {
    ($connection:expr, $native:ident => $query:expr) => {
        match $connection {
            $crate::database::AnyConnection::Sqlite($native) => $query,
            $crate::database::AnyConnection::Postgres($native) => $query,
        }
    };
}

#[cfg(test)]
mod tests;
