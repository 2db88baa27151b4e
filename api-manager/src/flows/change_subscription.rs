//! A developer moves a subscription to another tier.

use shared_claims::clock::UnixTime;

use super::browse_subscriptions::own;
use super::subscribe::refused;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::ids::SubscriptionId;
use crate::domain::route_change::RouteChange;
use crate::domain::subscription::Subscription;
use crate::storage::{apis, revisions, route_changes, subscriptions};

/// Changes the tier of a subscription if it is still of the revision `expected`, where one is given.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version, a tier that the API does not offer.
pub async fn change_tier(
    app: &App,
    actor: &Actor,
    (id, expected): (SubscriptionId, Option<i64>),
    tier: String,
    now: UnixTime,
) -> Result<Subscription, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let moved = revisions::bump(connection, revisions::ROUTES)?;
        let mut subscription = own(connection, &by, id)?;
        route_changes::note(connection, moved, RouteChange::Application(subscription.application_id))?;
        FlowError::unless_current(expected, subscription.revision)?;
        let (before, revision) = (subscription.tier.clone(), subscription.revision);
        let api = apis::find(connection, subscription.api_id)?.ok_or(FlowError::NotFound("API"))?;
        subscription.change_tier(&api, tier, now).map_err(refused)?;
        FlowError::unless_written(subscriptions::update(connection, &subscription, revision)?)?;
        Ok::<_, FlowError>((subscription, before))
    });
    let (subscription, before) = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "changed a subscription's tier", &id.to_string(), &before, &subscription.tier);
    Ok(subscription)
}
