//! What many callers want, done by one statement: on PostgreSQL, what the write path of SQLite has in its group commit.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::writer::{caught, panicked};
use super::{AnyConnection, Database, StorageError};

/// Callers that may wait at once; one more is told to come back.
const MOST_WAITING: usize = 4_096;
/// The most that is done by one statement, so that the first does not wait for a stream of others.
const MOST: usize = 64;
/// How many batches are under way at once: while one is committed the next is worked on, and what comes meanwhile gathers.
const LANES: usize = 2;

/// Does all of them on one connection: a result for each, in their order. An error is one of all, and undid all.
type Work<J, R> = fn(&mut AnyConnection, &[J]) -> Result<Vec<R>, StorageError>;

/// The way of many callers to one statement; clones share it. Who comes alone is served at once and alone.
pub struct Batches<J, R>(Arc<Shared<J, R>>);

struct Shared<J, R> {
    database: Database,
    work: Work<J, R>,
    waiting: Mutex<Waiting<J, R>>,
}

struct Waiting<J, R> {
    entries: VecDeque<(J, Answer<R>)>,
    lanes: usize,
}

type Answer<R> = oneshot::Sender<Result<R, StorageError>>;

impl<J: Send + 'static, R: Send + 'static> Batches<J, R> {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(database: Database, work: Work<J, R>) -> Self {
        let waiting = Mutex::new(Waiting { entries: VecDeque::new(), lanes: 0 });
        Self(Arc::new(Shared { database, work, waiting }))
    }

    /// Has it done, with whatever others want at the same time, and waits for it. It is done also where the caller goes.
    ///
    /// # Errors
    /// [`StorageError::Busy`] or [`StorageError::Unavailable`] where no connection is to be had; else what the work says of this one.
    pub async fn join(&self, job: J) -> Result<R, StorageError> {
        let (answer, answered) = oneshot::channel();
        if self.0.queue(job, answer)? {
            let lane = Lane { shared: Arc::clone(&self.0), has_ended: false };
            tokio::spawn(lane.serve());
        }
        answered.await.map_err(|_| panicked())?
    }
}

impl<J: Send + 'static, R: Send + 'static> Shared<J, R> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<J, R>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether it takes one more lane, which is counted already.
    fn queue(&self, job: J, answer: Answer<R>) -> Result<bool, StorageError> {
        let mut waiting = self.waiting();
        if waiting.entries.len() >= MOST_WAITING {
            return Err(StorageError::Busy);
        }
        self.database.0.writes.fetch_add(1, Ordering::Relaxed);
        waiting.entries.push_back((job, answer));
        let takes_one_more = waiting.lanes < LANES;
        waiting.lanes += usize::from(takes_one_more);
        Ok(takes_one_more)
    }

    /// Without a connection nobody can be served.
    fn refuse(&self, error: &StorageError) {
        for (_, answer) in self.take(usize::MAX) {
            let _ = answer.send(Err(error.clone()));
        }
    }

    fn take(&self, most: usize) -> Vec<(J, Answer<R>)> {
        let entries = &mut self.waiting().entries;
        let most = most.min(entries.len());
        entries.drain(..most).collect()
    }

    /// Takes those who wait now, and not when the connection was asked for. Callers may have gone: it is done all the same.
    fn batch(&self, connection: &mut AnyConnection) {
        let (jobs, answers): (Vec<J>, Vec<Answer<R>>) = self.take(MOST).into_iter().unzip();
        if jobs.is_empty() {
            return;
        }
        match self.run(connection, &jobs) {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(Ok(result));
                }
            }
            // One of them is not fit, and the others shall not suffer for it.
            Err(StorageError::Duplicate | StorageError::InUse | StorageError::Fault(_)) if jobs.len() > 1 => {
                for (answer, job) in answers.into_iter().zip(&jobs) {
                    let alone = self.run(connection, std::slice::from_ref(job));
                    let _ = answer
                        .send(alone.and_then(|results| results.into_iter().next().ok_or_else(panicked)));
                }
            }
            // Nobody knows whether it was committed, or all may come again: nothing is sent twice.
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    fn run(&self, connection: &mut AnyConnection, jobs: &[J]) -> Result<Vec<R>, StorageError> {
        caught(|| (self.work)(connection, jobs))?
    }
}

/// One after the other, on a task of whoever found that there were too few. That may end with its thread: the others are not to
/// wait for it.
struct Lane<J: Send + 'static, R: Send + 'static> {
    shared: Arc<Shared<J, R>>,
    has_ended: bool,
}

impl<J: Send + 'static, R: Send + 'static> Lane<J, R> {
    /// Batch after batch, until nobody waits.
    async fn serve(mut self) {
        while !self.ends() {
            let shared = Arc::clone(&self.shared);
            let done = self.shared.database.on_connection(move |connection| {
                shared.batch(connection);
                Ok(())
            });
            if let Err(error) = done.await {
                self.shared.refuse(&error);
            }
        }
    }

    /// Under one lock, so that nobody comes in between who trusts in this lane.
    fn ends(&mut self) -> bool {
        let mut waiting = self.shared.waiting();
        if waiting.entries.is_empty() {
            waiting.lanes -= 1;
            self.has_ended = true;
        }
        self.has_ended
    }
}

impl<J: Send + 'static, R: Send + 'static> Drop for Lane<J, R> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut waiting = self.shared.waiting();
        waiting.lanes -= 1;
        let is_last = waiting.lanes == 0;
        drop(waiting);
        if is_last {
            self.shared.refuse(&StorageError::Busy);
        }
    }
}

impl<J, R> Clone for Batches<J, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J, R> std::fmt::Debug for Batches<J, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batches(…)")
    }
}

#[cfg(test)]
mod tests;
