//! The table `revoked_tokens`: access tokens called back before their end, by `jti`.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::revoked_tokens;

/// Remembers until `expires_at` that the token is revoked; a second time changes nothing.
///
/// # Errors
/// [`StorageError`].
pub fn insert(connection: &mut AnyConnection, jti: &str, expires_at: UnixTime) -> Result<(), StorageError> {
    let row = (revoked_tokens::jti.eq(jti), revoked_tokens::expires_at.eq(expires_at.0));
    either!(connection, native => diesel::insert_into(revoked_tokens::table)
        .values(row).on_conflict_do_nothing().execute(native))?;
    Ok(())
}

/// Whether the token was revoked.
///
/// # Errors
/// [`StorageError`].
pub fn contains(connection: &mut AnyConnection, jti: &str) -> Result<bool, StorageError> {
    let row = revoked_tokens::table.find(jti).select(revoked_tokens::jti);
    let found: Option<String> = either!(connection, native => row.get_result(native).optional()?);
    Ok(found.is_some())
}

/// Removes at most `most` rows that ended before `before`; answers how many went.
///
/// # Errors
/// [`StorageError`].
pub fn sweep(connection: &mut AnyConnection, before: UnixTime, most: i64) -> Result<usize, StorageError> {
    let old: Vec<String> = revoked_tokens::table
        .filter(revoked_tokens::expires_at.lt(before.0))
        .limit(most)
        .select(revoked_tokens::jti)
        .load(connection)?;
    let gone = revoked_tokens::table.filter(revoked_tokens::jti.eq_any(old));
    Ok(either!(connection, native => diesel::delete(gone).execute(native))?)
}
