//! What moved the counter of the routes, by its number: from it a gateway learns what to read anew.

use diesel::prelude::*;
use shared_server::database::{AnyConnection, StorageError};

use super::revisions;
use super::schema::route_changes;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::route_change::RouteChange;

/// So many of the newest numbers are kept. A gateway that is further behind reads everything, which then costs less.
const KEPT: i64 = 2_000;
/// How many numbers pass between two removals.
const EVERY: i64 = 200;

/// Moves the counter on, for the sake of `change`; says where to.
///
/// Flows call it first in their transaction, as [`revisions::bump`].
///
/// # Errors
/// The database failed.
pub fn bump(connection: &mut AnyConnection, change: RouteChange) -> Result<(), StorageError> {
    let revision = revisions::bump(connection, revisions::ROUTES)?;
    note(connection, revision, change)
}

/// Says what moved the counter to `revision`, where that is known only later in the transaction.
///
/// # Errors
/// The database failed.
pub fn note(connection: &mut AnyConnection, revision: i64, change: RouteChange) -> Result<(), StorageError> {
    let (kind, id) = spell(change);
    let row = (route_changes::revision.eq(revision), route_changes::kind.eq(kind), route_changes::id.eq(id));
    diesel::insert_into(route_changes::table).values(row).execute(connection)?;
    if revision % EVERY == 0 {
        diesel::delete(route_changes::table.filter(route_changes::revision.le(revision - KEPT)))
            .execute(connection)?;
    }
    Ok(())
}

/// What moved the counter from `after` to `until`; `None` where that is not known, and anything may have changed.
///
/// # Errors
/// The database failed.
pub fn between(
    connection: &mut AnyConnection,
    after: i64,
    until: i64,
) -> Result<Option<Vec<RouteChange>>, StorageError> {
    let moved = until.saturating_sub(after);
    if !(0..KEPT).contains(&moved) {
        return Ok(None);
    }
    let rows = route_changes::table
        .filter(route_changes::revision.gt(after))
        .filter(route_changes::revision.le(until))
        .order(route_changes::revision)
        .load::<(i64, String, String)>(connection)?;
    let mut numbers: Vec<i64> = rows.iter().map(|(revision, ..)| *revision).collect();
    numbers.dedup();
    // Each number must say why it moved: an older version of this server says nothing.
    if i64::try_from(numbers.len()) != Ok(moved) {
        return Ok(None);
    }
    // One that a newer version wrote and that says nothing to us.
    Ok(rows.iter().map(|(_, kind, id)| read(kind, id)).collect())
}

fn spell(change: RouteChange) -> (&'static str, String) {
    match change {
        RouteChange::Api(id) => ("api", id.to_string()),
        RouteChange::Application(id) => ("application", id.to_string()),
        RouteChange::IdentityProviders => ("identity_providers", String::new()),
        RouteChange::DenyRules => ("deny_rules", String::new()),
    }
}

fn read(kind: &str, id: &str) -> Option<RouteChange> {
    match kind {
        "api" => ApiId::parse(id).map(RouteChange::Api),
        "application" => ApplicationId::parse(id).map(RouteChange::Application),
        "identity_providers" => Some(RouteChange::IdentityProviders),
        "deny_rules" => Some(RouteChange::DenyRules),
        _ => None,
    }
}
