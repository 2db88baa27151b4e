//! A developer changes an application.

use shared_claims::clock::UnixTime;

use super::browse_applications::owned;
use super::create_application::{known_tier, name_taken};
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::{Application, DEFAULT_NAME, Draft};
use crate::domain::ids::ApplicationId;
use crate::domain::route_change::RouteChange;
use crate::storage::{applications, route_changes};

/// Replaces an application if it is still of the revision `expected`, where one is given.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version, an unknown tier, a used name.
pub async fn replace_application(
    app: &App,
    actor: &Actor,
    (id, expected): (ApplicationId, Option<i64>),
    draft: Draft,
    now: UnixTime,
) -> Result<Application, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Application(id))?;
        let present = owned(connection, &by, id)?;
        FlowError::unless_current(expected, present.revision)?;
        if present.is_default() && draft.name != DEFAULT_NAME {
            return Err(FlowError::field("name", format!("cannot change: {DEFAULT_NAME} keeps its name")));
        }
        known_tier(connection, &draft.tier)?;
        let application = Application {
            name: draft.name,
            tier: draft.tier,
            description: draft.description,
            access_token_lifetime: draft.access_token_lifetime,
            updated_at: now,
            revision: present.revision + 1,
            ..present
        };
        let written = applications::update(connection, &application, application.revision - 1)
            .map_err(|error| FlowError::or_conflict(error, || name_taken(&application.name)))?;
        FlowError::unless_written(written)?;
        Ok(application)
    });
    let application = write.await?;
    app.changes.announce(Change::Routes).await;
    let after = format!("revision {}", application.revision);
    audit::record(actor, "replaced an application", &id.to_string(), "", &after);
    Ok(application)
}
