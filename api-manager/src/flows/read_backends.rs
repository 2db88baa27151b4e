//! Somebody asks how the backends of an API are doing.

use super::{FlowError, api_rules};
use crate::app::App;
use crate::backend_states::Report;
use crate::domain::actor::Actor;
use crate::domain::api::Backend;
use crate::domain::application::KeyType;
use crate::domain::ids::ApiId;

/// One backend, as its publisher named it and as the gateway of this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The keys that reach it.
    pub key_type: KeyType,
    /// Its URL and weight.
    pub backend: Backend,
    /// `None` where the gateway has not heard of it yet.
    pub report: Option<Report>,
}

/// The backends of an API, as of now, on this node.
///
/// # Errors
/// [`FlowError::NotFound`] where there is no API that the caller may see, [`FlowError::Forbidden`] where it is another's.
pub async fn read_backends(app: &App, actor: &Actor, id: ApiId) -> Result<Vec<Standing>, FlowError> {
    let by = actor.clone();
    let api = app.database.read(move |connection| api_rules::owned(connection, &by, id)).await?;
    let backends = &api.definition.backends;
    let all = [KeyType::Production, KeyType::Sandbox]
        .into_iter()
        .flat_map(|key_type| backends.of(key_type).iter().map(move |backend| (key_type, backend)));
    let standings = all.map(|(key_type, backend)| Standing {
        key_type,
        backend: backend.clone(),
        report: app.backend_states.report(api.id, &backend.url),
    });
    Ok(standings.collect())
}
