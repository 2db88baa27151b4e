//! A developer looks at applications and their keys.

use shared_claims::clock::UnixTime;
use shared_server::database::AnyConnection;

use super::{FlowError, default_application};
use crate::app::App;
use crate::domain::actor::{Actor, Right};
use crate::domain::application::{Application, ApplicationKey};
use crate::domain::ids::ApplicationId;
use crate::storage::{application_keys, applications};

/// The application, if it is the caller's; somebody else's is as good as none.
pub(super) fn owned(
    connection: &mut AnyConnection,
    actor: &Actor,
    id: ApplicationId,
) -> Result<Application, FlowError> {
    let application = applications::find(connection, id)?;
    application.filter(|application| actor.owns(&application.owner)).ok_or(FlowError::NotFound("application"))
}

/// Up to `rows` of the caller's applications after the id `after`; administrators see everybody's.
///
/// # Errors
/// The database failed.
pub async fn list_applications(
    app: &App,
    actor: &Actor,
    (after, rows): (String, i64),
    now: UnixTime,
) -> Result<Vec<Application>, FlowError> {
    default_application::ensure_default(app, actor, now).await?;
    let owner = (!actor.may(Right::Administer)).then(|| actor.name.clone());
    let read =
        app.database.read(move |connection| applications::list(connection, owner.as_deref(), &after, rows));
    Ok(read.await?)
}

/// One of the caller's applications.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find_application(app: &App, actor: &Actor, id: ApplicationId) -> Result<Application, FlowError> {
    let by = actor.clone();
    app.database.read(move |connection| owned(connection, &by, id)).await
}

/// The keys of one of the caller's applications.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn list_keys(
    app: &App,
    actor: &Actor,
    id: ApplicationId,
) -> Result<Vec<ApplicationKey>, FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        owned(connection, &by, id)?;
        Ok::<_, FlowError>(application_keys::list_of(connection, id)?)
    });
    read.await
}
