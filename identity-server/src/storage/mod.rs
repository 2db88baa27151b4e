//! What is remembered: one file per table, functions on a connection, rows private to their file.

pub mod clients;
pub mod refresh_tokens;
pub mod revoked_tokens;
pub mod schema;
pub mod sign_in_failures;
pub mod signing_keys;
pub mod users;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared_server::database::{Migrations, StorageError};

/// The migrations for either database; both folders hold the same names.
pub const MIGRATIONS: Migrations = Migrations { sqlite: sqlite_migrations, postgres: postgres_migrations };

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

fn sqlite_migrations() -> EmbeddedMigrations {
    SQLITE
}

fn postgres_migrations() -> EmbeddedMigrations {
    POSTGRES
}

/// A row that this version cannot read: written by hand, or by a later version.
fn unreadable(table: &str, column: &str) -> StorageError {
    StorageError::Fault(format!("a row of {table} has an unreadable {column}"))
}
