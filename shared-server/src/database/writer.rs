//! SQLite's single writer: waiting writes share one durable commit (group commit), each in a savepoint of its
//! own but for those that need none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::Connection;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use tokio::sync::{mpsc, oneshot};

use super::checkpoints::Checkpoints;
use super::connection::establish;
use super::{AnyConnection, DatabaseUrl, StorageError};

/// Writes that may wait at once; one more is told to come back.
const QUEUE: usize = 4_096;
/// The most writes that share a commit, so that the first does not wait for a stream of others.
const GROUP: usize = 64;

/// Each write of a group is undone by itself where it fails, for which SQLite copies what it changes: in memory, not in a
/// file. The cache holds what the largest group changes and the inner pages of the indexes; others are a read from the kernel's.
/// More of it is slower in a file of less than 1 GiB: a B-tree that puts its pages in order while it splits has one at that number for a
/// moment, and the commit after it looks through the whole cache for pages beyond the end of the file.
const TUNING: &str = "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;";

type Manager = <AnyConnection as Connection>::TransactionManager;

/// Tells the caller how it went, once the commit is known.
type Outcome = Box<dyn FnOnce(Result<(), StorageError>) + Send>;
/// One write; given an error instead of a connection, it only passes that on.
type Job = Box<dyn FnOnce(Result<&mut AnyConnection, StorageError>) -> Done + Send>;

/// A write that was tried.
struct Done {
    outcome: Outcome,
    /// It may have left a part of itself, which nothing but a roll-back of the whole group undoes.
    spoils: bool,
}

/// The way to the writing thread. The thread ends when the last handle is dropped.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Opens the writing connection and starts its thread.
    pub(super) fn start(url: &DatabaseUrl) -> Result<Self, StorageError> {
        let mut connection = establish(url)?;
        connection.batch_execute(TUNING)?;
        let checkpoints = Checkpoints::start(url, &mut connection)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = Thread { connection, checkpoints };
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || thread.serve(queue))
            .map_err(|e| StorageError::Fault(e.to_string()))?;
        Ok(Self { jobs })
    }

    /// Queues `work` and waits until it is durable. Where it fails it is undone by itself.
    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.queue(|connection| run_transaction(connection, work), false).await
    }

    /// The same without a savepoint: where `work` fails, those that were to be committed with it are undone too, and told to
    /// come back.
    pub(super) async fn write_bare<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let run = |connection: &mut AnyConnection| {
            caught(|| work(connection)).unwrap_or_else(|panicked| Err(E::from(panicked)))
        };
        self.queue(run, true).await
    }

    /// Queues `run` and waits until it is durable; `is_bare` where nothing else undoes what it wrote before it failed.
    async fn queue<T, E, F>(&self, run: F, is_bare: bool) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection.map_err(E::from).and_then(run);
            let spoils = is_bare && result.is_err();
            let outcome = Box::new(move |committed| {
                let answered = match (committed, result) {
                    // A refusal stands whether or not the others' commit failed: it wrote nothing.
                    (_, Err(refused)) => Err(refused),
                    (Ok(()), Ok(value)) => Ok(value),
                    (Err(failed), Ok(_)) => Err(E::from(failed)),
                };
                // The caller may have gone; the write stands all the same.
                let _ = answer.send(answered);
            });
            Done { outcome, spoils }
        });
        self.jobs.try_send(job).map_err(|_| StorageError::Busy)?;
        answered.await.map_err(|_| StorageError::Fault("the writer ended".to_owned()))?
    }
}

/// What the writing thread has.
struct Thread {
    connection: AnyConnection,
    checkpoints: Option<Checkpoints>,
}

impl Thread {
    fn serve(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            if let Err(error) = self.begin() {
                (first(Err(error)).outcome)(Ok(()));
                continue;
            }
            let mut outcomes = Vec::new();
            let mut next = Some(first);
            let mut spoilt = false;
            while let Some(job) = next.take() {
                let done = job(Ok(&mut self.connection));
                outcomes.push(done.outcome);
                spoilt |= done.spoils;
                if !spoilt && outcomes.len() < GROUP {
                    next = queue.try_recv().ok();
                }
            }
            let ended = if spoilt { self.undo() } else { self.commit() };
            for outcome in outcomes {
                outcome(ended.clone());
            }
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.after_commit(&mut self.connection);
            }
        }
    }

    fn begin(&mut self) -> Result<(), StorageError> {
        // Immediate: a deferred transaction that reads first could not become a writer later.
        match &mut self.connection {
            AnyConnection::Sqlite(sqlite) => {
                AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE")?;
            }
            AnyConnection::Postgres(postgres) => AnsiTransactionManager::begin_transaction(postgres)?,
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        let committed = <Manager as TransactionManager<_>>::commit_transaction(&mut self.connection);
        committed.map_err(|error| {
            let cause = error.to_string();
            log::error!(cause = cause.as_str(); "a commit failed");
            self.roll_back();
            StorageError::from(error)
        })
    }

    /// Leaves nothing of the group. Its other writes were in order, and are to come again.
    fn undo(&mut self) -> Result<(), StorageError> {
        self.roll_back();
        Err(StorageError::Busy)
    }

    fn roll_back(&mut self) {
        let rolled_back = <Manager as TransactionManager<_>>::rollback_transaction(&mut self.connection);
        if let Err(error) = rolled_back {
            log::debug!("nothing was left to roll back: {error}");
        }
    }
}

/// What becomes of a caller whose work panicked.
pub(super) fn panicked() -> StorageError {
    StorageError::Fault("the work on the database panicked".to_owned())
}

pub(super) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, StorageError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| panicked())
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
        caught(|| work(connection)).map_err(Wrapped::Storage)?.map_err(Wrapped::Caller)
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
