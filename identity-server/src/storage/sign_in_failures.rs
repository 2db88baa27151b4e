//! The table `sign_in_failures`: by digest of the name tried, so that unknown names are remembered like known ones.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::sign_in_failures;
use crate::domain::lockout::Lockout;

/// Attempts to get a failure in between those of others.
const MOST_TRIES: usize = 50;

/// The failures under this name so far.
///
/// # Errors
/// [`StorageError`].
pub fn find(connection: &mut AnyConnection, name: &Digest) -> Result<Lockout, StorageError> {
    let row: Option<(i64, i64, i64)> = sign_in_failures::table
        .find(name.as_bytes().to_vec())
        .select((
            sign_in_failures::failures,
            sign_in_failures::locked_until,
            sign_in_failures::last_failure_at,
        ))
        .get_result(connection)
        .optional()?;
    Ok(row.map_or(Lockout::NONE, |(failures, until, last)| Lockout {
        failures,
        locked_until: UnixTime(until),
        last_failure_at: UnixTime(last),
    }))
}

/// Counts one more failure. Of two at the same moment both count: each update insists on the number that it read.
///
/// # Errors
/// [`StorageError::Busy`] where others were always faster.
pub fn record(connection: &mut AnyConnection, name: &Digest, now: UnixTime) -> Result<Lockout, StorageError> {
    for _ in 0..MOST_TRIES {
        let before = find(connection, name)?;
        let after = before.after_failure(now);
        if after == before {
            return Ok(after);
        }
        let values = (
            sign_in_failures::failures.eq(after.failures),
            sign_in_failures::locked_until.eq(after.locked_until.0),
            sign_in_failures::last_failure_at.eq(after.last_failure_at.0),
        );
        let changed = if before == Lockout::NONE {
            let row = (sign_in_failures::name_digest.eq(name.as_bytes().to_vec()), values);
            either!(connection, native => diesel::insert_into(sign_in_failures::table)
                .values(row).on_conflict_do_nothing().execute(native))?
        } else {
            let present = sign_in_failures::table
                .filter(sign_in_failures::name_digest.eq(name.as_bytes().to_vec()))
                .filter(sign_in_failures::failures.eq(before.failures))
                .filter(sign_in_failures::last_failure_at.eq(before.last_failure_at.0));
            diesel::update(present).set(values).execute(connection)?
        };
        // The same second and number may have been read by another: only the one that changed the row has counted.
        if changed == 1 {
            return Ok(after);
        }
    }
    Err(StorageError::Busy)
}

/// Forgets the failures of a name: it signed in, or its password was replaced.
///
/// # Errors
/// [`StorageError`].
pub fn forget(connection: &mut AnyConnection, name: &Digest) -> Result<(), StorageError> {
    diesel::delete(sign_in_failures::table.find(name.as_bytes().to_vec())).execute(connection)?;
    Ok(())
}

/// Removes at most `most` rows whose last failure was before `before`; answers how many went.
///
/// # Errors
/// [`StorageError`].
pub fn sweep(connection: &mut AnyConnection, before: UnixTime, most: i64) -> Result<usize, StorageError> {
    let old: Vec<Vec<u8>> = sign_in_failures::table
        .filter(sign_in_failures::last_failure_at.lt(before.0))
        .limit(most)
        .select(sign_in_failures::name_digest)
        .load(connection)?;
    let gone = sign_in_failures::table.filter(sign_in_failures::name_digest.eq_any(old));
    Ok(either!(connection, native => diesel::delete(gone).execute(native))?)
}
