//! A developer ends a subscription.

use super::browse_subscriptions::own;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::ids::SubscriptionId;
use crate::storage::{revisions, subscriptions};

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
        revisions::bump(connection, revisions::ROUTES)?;
        let subscription = own(connection, &by, id)?;
        FlowError::unless_current(expected, subscription.revision)?;
        FlowError::unless_written(subscriptions::delete(connection, id, subscription.revision)?)?;
        Ok::<_, FlowError>(subscription)
    });
    let subscription = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "unsubscribed", &id.to_string(), subscription.state.as_str(), "");
    Ok(())
}
