//! Developers look at their subscriptions, publishers at those to their APIs.

use shared_server::database::AnyConnection;

use super::FlowError;
use crate::app::App;
use crate::domain::actor::{Actor, Right};
use crate::domain::ids::{ApiId, ApplicationId, SubscriptionId};
use crate::domain::subscription::Subscription;
use crate::storage::subscriptions::Narrow;
use crate::storage::{apis, applications, subscriptions};

/// The subscription, if it is of an application of the caller's.
pub(super) fn own(
    connection: &mut AnyConnection,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Subscription, FlowError> {
    let subscription = subscriptions::find(connection, id)?.ok_or(FlowError::NotFound("subscription"))?;
    let application = applications::find(connection, subscription.application_id)?;
    let is_own = application.is_some_and(|application| actor.owns(&application.owner));
    if is_own { Ok(subscription) } else { Err(FlowError::NotFound("subscription")) }
}

/// The subscription, if it is to an API of the caller's.
pub(super) fn to_own_api(
    connection: &mut AnyConnection,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Subscription, FlowError> {
    let subscription = subscriptions::find(connection, id)?.ok_or(FlowError::NotFound("subscription"))?;
    let api = apis::find(connection, subscription.api_id)?;
    let is_own = api.is_some_and(|api| actor.owns(&api.owner));
    if is_own { Ok(subscription) } else { Err(FlowError::NotFound("subscription")) }
}

/// Up to `rows` subscriptions after the id `after` that the caller may see: those of own applications, and for
/// publishers those to own APIs.
///
/// # Errors
/// The database failed.
pub async fn list_subscriptions(
    app: &App,
    actor: &Actor,
    (application, api): (Option<ApplicationId>, Option<ApiId>),
    (after, rows): (String, i64),
) -> Result<Vec<Subscription>, FlowError> {
    let narrow = Narrow {
        application,
        api,
        subscriber: (actor.may(Right::Subscribe) && !actor.may(Right::Administer))
            .then(|| actor.name.clone()),
        publisher: (actor.may(Right::PublishApis) && !actor.may(Right::Administer))
            .then(|| actor.name.clone()),
    };
    Ok(app.database.read(move |connection| subscriptions::list(connection, &narrow, &after, rows)).await?)
}

/// One subscription that the caller may see.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find_subscription(
    app: &App,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Subscription, FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| match own(connection, &by, id) {
        Err(FlowError::NotFound(_)) if by.may(Right::PublishApis) => to_own_api(connection, &by, id),
        found => found,
    });
    read.await
}
