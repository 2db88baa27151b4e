//! Somebody asks why the gateway refused a request.

use std::collections::HashMap;
use std::sync::Arc;

use super::FlowError;
use crate::app::App;
use crate::domain::actor::{Actor, Right};
use crate::domain::explanation::Explanation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::storage::{apis, applications};

/// The newest refusal of that request id that concerns the caller: as the owner of the API or of the application, or as
/// an administrator. Callers choose ids, so several may have the same.
///
/// # Errors
/// [`FlowError::NotFound`], also where it is somebody else's.
pub async fn explain_refusal(
    app: &App,
    actor: &Actor,
    request_id: &str,
) -> Result<Arc<Explanation>, FlowError> {
    const NONE: FlowError = FlowError::NotFound("decision on this node");
    let found = app.decisions.find(request_id);
    if found.is_empty() || actor.may(Right::Administer) {
        return found.into_iter().next().ok_or(NONE);
    }
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        let mut of_apis: HashMap<ApiId, bool> = HashMap::new();
        let mut of_applications: HashMap<ApplicationId, bool> = HashMap::new();
        for one in found {
            let mut concerns = false;
            if let Some(id) = one.api {
                concerns |= match of_apis.get(&id) {
                    Some(known) => *known,
                    None => {
                        let owns = apis::find(connection, id)?.is_some_and(|api| by.owns(&api.owner));
                        *of_apis.entry(id).or_insert(owns)
                    }
                };
            }
            if let Some(id) = one.application {
                concerns |= match of_applications.get(&id) {
                    Some(known) => *known,
                    None => {
                        let application = applications::find(connection, id)?;
                        let owns = application.is_some_and(|application| by.owns(&application.owner));
                        *of_applications.entry(id).or_insert(owns)
                    }
                };
            }
            if concerns {
                return Ok(one);
            }
        }
        Err(NONE)
    });
    read.await
}
