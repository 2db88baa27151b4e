//! The assertions that were exchanged: what makes single use single, across restarts and nodes.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::used_assertions;

/// Marks an assertion as used until `until`. The unique index decides between two who do so at once.
///
/// # Errors
/// [`StorageError::Duplicate`]: it was used before; this is the replay.
pub fn claim(
    connection: &mut AnyConnection,
    issuer: &str,
    replay_key: &Digest,
    until: UnixTime,
) -> Result<(), StorageError> {
    let row = (
        used_assertions::issuer.eq(issuer),
        used_assertions::replay_key.eq(replay_key.as_bytes().as_slice()),
        used_assertions::expires_at.eq(until.0),
    );
    either!(connection, native => diesel::insert_into(used_assertions::table).values(row).execute(native)?);
    Ok(())
}

/// Whether an assertion was used; for explanations, never instead of [`claim`].
///
/// # Errors
/// [`StorageError`].
pub fn is_claimed(
    connection: &mut AnyConnection,
    issuer: &str,
    replay_key: &Digest,
) -> Result<bool, StorageError> {
    let row = used_assertions::table
        .filter(used_assertions::issuer.eq(issuer))
        .filter(used_assertions::replay_key.eq(replay_key.as_bytes().as_slice()))
        .select(used_assertions::expires_at);
    Ok(row.get_result::<i64>(connection).optional()?.is_some())
}

/// Forgets at most `batch` assertions that every rule refuses as expired by now.
///
/// # Errors
/// [`StorageError`].
pub fn remove_expired(
    connection: &mut AnyConnection,
    now: UnixTime,
    batch: i64,
) -> Result<u64, StorageError> {
    // In the order in which they came, which is that of SQLite's rowids: what lies side by side goes together.
    let delete = |[key, end, most]: [&str; 3]| {
        sql_query(format!(
            "DELETE FROM used_assertions WHERE ({key}) IN (SELECT {key} \
             FROM used_assertions WHERE expires_at <= {end} ORDER BY expires_at LIMIT {most})"
        ))
        .bind::<BigInt, _>(now.0)
        .bind::<BigInt, _>(batch)
    };
    let removed = match connection {
        AnyConnection::Sqlite(sqlite) => delete(["rowid", "?", "?"]).execute(sqlite)?,
        AnyConnection::Postgres(postgres) => delete(["issuer, replay_key", "$1", "$2"]).execute(postgres)?,
    };
    Ok(u64::try_from(removed).unwrap_or_default())
}
