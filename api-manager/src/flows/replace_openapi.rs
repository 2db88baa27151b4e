//! A publisher replaces an API's OpenAPI document, and its operations with it.

use shared_claims::clock::UnixTime;

use super::{FlowError, api_rules, audit, contract_rules};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::api::{Api, Definition, Operation};
use crate::domain::ids::ApiId;
use crate::domain::openapi::Document;
use crate::domain::route_change::RouteChange;
use crate::storage::{api_documents, apis, route_changes};

/// Replaces document and operations if the API is still of the revision `expected`, where one is given. All else of
/// the API stays as it is.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version than expected.
pub async fn replace_openapi(
    app: &App,
    actor: &Actor,
    (id, expected): (ApiId, Option<i64>),
    (document, operations): (Document, Vec<Operation>),
    now: UnixTime,
) -> Result<Api, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Api(id))?;
        let present = api_rules::owned(connection, &by, id)?;
        FlowError::unless_current(expected, present.revision)?;
        let revision = present.revision;
        let definition = Definition { operations, ..present.definition };
        let api = Api { definition, updated_at: now, revision: revision + 1, ..present };
        api_rules::known_tiers(connection, &api.definition)?;
        contract_rules::whole_contract(&api.definition, Some(&document))?;
        FlowError::unless_written(apis::update(connection, &api, revision)?)?;
        api_documents::keep(connection, id, &document, now)?;
        Ok::<_, FlowError>(api)
    });
    let api = write.await?;
    app.changes.announce(Change::Routes).await;
    let (before, after) = (format!("revision {}", api.revision - 1), format!("revision {}", api.revision));
    audit::record(actor, "replaced an API's OpenAPI document", &api.id.to_string(), &before, &after);
    Ok(api)
}
