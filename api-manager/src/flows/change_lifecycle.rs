//! A publisher moves an API through its life.

use shared_claims::clock::UnixTime;

use super::{FlowError, api_rules, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::api::Api;
use crate::domain::ids::{ApiId, LifecycleEventId};
use crate::domain::lifecycle::{Action, Event, State};
use crate::domain::route_change::RouteChange;
use crate::storage::{apis, lifecycle_events, route_changes};

/// Makes the move; once this returns, this process's gateway acts on it.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, an illegal move (naming the legal ones), nothing to publish.
pub async fn change_lifecycle(
    app: &App,
    actor: &Actor,
    (id, expected): (ApiId, Option<i64>),
    action: Action,
    now: UnixTime,
) -> Result<Api, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Api(id))?;
        let present = api_rules::owned(connection, &by, id)?;
        FlowError::unless_current(expected, present.revision)?;
        let from = present.state;
        let to = from.apply(action).map_err(|illegal| FlowError::conflict(illegal.to_string()))?;
        if to == State::Published && !present.definition.can_answer() {
            let sentence = "the API has no backend; add a URL to backends.production or backends.sandbox, or set mock, then publish it";
            return Err(FlowError::conflict(sentence));
        }
        let api = Api { state: to, updated_at: now, revision: present.revision + 1, ..present.clone() };
        // The revision guards the state as well: every change of the state moves it.
        FlowError::unless_written(apis::update(connection, &api, present.revision)?)?;
        let id = LifecycleEventId::generate();
        lifecycle_events::insert(connection, &Event { id, api_id: api.id, action, from, to, actor: by.name, at: now })?;
        Ok((api, from))
    });
    let (api, from) = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "moved an API", &api.id.to_string(), from.as_str(), api.state.as_str());
    Ok(api)
}
