//! A developer subscribes an application to an API.

use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_server::database::AnyConnection;

use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::lifecycle::State;
use crate::domain::route_change::RouteChange;
use crate::domain::subscription::{NotSubscribable, Subscription};
use crate::storage::{apis, applications, route_changes, subscriptions};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Who subscribes.
    pub application_id: ApplicationId,
    /// To what.
    pub api_id: ApiId,
    /// On which tier.
    pub tier: String,
}

/// Subscribes an application of the caller's to a published API that the caller may see.
///
/// # Errors
/// [`FlowError`]: unknown application, API or tier; an API that takes no subscriptions; subscribed already.
pub async fn subscribe(
    app: &App,
    actor: &Actor,
    wish: Wish,
    now: UnixTime,
) -> Result<Subscription, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Application(wish.application_id))?;
        let subscription = open(connection, &by, wish, now)?;
        subscriptions::insert(connection, &subscription).map_err(|error| {
            FlowError::or_conflict(error, || "the application subscribes to this API already".to_owned())
        })?;
        Ok::<_, FlowError>(subscription)
    });
    let subscription = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "subscribed", &subscription.id.to_string(), "", &subscription.tier);
    Ok(subscription)
}

fn open(
    connection: &mut AnyConnection,
    actor: &Actor,
    wish: Wish,
    now: UnixTime,
) -> Result<Subscription, FlowError> {
    let application =
        applications::find(connection, wish.application_id)?.filter(|found| actor.owns(&found.owner));
    let api = apis::find(connection, wish.api_id)?.filter(|found| found.is_visible_to(actor));
    let mut errors = Vec::new();
    if application.is_none() {
        errors.push(FieldError::new("application_id", "is no application of yours"));
    }
    let Some(api) = api.filter(|_| errors.is_empty()) else {
        if errors.is_empty() {
            errors.push(FieldError::new("api_id", "is no API that you can see"));
        }
        return Err(FlowError::Fields(errors));
    };
    Subscription::open(wish.application_id, &api, wish.tier, now).map_err(refused)
}

/// Says why an API does not take a subscription.
pub(super) fn refused(why: NotSubscribable) -> FlowError {
    match why {
        NotSubscribable::State(State::Created) => {
            FlowError::conflict("the API is not published yet; its publisher has to publish it first")
        }
        NotSubscribable::State(state) => {
            FlowError::conflict(format!("the API is {} and takes no new subscriptions", state.as_str()))
        }
        NotSubscribable::Tier(offered) => {
            FlowError::field("tier", format!("is not offered by this API; it offers: {}", offered.join(", ")))
        }
    }
}
