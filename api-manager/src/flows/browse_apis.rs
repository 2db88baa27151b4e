//! Somebody looks at APIs.

use super::{FlowError, api_rules};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::api::Api;
use crate::domain::api::search::Search;
use crate::domain::ids::ApiId;
use crate::domain::lifecycle::Event;
use crate::domain::openapi::Document;
use crate::storage::{api_documents, apis, lifecycle_events};

/// Up to `rows` APIs after the id `after` that answer `search` and that the caller may see.
///
/// # Errors
/// The database failed.
pub async fn search_apis(
    app: &App,
    actor: &Actor,
    search: Search,
    (after, rows): (String, i64),
) -> Result<Vec<Api>, FlowError> {
    let by = actor.clone();
    let wanted = move |api: &Api| api.is_visible_to(&by) && search.matches(api);
    Ok(app.database.read(move |connection| apis::list(connection, &after, rows, wanted)).await?)
}

/// One API.
///
/// # Errors
/// [`FlowError::NotFound`] where there is none that the caller may see.
pub async fn find_api(app: &App, actor: &Actor, id: ApiId) -> Result<Api, FlowError> {
    let by = actor.clone();
    app.database.read(move |connection| api_rules::visible(connection, &by, id)).await
}

/// One API with the OpenAPI document that it was made of, where it was.
///
/// # Errors
/// As [`find_api`].
pub async fn find_document(
    app: &App,
    actor: &Actor,
    id: ApiId,
) -> Result<(Api, Option<Document>), FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        let api = api_rules::visible(connection, &by, id)?;
        Ok::<_, FlowError>((api, api_documents::find(connection, id)?))
    });
    read.await
}

/// One API with what happened to it, the latest 100 moves.
///
/// # Errors
/// As [`find_api`].
pub async fn read_history(app: &App, actor: &Actor, id: ApiId) -> Result<(Api, Vec<Event>), FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        let api = api_rules::visible(connection, &by, id)?;
        Ok::<_, FlowError>((api, lifecycle_events::list_of(connection, id)?))
    });
    read.await
}
