//! Databases as they were before a migration.

use diesel_migrations::MigrationHarness;
use shared_server::database::{AnyConnection, Migrations, StorageError};

/// Undoes the newest migrations, back to the version that is named and with it.
///
/// # Errors
/// [`StorageError::Fault`] where one cannot be undone, or there is no such version.
pub fn turn_back(
    connection: &mut AnyConnection,
    migrations: Migrations,
    version: &str,
) -> Result<(), StorageError> {
    loop {
        let undone = match connection {
            AnyConnection::Sqlite(sqlite) => sqlite.revert_last_migration((migrations.sqlite)()),
            AnyConnection::Postgres(postgres) => postgres.revert_last_migration((migrations.postgres)()),
        };
        if undone.map_err(|why| StorageError::Fault(why.to_string()))?.to_string() == version {
            return Ok(());
        }
    }
}
