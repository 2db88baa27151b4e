//! A developer makes an application.

use shared_claims::clock::UnixTime;
use shared_server::database::AnyConnection;

use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::{Application, Draft};
use crate::domain::route_change::RouteChange;
use crate::storage::{applications, route_changes, tiers};

/// Makes an application of the caller's.
///
/// # Errors
/// [`FlowError`]: an unknown tier, or a name that the caller has used.
pub async fn create_application(
    app: &App,
    actor: &Actor,
    draft: Draft,
    now: UnixTime,
) -> Result<Application, FlowError> {
    super::default_application::ensure_default(app, actor, now).await?;
    let application = draft.into_application(actor.name.clone(), now);
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Application(application.id))?;
        known_tier(connection, &application.tier)?;
        applications::insert(connection, &application)
            .map_err(|error| FlowError::or_conflict(error, || name_taken(&application.name)))?;
        Ok::<_, FlowError>(application)
    });
    let application = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "created an application", &application.id.to_string(), "", "created");
    Ok(application)
}

pub(super) fn known_tier(connection: &mut AnyConnection, tier: &str) -> Result<(), FlowError> {
    match tiers::find(connection, tier)? {
        Some(_) => Ok(()),
        None => Err(FlowError::field("tier", "is no tier; GET /api/v1/tiers lists them")),
    }
}

pub(super) fn name_taken(name: &str) -> String {
    format!("an application already exists with name {name}")
}
