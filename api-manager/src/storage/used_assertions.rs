//! The assertions that were exchanged: what makes single use single, across restarts and nodes.

use diesel::dsl::min;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::used_assertions;
use super::slots;

/// Marks an assertion as used until `until`. Of two who do so at once one does: SQLite has one writer, PostgreSQL a unique index.
///
/// # Errors
/// [`StorageError::Duplicate`]: it was used before; this is the replay.
pub fn claim(
    connection: &mut AnyConnection,
    issuer: &str,
    replay_key: &Digest,
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StorageError> {
    if matches!(connection, AnyConnection::Sqlite(_)) && is_claimed(connection, issuer, replay_key, now)? {
        return Err(StorageError::Duplicate);
    }
    enter(connection, issuer, replay_key, until, now)
}

/// [`claim`] of an assertion that is known, in this transaction, not to be used on SQLite.
///
/// # Errors
/// As [`claim`]; on SQLite only where the assertion is in the same slot.
pub fn enter(
    connection: &mut AnyConnection,
    issuer: &str,
    replay_key: &Digest,
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StorageError> {
    let row = (
        used_assertions::issuer.eq(issuer),
        used_assertions::replay_key.eq(replay_key.as_bytes().as_slice()),
        used_assertions::expires_at.eq(until.0),
    );
    match connection {
        AnyConnection::Sqlite(sqlite) => {
            let slot = used_assertions::slot.eq(slots::of(until, until.0.saturating_sub(now.0)));
            diesel::insert_into(used_assertions::table).values((row, slot)).execute(sqlite)?
        }
        AnyConnection::Postgres(postgres) => {
            diesel::insert_into(used_assertions::table).values(row).execute(postgres)?
        }
    };
    Ok(())
}

/// Whether an assertion was used that is not over for longer than [`slots::GRACE`]; for explanations, never instead of [`claim`].
///
/// # Errors
/// [`StorageError`].
pub fn is_claimed(
    connection: &mut AnyConnection,
    issuer: &str,
    replay_key: &Digest,
    now: UnixTime,
) -> Result<bool, StorageError> {
    let row = used_assertions::table
        .filter(used_assertions::issuer.eq(issuer))
        .filter(used_assertions::replay_key.eq(replay_key.as_bytes().as_slice()))
        .select(used_assertions::expires_at);
    let found: Option<i64> = match connection {
        AnyConnection::Sqlite(sqlite) => {
            let mut slots = slots::later(now, |last, until| first_slot_between(sqlite, last, until))?;
            slots.extend(slots::around(now));
            row.filter(used_assertions::slot.eq_any(slots)).get_result(sqlite).optional()?
        }
        AnyConnection::Postgres(postgres) => row.get_result(postgres).optional()?,
    };
    Ok(found.is_some())
}

fn first_slot_between(sqlite: &mut SqliteConnection, last: i64, until: i64) -> QueryResult<Option<i64>> {
    used_assertions::table
        .filter(used_assertions::slot.gt(last))
        .filter(used_assertions::slot.lt(until))
        .select(min(used_assertions::slot))
        .get_result(sqlite)
}

/// Forgets at most `batch` assertions that every rule refuses as expired by now. On SQLite those of a slot of time go when the last of
/// them has ended, in the order of their keys: page after page, where one after the other each would be a page of its own.
///
/// # Errors
/// [`StorageError`].
pub fn remove_expired(
    connection: &mut AnyConnection,
    now: UnixTime,
    batch: i64,
) -> Result<u64, StorageError> {
    let removed = match connection {
        AnyConnection::Sqlite(sqlite) => {
            let mut removed = 0;
            for (first, last) in slots::over(now) {
                while left(batch, removed) > 0
                    && let Some(slot) = first_slot_between(sqlite, first - 1, last + 1)?
                {
                    removed += remove_of_slot(sqlite, slot, left(batch, removed))?;
                }
            }
            removed + remove_of_all_times(sqlite, now, left(batch, removed))?
        }
        AnyConnection::Postgres(postgres) => sql_query(
            "DELETE FROM used_assertions WHERE (issuer, replay_key) IN (SELECT issuer, replay_key \
             FROM used_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind::<BigInt, _>(now.0)
        .bind::<BigInt, _>(batch)
        .execute(postgres)?,
    };
    Ok(u64::try_from(removed).unwrap_or_default())
}

/// Of a slot that is over whatever its rows are.
fn remove_of_slot(sqlite: &mut SqliteConnection, slot: i64, most: i64) -> QueryResult<usize> {
    sql_query(
        "DELETE FROM used_assertions WHERE slot = ? AND (replay_key, issuer) IN (SELECT replay_key, issuer \
         FROM used_assertions WHERE slot = ? ORDER BY replay_key, issuer LIMIT ?)",
    )
    .bind::<BigInt, _>(slot)
    .bind::<BigInt, _>(slot)
    .bind::<BigInt, _>(most)
    .execute(sqlite)
}

/// Of the slot that is never over, by the index that holds its rows only.
fn remove_of_all_times(sqlite: &mut SqliteConnection, now: UnixTime, most: i64) -> QueryResult<usize> {
    sql_query(
        "DELETE FROM used_assertions WHERE slot = 0 AND (replay_key, issuer) IN (SELECT replay_key, issuer \
         FROM used_assertions INDEXED BY used_assertions_by_end WHERE slot = 0 AND expires_at <= ? LIMIT ?)",
    )
    .bind::<BigInt, _>(now.0)
    .bind::<BigInt, _>(most)
    .execute(sqlite)
}

/// What is left of a batch.
fn left(batch: i64, removed: usize) -> i64 {
    batch.saturating_sub(i64::try_from(removed).unwrap_or(i64::MAX)).max(0)
}
