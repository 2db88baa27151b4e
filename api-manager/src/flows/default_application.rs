//! A developer's first use.

use shared_claims::clock::UnixTime;
use shared_server::database::StorageError;

use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::{DEFAULT_NAME, Draft};
use crate::domain::route_change::RouteChange;
use crate::storage::{applications, route_changes};

/// Gives the caller the application that every developer has, unless it is there.
///
/// # Errors
/// The database failed.
pub async fn ensure_default(app: &App, actor: &Actor, now: UnixTime) -> Result<(), FlowError> {
    let owner = actor.name.clone();
    let found = app
        .database
        .read(move |connection| applications::find_named(connection, &owner, DEFAULT_NAME))
        .await?;
    if found.is_some() {
        return Ok(());
    }
    let application = Draft::default_application().into_application(actor.name.clone(), now);
    let id = application.id.to_string();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Application(application.id))?;
        applications::insert(connection, &application)
    });
    match write.await {
        Ok(()) => {
            app.changes.announce(Change::Routes).await;
            audit::record(actor, "got the default application", &id, "", "created");
            Ok(())
        }
        // Two first uses at once: the other one made it.
        Err(StorageError::Duplicate) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
