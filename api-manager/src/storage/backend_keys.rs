//! The key that signs what backends are told about callers: one, sealed, shared by every node.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::backend_keys;

/// The generation that signs.
const PRESENT: i64 = 1;

/// The sealed key, where there is one.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut AnyConnection) -> Result<Option<Vec<u8>>, StorageError> {
    Ok(backend_keys::table
        .find(PRESENT)
        .select(backend_keys::sealed_key)
        .get_result(connection)
        .optional()?)
}

/// Adds the key.
///
/// # Errors
/// [`StorageError::Duplicate`] where another node was faster.
pub fn insert(connection: &mut AnyConnection, sealed: &[u8], now: UnixTime) -> Result<(), StorageError> {
    let row = (
        backend_keys::generation.eq(PRESENT),
        backend_keys::sealed_key.eq(sealed),
        backend_keys::created_at.eq(now.0),
    );
    diesel::insert_into(backend_keys::table).values(row).execute(connection)?;
    Ok(())
}
