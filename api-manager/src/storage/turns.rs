//! Work that one of several nodes is to do, whichever comes first.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use shared_server::database::{AnyConnection, StorageError};

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Bool)]
    taken: bool,
}

/// Whether it is this node's turn until the transaction ends. SQLite has no other nodes.
///
/// # Errors
/// The database failed.
pub fn is_ours(connection: &mut AnyConnection) -> Result<bool, StorageError> {
    match connection {
        AnyConnection::Sqlite(_) => Ok(true),
        AnyConnection::Postgres(postgres) => {
            // A number that nothing else locks.
            let lock = diesel::sql_query("SELECT pg_try_advisory_xact_lock(7231946504) AS taken");
            Ok(lock.get_result::<Taken>(postgres)?.taken)
        }
    }
}
