//! Parallel writers, roll-backs, panics, and a database that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;

use super::*;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn database(directory: &std::path::Path) -> Database {
    let url = DatabaseUrl::parse("sqlite://test.db", directory).unwrap();
    Database::open(&url, 4).unwrap()
}

/// A database with the table `t`, for as long as its folder is held.
async fn with_table(columns: &'static str) -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = database(directory.path());
    let create =
        move |c: &mut AnyConnection| sql_query(format!("CREATE TABLE t ({columns}) STRICT")).execute(c);
    database.write(move |c| create(c).map_err(StorageError::from)).await.unwrap();
    (directory, database)
}

async fn execute(database: &Database, sql: &'static str) -> Result<usize, StorageError> {
    database.write(move |c| sql_query(sql).execute(c).map_err(StorageError::from)).await
}

async fn count(database: &Database) -> i64 {
    let counted = database.read(|c| {
        sql_query("SELECT count(*) AS n FROM t").get_result::<Count>(c).map_err(StorageError::from)
    });
    counted.await.unwrap().n
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_parallel_writers_all_get_through() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    let done = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..200)
        .map(|_| {
            let (database, done) = (database.clone(), done.clone());
            tokio::spawn(async move {
                execute(&database, "INSERT INTO t SELECT count(*) FROM t").await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }

    assert_eq!((done.load(Ordering::SeqCst), count(&database).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_leaves_nothing_and_spoils_no_other() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    let (good, bad) = tokio::join!(
        execute(&database, "INSERT INTO t VALUES (1)"),
        database.write::<(), StorageError, _>(|c| {
            sql_query("INSERT INTO t VALUES (2)").execute(c)?;
            sql_query("INSERT INTO t VALUES (2)").execute(c)?;
            Ok(())
        })
    );

    assert_eq!((good, bad), (Ok(1), Err(StorageError::Duplicate)));
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_write_is_an_error_and_the_writer_lives_on() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    let broken = database
        .write::<(), StorageError, _>(|c| {
            sql_query("INSERT INTO t VALUES (1)").execute(c)?;
            panic!("on purpose")
        })
        .await;

    assert!(matches!(broken, Err(StorageError::Fault(_))));
    assert_eq!(execute(&database, "INSERT INTO t VALUES (1)").await, Ok(1));
    assert_eq!(count(&database).await, 1);
}

/// Writes `before`, `one` and `another` in one commit.
async fn in_one_group(
    database: &Database,
    one: impl Future<Output = Result<usize, StorageError>>,
    another: impl Future<Output = Result<usize, StorageError>>,
) -> [Result<usize, StorageError>; 3] {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let before = database.write(move |c| {
        let _ = wait.recv();
        sql_query("INSERT INTO t VALUES (100)").execute(c).map_err(StorageError::from)
    });
    let go = async move { drop(go) };
    // Polled in this order: the writer waits with the first while the others are queued.
    let (before, one, another, ()) = tokio::join!(biased; before, one, another, go);
    [before, one, another]
}

fn bare(database: &Database, sql: [&'static str; 2]) -> impl Future<Output = Result<usize, StorageError>> {
    database.write_in_one_statement(move |c| {
        let [first, second] = sql.map(sql_query);
        first.execute(c)?;
        Ok(second.execute(c)?)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_without_savepoints_are_committed_together() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    let one = bare(&database, ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"]);
    let another = execute(&database, "INSERT INTO t VALUES (1)");
    let ended = in_one_group(&database, one, another).await;

    assert_eq!(ended, [Ok(1), Ok(1), Err(StorageError::Duplicate)]);
    assert_eq!(count(&database).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_write_without_a_savepoint_is_undone_and_its_neighbours_are_told_to_come_again() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    let broken = bare(&database, ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"]);
    let good = execute(&database, "INSERT INTO t VALUES (3)");
    let ended = in_one_group(&database, broken, good).await;

    // The last came after the fault, and so in a commit of its own.
    assert_eq!(ended, [Err(StorageError::Busy), Err(StorageError::Duplicate), Ok(1)]);
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_without_a_savepoint_leaves_nothing() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    let broken = database
        .write_in_one_statement::<(), StorageError, _>(|c| {
            sql_query("INSERT INTO t VALUES (1)").execute(c)?;
            panic!("on purpose")
        })
        .await;

    assert!(matches!(broken, Err(StorageError::Fault(_))));
    assert_eq!(count(&database).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_sqlite_ended_by_itself_costs_no_later_write() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;

    // As it does where the disk is full.
    for sql in ["ROLLBACK", "ROLLBACK; SELECT nonsense"] {
        let end = move |c: &mut AnyConnection| c.batch_execute(sql).map_err(StorageError::from);
        let _ = database.write(end).await;
        let _ = database.write_in_one_statement(end).await;
    }

    assert_eq!(execute(&database, "INSERT INTO t VALUES (1)").await, Ok(1));
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_begins_anew_while_somebody_writes_all_the_time() {
    let (directory, database) = with_table("filling BLOB").await;
    let log = || directory.path().join("test.db-wal").metadata().unwrap().len();

    // Ten times what fits into it, by writers who leave no moment between them.
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for _ in 0..320 {
                    execute(&database, "INSERT INTO t VALUES (randomblob(65536))").await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }

    assert!(log() < 64 << 20, "{} MiB", log() >> 20);
    assert_eq!(count(&database).await, 2_560);
}

#[test]
fn a_url_without_a_known_scheme_is_refused_without_repeating_it() {
    for bad in ["postgres:oops", "mysql://u:secret@h/d", "file.db", "sqlite://"] {
        let refusal = DatabaseUrl::parse(bad, std::path::Path::new("/x")).unwrap_err();
        assert!(!refusal.contains("secret"));
    }
    let url = DatabaseUrl::parse("postgres://u:secret@h/d", std::path::Path::new("/x")).unwrap();
    assert!(!format!("{url:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_postgres_is_unavailable_not_a_hang() {
    let url = DatabaseUrl::parse("postgres://u:p@127.0.0.1:1/d", std::path::Path::new("/x")).unwrap();
    let database = Database::open(&url, 2).unwrap();
    let answer = database.read::<(), StorageError, _>(|_| Ok(())).await;
    assert!(matches!(answer, Err(StorageError::Unavailable(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_counted_and_reads_are_not() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY").await;
    execute(&database, "nonsense").await.unwrap_err();
    assert_eq!(count(&database).await, 0);
    assert_eq!(database.writes(), 2);
}

/// Four thousand pages.
const FILL: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) \
                    INSERT INTO t SELECT i, zeroblob(2000) FROM n";

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_the_pages_stays_free_while_others_write() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY, filling BLOB").await;
    for sql in [FILL, "INSERT INTO t SELECT id + 8000, filling FROM t", "DELETE FROM t WHERE id > 12000"] {
        execute(&database, sql).await.unwrap();
    }
    let give_back =
        async |others_write| database.write(move |c| space::give_back(c, 100, others_write)).await;

    assert_eq!(give_back(true).await, Ok(0));
    assert_eq!(give_back(false).await, Ok(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_given_back_a_few_pages_at_a_time() {
    let (_directory, database) = with_table("id INTEGER PRIMARY KEY, filling BLOB").await;
    execute(&database, FILL).await.unwrap();
    let pages = async || {
        let counted = database.read(|c| {
            sql_query("SELECT page_count AS n FROM pragma_page_count")
                .get_result::<Count>(c)
                .map_err(StorageError::from)
        });
        counted.await.unwrap().n
    };
    let give_back = async |most| database.write(move |c| space::give_back(c, most, false)).await;
    let full = pages().await;

    assert_eq!(give_back(100).await, Ok(0), "there is nothing to give");
    execute(&database, "DELETE FROM t WHERE id > 10").await.unwrap();
    assert_eq!(give_back(100).await, Ok(100));
    assert_eq!(pages().await, full - 100);
    while give_back(500).await.unwrap() > 0 {}
    assert!(pages().await < 1_200, "{} of {full}", pages().await);
    assert_eq!(count(&database).await, 10);
}
