//! SQLite's single writer: waiting writes share one durable commit (group commit), each in a savepoint of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::Connection;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use tokio::sync::{mpsc, oneshot};

use super::connection::establish;
use super::{AnyConnection, DatabaseUrl, StorageError};

/// Writes that may wait at once; one more is told to come back.
const QUEUE: usize = 4_096;
/// The most writes that share a commit, so that the first does not wait for a stream of others.
const GROUP: usize = 64;

/// Each write of a group is undone by itself where it fails, for which SQLite copies what it changes: in memory, not in a
/// file. The inner pages of the indexes that it writes to at random stay at hand, and what many commits change is
/// copied into the database once in 16 MiB of log.
const TUNING: &str =
    "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 4000;";

/// Tells the caller how it went, once the commit is known.
type Outcome = Box<dyn FnOnce(Result<(), StorageError>) + Send>;
/// One write; given an error instead of a connection, it only passes that on.
type Job = Box<dyn FnOnce(Result<&mut AnyConnection, StorageError>) -> Outcome + Send>;

/// The way to the writing thread. The thread ends when the last handle is dropped.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Opens the writing connection and starts its thread.
    pub(super) fn start(url: &DatabaseUrl) -> Result<Self, StorageError> {
        let mut connection = establish(url)?;
        connection.batch_execute(TUNING)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(connection, queue))
            .map_err(|e| StorageError::Fault(e.to_string()))?;
        Ok(Self { jobs })
    }

    /// Queues `work` and waits until it is durable.
    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection.map_err(E::from).and_then(|connection| run_transaction(connection, work));
            Box::new(move |committed| {
                let answered = match (committed, result) {
                    // A refusal stands whether or not the others' commit failed: it wrote nothing.
                    (_, Err(refused)) => Err(refused),
                    (Ok(()), Ok(value)) => Ok(value),
                    (Err(failed), Ok(_)) => Err(E::from(failed)),
                };
                // The caller may have gone; the write stands all the same.
                let _ = answer.send(answered);
            })
        });
        self.jobs.try_send(job).map_err(|_| StorageError::Busy)?;
        answered.await.map_err(|_| StorageError::Fault("the writer ended".to_owned()))?
    }
}

fn serve(mut connection: AnyConnection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut outcomes = Vec::new();
        // Immediate: a deferred transaction that reads first could not become a writer later.
        let begun = match &mut connection {
            AnyConnection::Sqlite(sqlite) => {
                AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE")
            }
            AnyConnection::Postgres(postgres) => AnsiTransactionManager::begin_transaction(postgres),
        };
        if let Err(error) = begun {
            first(Err(StorageError::from(error)))(Ok(()));
            continue;
        }
        outcomes.push(first(Ok(&mut connection)));
        while outcomes.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            outcomes.push(next(Ok(&mut connection)));
        }
        let committed = commit(&mut connection);
        for outcome in outcomes {
            outcome(committed.clone());
        }
    }
}

fn commit(connection: &mut AnyConnection) -> Result<(), StorageError> {
    let committed = <AnyConnection as Connection>::TransactionManager::commit_transaction(connection);
    committed.map_err(|error| {
        let cause = error.to_string();
        log::error!(cause = cause.as_str(); "a commit failed");
        if let Err(error) =
            <AnyConnection as Connection>::TransactionManager::rollback_transaction(connection)
        {
            log::debug!("nothing was left to roll back: {error}");
        }
        StorageError::from(error)
    })
}

/// Runs `work` in a transaction — a savepoint inside another one — and turns a panic into a roll-back.
pub(super) fn run_transaction<T, E>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<StorageError>,
{
    let result = connection.transaction::<T, Wrapped<E>, _>(|connection| {
        match catch_unwind(AssertUnwindSafe(|| work(connection))) {
            Ok(done) => done.map_err(Wrapped::Caller),
            Err(_) => {
                Err(Wrapped::Storage(StorageError::Fault("the work on the database panicked".to_owned())))
            }
        }
    });
    result.map_err(|wrapped| match wrapped {
        Wrapped::Caller(error) => error,
        Wrapped::Storage(error) => E::from(error),
    })
}

/// Diesel wants its own error to convert into the closure's; callers should not have to know that.
enum Wrapped<E> {
    Caller(E),
    Storage(StorageError),
}

impl<E> From<diesel::result::Error> for Wrapped<E> {
    fn from(error: diesel::result::Error) -> Self {
        Self::Storage(StorageError::from(error))
    }
}
