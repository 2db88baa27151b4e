//! Counters that other processes watch to learn that something has changed.

use diesel::prelude::*;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::revisions;

/// Moves with everything that the gateway compiles.
pub const ROUTES: &str = "routes";
/// Moves with every identity provider.
pub const TRUST: &str = "trust";

/// The counter's present value; 0 where nobody has ever moved it.
///
/// # Errors
/// The database failed.
pub fn read(connection: &mut AnyConnection, name: &str) -> Result<i64, StorageError> {
    let counter = revisions::table.find(name).select(revisions::value);
    let value = either!(connection, native => counter.get_result(native).optional()?);
    Ok(value.unwrap_or(0))
}

/// Moves the counter on; says where to.
///
/// Flows call it first in their transaction: the row's lock then makes writers of the same kind take turns on
/// PostgreSQL as they do on SQLite.
///
/// # Errors
/// The database failed.
pub fn bump(connection: &mut AnyConnection, name: &str) -> Result<i64, StorageError> {
    let counter = diesel::update(revisions::table.find(name));
    let moved = counter.set(revisions::value.eq(revisions::value + 1)).execute(connection)?;
    if moved == 0 {
        let row = (revisions::name.eq(name), revisions::value.eq(1));
        diesel::insert_into(revisions::table).values(row).execute(connection)?;
    }
    // The row is locked until the transaction ends: nobody else has moved it since.
    read(connection, name)
}
