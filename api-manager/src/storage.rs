//! One file for each table: functions on a connection, rows private to the file. Knows diesel, never http or flows.

pub mod api_documents;
pub mod api_keys;
pub mod apis;
pub mod application_certificates;
pub mod application_keys;
pub mod applications;
pub mod backend_keys;
pub mod deny_rules;
pub mod grants;
pub mod identity_providers;
pub mod lifecycle_events;
pub mod mapped_clients;
pub mod revisions;
pub mod revocations;
pub mod route_changes;
pub mod schema;
pub mod slots;
pub mod subscriptions;
pub mod tiers;
pub mod turns;
pub mod usage_counts;
pub mod used_assertions;

use shared_server::database::StorageError;

/// A stored value that does not read: somebody else wrote it, or a newer version did.
fn unreadable(table: &str, column: &str) -> StorageError {
    StorageError::Fault(format!("a row of {table} has an unreadable {column}"))
}
