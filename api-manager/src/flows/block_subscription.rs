//! A publisher stops a subscription, or lets it pass again.

use shared_claims::clock::UnixTime;

use super::browse_subscriptions::to_own_api;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::ids::SubscriptionId;
use crate::domain::route_change::RouteChange;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::storage::{revisions, route_changes, subscriptions};

/// Puts a subscription to an API of the caller's into `state`. Asking for the present state changes nothing.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's.
pub async fn put_into(
    app: &App,
    actor: &Actor,
    id: SubscriptionId,
    state: SubscriptionState,
    now: UnixTime,
) -> Result<Subscription, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let moved = revisions::bump(connection, revisions::ROUTES)?;
        let mut subscription = to_own_api(connection, &by, id)?;
        route_changes::note(connection, moved, RouteChange::Application(subscription.application_id))?;
        let (before, revision) = (subscription.state, subscription.revision);
        if subscription.put_into(state, now) {
            FlowError::unless_written(subscriptions::update(connection, &subscription, revision)?)?;
        }
        Ok::<_, FlowError>((subscription, before))
    });
    let (subscription, before) = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "put a subscription", &id.to_string(), before.as_str(), state.as_str());
    Ok(subscription)
}
