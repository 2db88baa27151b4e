//! A developer gives an application up.

use shared_claims::clock::UnixTime;

use super::browse_applications::owned;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::DEFAULT_NAME;
use crate::domain::ids::ApplicationId;
use crate::domain::revocation::Revocation;
use crate::domain::route_change::RouteChange;
use crate::storage::{applications, grants, revocations, route_changes};

/// Removes an application with its keys and subscriptions, and revokes everything that it ever bought.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version; the default application stays.
pub async fn delete_application(
    app: &App,
    actor: &Actor,
    (id, expected): (ApplicationId, Option<i64>),
    now: UnixTime,
) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Application(id))?;
        let present = owned(connection, &by, id)?;
        FlowError::unless_current(expected, present.revision)?;
        if present.is_default() {
            return Err(FlowError::conflict(format!(
                "every developer has {DEFAULT_NAME}; delete its keys instead"
            )));
        }
        let revocation = Revocation::Application(id);
        // Deleted first, with its keys: exchanges under way hold those, so none of their grants is missed below.
        FlowError::unless_written(applications::delete(connection, id, present.revision)?)?;
        let revoked = grants::revoke(connection, &revocation, now)?;
        revocations::append(connection, &revocation, now)?;
        Ok(revoked)
    });
    let revoked = write.await?;
    app.changes.announce(Change::Revoked(Revocation::Application(id))).await;
    app.changes.announce(Change::Routes).await;
    let after = format!("{revoked} grants revoked");
    audit::record(actor, "deleted an application", &id.to_string(), "", &after);
    Ok(())
}
