//! A publisher removes an API.

use shared_server::database::StorageError;

use super::{FlowError, api_rules, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::api::Api;
use crate::domain::ids::ApiId;
use crate::domain::lifecycle::State;
use crate::domain::route_change::RouteChange;
use crate::storage::{apis, route_changes, subscriptions};

/// Removes an API that nobody can call: one that is created and has no subscriptions, or one that is retired, whose
/// subscriptions go with it. Nothing that works today stops by one mistyped call.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, in use.
pub async fn delete_api(app: &App, actor: &Actor, id: ApiId, expected: Option<i64>) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Api(id))?;
        let api = api_rules::owned(connection, &by, id)?;
        FlowError::unless_current(expected, api.revision)?;
        let subscribed = subscriptions::count_of(connection, id)?;
        refuse(&api, subscribed)?;
        subscriptions::delete_of_api(connection, id)?;
        let deleted = apis::delete(connection, id, api.revision).map_err(|error| match error {
            StorageError::InUse => FlowError::Overtaken,
            other => other.into(),
        })?;
        FlowError::unless_written(deleted)?;
        Ok::<_, FlowError>(api)
    });
    let api = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "deleted an API", &id.to_string(), api.state.as_str(), "");
    Ok(())
}

fn refuse(api: &Api, subscribed: i64) -> Result<(), FlowError> {
    match api.state {
        State::Retired => Ok(()),
        State::Created if subscribed == 0 => Ok(()),
        _ if subscribed > 0 => Err(FlowError::conflict(format!(
            "the API has {subscribed} subscriptions; have them ended, or deprecate and retire the API first"
        ))),
        state => Err(FlowError::conflict(format!(
            "the API is {}; demote it, or deprecate and retire it, before you delete it",
            state.as_str()
        ))),
    }
}
