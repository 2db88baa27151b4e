//! A publisher makes a new version of an API.

use shared_claims::clock::UnixTime;

use super::{FlowError, api_rules, create_api};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::api::{Api, Definition, Draft};
use crate::domain::ids::ApiId;
use crate::storage::api_documents;

/// Copies an API as another version of the same context: created, without subscriptions, and not the default version.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, or the version exists.
pub async fn copy_api(
    app: &App,
    actor: &Actor,
    id: ApiId,
    version: String,
    now: UnixTime,
) -> Result<Api, FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        let original = api_rules::owned(connection, &by, id)?;
        Ok::<_, FlowError>((original, api_documents::find(connection, id)?))
    });
    let (original, document) = read.await?;
    let definition = Definition { default_version: false, ..original.definition };
    let draft = Draft { name: original.name, context: original.context, version, definition };
    // The owner's, also where an administrator makes it: a context has one owner.
    create_api::insert(app, actor, (draft.into_api(original.owner, now), document), now).await
}
