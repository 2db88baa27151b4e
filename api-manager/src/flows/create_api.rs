//! A publisher makes an API.

use shared_claims::clock::UnixTime;

use super::{FlowError, api_rules, audit, contract_rules};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::api::{Api, Draft};
use crate::domain::openapi::Document;
use crate::domain::route_change::RouteChange;
use crate::storage::{api_documents, apis, route_changes};

/// Makes an API, not yet published.
///
/// # Errors
/// [`FlowError`]: an unknown tier, a private backend, a place that is taken.
pub async fn create_api(app: &App, actor: &Actor, draft: Draft, now: UnixTime) -> Result<Api, FlowError> {
    make(app, actor, (draft, None), now).await
}

/// Makes an API of an OpenAPI document, which is kept.
///
/// # Errors
/// As [`create_api`].
pub async fn import_api(
    app: &App,
    actor: &Actor,
    (draft, document): (Draft, Document),
    now: UnixTime,
) -> Result<Api, FlowError> {
    make(app, actor, (draft, Some(document)), now).await
}

async fn make(
    app: &App,
    actor: &Actor,
    (draft, document): (Draft, Option<Document>),
    now: UnixTime,
) -> Result<Api, FlowError> {
    api_rules::reachable_backends(&draft.definition, app.settings.allow_private_backends)?;
    api_rules::current_certificates(&draft.definition, now)?;
    let api = draft.into_api(actor.name.clone(), now);
    insert(app, actor, (api, document), now).await
}

/// Adds an API with its document, where it has one, and everything that follows from it.
pub(super) async fn insert(
    app: &App,
    actor: &Actor,
    (api, document): (Api, Option<Document>),
    now: UnixTime,
) -> Result<Api, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Api(api.id))?;
        api_rules::known_tiers(connection, &api.definition)?;
        contract_rules::whole_contract(&api.definition, document.as_ref())?;
        api_rules::free_place(connection, &by, &api)?;
        // The index speaks where another writer was quicker than the rule above.
        apis::insert(connection, &api).map_err(|error| {
            FlowError::or_conflict(error, || {
                format!("the context {} has a version {} already", api.context, api.version)
            })
        })?;
        if let Some(document) = &document {
            api_documents::keep(connection, api.id, document, now)?;
        }
        api_rules::take_default(connection, &api, now)?;
        Ok::<_, FlowError>(api)
    });
    let api = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "created an API", &api.id.to_string(), "", api.state.as_str());
    Ok(api)
}
