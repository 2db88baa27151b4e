//! Reads what a table is compiled from: everything at first, then what the counter's numbers say has changed.

use std::collections::HashSet;

use shared_server::database::{AnyConnection, Database, StorageError};
use shared_server::memory;

use super::routes::{Delta, Sources};
use crate::domain::route_change::RouteChange;
use crate::storage::{
    apis, applications, deny_rules, identity_providers, revisions, route_changes, subscriptions, tiers,
};

/// So many changes at once are read one by one; of more, everything is.
const MOST_CHANGES: usize = 200;
/// Where there are so many APIs, calls read all over the memory that they take: it is to lie in huge pages, from the start.
const MANY: i64 = 1_000;

/// What was read.
pub enum Read {
    /// There is nothing newer.
    Nothing,
    /// What has changed.
    Changes(Delta),
    /// All there is.
    Everything(Sources),
}

/// Reads what has changed since a table of revision `after`.
///
/// # Errors
/// [`StorageError`].
pub async fn read_changes(database: &Database, after: i64) -> Result<Read, StorageError> {
    let changes = database.read(move |connection| {
        // First: what changes while we read moves it on, and is read again.
        let revision = revisions::read(connection, revisions::ROUTES)?;
        if revision == after {
            return Ok(Read::Nothing);
        }
        let changes = route_changes::between(connection, after, revision)?;
        let changes = changes.map(HashSet::<RouteChange>::from_iter);
        match changes.filter(|changes| changes.len() <= MOST_CHANGES) {
            Some(changes) => read_delta(connection, revision, &changes).map(Read::Changes),
            // The rest is read below, by several connections.
            None => Ok(Read::Everything(Sources { revision, ..Sources::default() })),
        }
    });
    match changes.await? {
        Read::Everything(_) => read_everything(database).await.map(Read::Everything),
        less => Ok(less),
    }
}

fn read_delta(
    connection: &mut AnyConnection,
    revision: i64,
    changes: &HashSet<RouteChange>,
) -> Result<Delta, StorageError> {
    let mut delta = Delta { revision, ..Delta::default() };
    let mut deny_rules_changed = false;
    for change in changes {
        match change {
            RouteChange::Api(id) => {
                let api = apis::find(connection, *id)?;
                // The rules that named it went with it.
                deny_rules_changed |= api.is_none();
                delta.apis.push((*id, api));
            }
            RouteChange::Application(id) => {
                let application = applications::about(connection, *id)?;
                deny_rules_changed |= application.is_none();
                delta.applications.push((*id, application, subscriptions::terms_of(connection, *id)?));
            }
            RouteChange::IdentityProviders => {
                delta.identity_providers = Some(identity_providers::list_all(connection)?);
            }
            RouteChange::DenyRules => deny_rules_changed = true,
        }
    }
    if deny_rules_changed {
        delta.deny_rules = Some(deny_rules::list_all(connection)?);
    }
    Ok(delta)
}

/// Reads everything, by several connections at once: there may be a hundred thousand applications.
///
/// # Errors
/// [`StorageError`].
pub async fn read_everything(database: &Database) -> Result<Sources, StorageError> {
    // First, as above.
    let (revision, count) = database
        .read(|connection| {
            Ok::<_, StorageError>((revisions::read(connection, revisions::ROUTES)?, apis::count(connection)?))
        })
        .await?;
    if count >= MANY {
        memory::grow();
    }
    let rest = database.read(|connection| {
        Ok::<_, StorageError>((
            apis::list_all(connection)?,
            tiers::list_all(connection)?,
            identity_providers::list_all(connection)?,
            deny_rules::list_all(connection)?,
        ))
    });
    let (rest, subscriptions, applications) = tokio::try_join!(
        rest,
        database.read(subscriptions::terms_of_all),
        database.read(applications::about_all),
    )?;
    let (apis, tiers, identity_providers, deny_rules) = rest;
    Ok(Sources {
        revision,
        apis,
        subscriptions,
        applications,
        tiers,
        identity_providers,
        deny_rules,
        ..Sources::default()
    })
}
