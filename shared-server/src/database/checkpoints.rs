//! SQLite's write-ahead log is copied into the database beside the writer, so that nobody's commit waits for it.
//!
//! A pass copies what was in the log when it began, while the writer appends. What came meanwhile is less each time. The
//! log begins anew only once all of it is copied, and while somebody writes all the time there is no such moment: the
//! last few pages are left to the writer, between two commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Integer, Text};

use super::connection::establish;
use super::{AnyConnection, DatabaseUrl, StorageError};

/// The log is copied once it has so many pages, 16 MiB: what many commits change is copied once.
const FULL: i32 = 4_000;
/// How long until the log is looked at again, while others write.
const LOOK: Duration = Duration::from_millis(10);
/// So few pages are left to the writer at once.
const FEW: i32 = 64;

/// The log, in pages.
#[derive(Clone, Copy, Debug, QueryableByName)]
struct Log {
    /// All that it holds; less than nothing where there is none.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// What of it is in the database.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

impl Log {
    fn left(self) -> i32 {
        self.log - self.checkpointed
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Whether this version has the checkpoint that copies nothing (3.51); to one before, the word is none, and it copies.
fn tells_its_length(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(3), Some(51))
}

/// The writer's side of the thread that copies. The thread ends when this is dropped.
pub(super) struct Checkpoints {
    commits: SyncSender<()>,
    finish: Arc<AtomicBool>,
}

impl Checkpoints {
    /// Starts the thread, after which no commit of `writing` copies the log by itself. Where SQLite is the system's and too old
    /// to be asked how long its log is, there is none, and the commit that fills the log copies it.
    pub(super) fn start(
        url: &DatabaseUrl,
        writing: &mut AnyConnection,
    ) -> Result<Option<Self>, StorageError> {
        let Version { version } = sql_query("SELECT sqlite_version() AS version").get_result(writing)?;
        let by_commits = if tells_its_length(&version) { 0 } else { FULL };
        writing.batch_execute(&format!("PRAGMA wal_autocheckpoint = {by_commits}"))?;
        if by_commits > 0 {
            return Ok(None);
        }
        let mut connection = establish(url)?;
        let (commits, told) = sync_channel(1);
        let finish = Arc::new(AtomicBool::new(false));
        let finishing = finish.clone();
        std::thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn(move || serve(&mut connection, &told, &finishing))
            .map_err(|e| StorageError::Fault(e.to_string()))?;
        Ok(Some(Self { commits, finish }))
    }

    /// To be called after each commit, on the connection that made it: copies what was left to the writer.
    pub(super) fn after_commit(&self, connection: &mut AnyConnection) {
        if self.finish.load(Ordering::Acquire) {
            report(pass(connection));
            self.finish.store(false, Ordering::Release);
        }
        // It is told already where this is full.
        let _ = self.commits.try_send(());
    }
}

fn serve(connection: &mut AnyConnection, told: &Receiver<()>, finish: &AtomicBool) {
    // What is left where readers hold the log up is not tried again before there is more of it.
    let mut full = FULL;
    while told.recv().is_ok() {
        if !finish.load(Ordering::Acquire) {
            full = match ask(connection, "noop") {
                Ok(log) if log.log < FULL => FULL,
                Ok(log) if log.log < full => full,
                Ok(log) => {
                    report(copy(connection, log, finish));
                    log.log.saturating_add(FULL / 4)
                }
                Err(error) => {
                    report(Err(error));
                    full
                }
            };
        }
        std::thread::sleep(LOOK);
    }
}

/// Copies for as long as each pass leaves at most half of what the one before left, and asks the writer for the rest.
fn copy(connection: &mut AnyConnection, mut log: Log, finish: &AtomicBool) -> Result<(), StorageError> {
    loop {
        let before = log.left();
        pass(connection)?;
        log = ask(connection, "noop")?;
        // Also where nothing is left: the writer may be in the midst of a transaction, and only one that begins when all is
        // copied begins the log anew.
        if log.left() <= FEW || log.left() > before / 2 {
            finish.store(true, Ordering::Release);
            return Ok(());
        }
    }
}

fn pass(connection: &mut AnyConnection) -> Result<(), StorageError> {
    ask(connection, "passive").map(drop)
}

fn ask(connection: &mut AnyConnection, mode: &str) -> Result<Log, StorageError> {
    Ok(sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(connection)?)
}

/// The log grows until it is copied after all, and nothing is lost: whoever operates the server should hear of it.
fn report(done: Result<(), StorageError>) {
    if let Err(error) = done {
        log::warn!(cause = error.to_string().as_str(); "the write-ahead log could not be copied into the database");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_copied_in_the_midst_of_a_transaction_begins_anew_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse("sqlite://test.db", directory.path()).unwrap();
        let (mut writing, mut copying) = (establish(&url).unwrap(), establish(&url).unwrap());
        let mut write = |sql: &str| writing.batch_execute(sql).unwrap();
        write("PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (filling BLOB)");
        write("INSERT INTO t VALUES (randomblob(1000000))");
        let (commits, _told) = sync_channel(1);
        let checkpoints = Checkpoints { commits, finish: Arc::default() };

        write("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
        let log = ask(&mut copying, "noop").unwrap();
        copy(&mut copying, log, &checkpoints.finish).unwrap();
        assert_eq!(ask(&mut copying, "noop").unwrap().left(), 0);
        write("COMMIT");
        checkpoints.after_commit(&mut writing);
        writing.batch_execute("INSERT INTO t VALUES (1)").unwrap();

        let anew = ask(&mut copying, "noop").unwrap();
        assert!(anew.log < 10, "{anew:?}");
    }

    #[test]
    fn a_system_s_sqlite_before_3_51_is_not_asked_how_long_its_log_is() {
        for old in ["3.40.1", "3.50.4", "2.8", "", "unknown"] {
            assert!(!tells_its_length(old), "{old}");
        }
        for new in ["3.51.0", "3.53.2", "4.0"] {
            assert!(tells_its_length(new), "{new}");
        }
    }
}
