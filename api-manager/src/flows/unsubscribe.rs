//! A developer ends a subscription.

use super::browse_subscriptions::own;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::ids::SubscriptionId;
use crate::domain::route_change::RouteChange;
use crate::storage::{revisions, route_changes, subscriptions};

/// Ends a subscription; tokens of its application no longer open the API.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version.
pub async fn unsubscribe(
    app: &App,
    actor: &Actor,
    id: SubscriptionId,
    expected: Option<i64>,
) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let moved = revisions::bump(connection, revisions::ROUTES)?;
        let subscription = own(connection, &by, id)?;
        route_changes::note(connection, moved, RouteChange::Application(subscription.application_id))?;
        FlowError::unless_current(expected, subscription.revision)?;
        FlowError::unless_written(subscriptions::delete(connection, id, subscription.revision)?)?;
        Ok::<_, FlowError>(subscription)
    });
    let subscription = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "unsubscribed", &id.to_string(), subscription.state.as_str(), "");
    Ok(())
}
