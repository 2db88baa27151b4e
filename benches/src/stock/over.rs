//! Millions of grants that are over, written by SQL: one by one they would take an hour.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use shared_claims::clock::UnixTime;

use crate::server::Server;

/// Rows of one statement.
const BATCH: usize = 1_000_000;
/// How long a token lived, and the assertion that bought it, in seconds.
const LIFETIME: i64 = 3_600;
/// How many were bought a second.
const RATE: usize = 3_000;

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Writes `count` grants that have ended, the last of them at `end`, each with the assertion that bought it, copies of one that
/// is there. As if they had been bought one after the other, 3,000 a second: their ids ascend, their digests are random.
/// The indexes are dropped meanwhile and made anew. The server has to be stopped, and the file is worth nothing where this fails: nothing of it can be undone.
///
/// # Panics
/// The database fails.
pub fn tokens_that_are_over(server: &Server, count: usize, end: UnixTime) {
    let file = server.database().to_string_lossy().into_owned();
    let mut sqlite = SqliteConnection::establish(&file).expect("the database opens");
    let mut run = |sql: &str| sqlite.batch_execute(sql).unwrap_or_else(|why| panic!("{why}: {sql}"));
    // A table of random keys that does not fit into the cache is read and written anew for each row.
    run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000");
    let indexes: Vec<Index> = sql_query(
        "SELECT name, sql FROM sqlite_master \
         WHERE type = 'index' AND tbl_name IN ('grants', 'used_assertions') AND sql IS NOT NULL",
    )
    .load(&mut sqlite)
    .expect("the schema can be read");
    let mut run = |sql: &str| sqlite.batch_execute(sql).unwrap_or_else(|why| panic!("{why}: {sql}"));
    run("CREATE TEMP TABLE template AS SELECT * FROM grants LIMIT 1");
    indexes.iter().for_each(|index| run(&format!("DROP INDEX {}", index.name)));
    for first in (0..count).step_by(BATCH) {
        run(&grants(first, BATCH.min(count - first), (count, end)));
        eprintln!("{} of {count} grants that are over", count.min(first + BATCH));
    }
    // A token and its assertion have the same slot: they live for as long.
    run(&format!(
        "INSERT INTO used_assertions (issuer, replay_key, expires_at, slot) \
         SELECT issuer, assertion_digest, expires_at, slot FROM grants WHERE expires_at <= {} ORDER BY rowid",
        end.0
    ));
    indexes.iter().for_each(|index| run(&index.sql));
    run("PRAGMA journal_mode = WAL");
    // Or the first minute would be spent beside the kernel that writes gigabytes.
    std::fs::File::open(&file).and_then(|file| file.sync_all()).expect("the file can be synced");
}

/// Those from `first` on, of so many in all of which the last one ended at `end`.
fn grants(first: usize, count: usize, (all, end): (usize, UnixTime)) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}), \
         fresh (id, ended) AS MATERIALIZED ( \
             SELECT printf('%08x-0000-7000-8000-%012x', i + {first}, abs(random() % 281474976710656)), \
                 {end} - ({all} - {first} - i) / {RATE} FROM n) \
         INSERT INTO grants (id, access_digest, consumer_key, application_id, key_type, subject, issuer, \
             identity_provider_id, key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, family) \
         SELECT fresh.id, randomblob(32), consumer_key, application_id, key_type, 'person-' || fresh.id, issuer, \
             identity_provider_id, key_thumbprint, fresh.id, randomblob(32), scopes, ended - {LIFETIME}, ended, fresh.id \
         FROM fresh, temp.template",
        end = end.0,
    )
}
