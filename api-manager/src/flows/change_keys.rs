//! A developer changes what a key may do, or gives it up.

use shared_claims::clock::UnixTime;
use shared_server::database::AnyConnection;

use super::browse_applications::owned;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::{ApplicationKey, KeyType};
use crate::domain::ids::ApplicationId;
use crate::domain::revocation::Revocation;
use crate::storage::{application_keys, grants, revocations};

/// The key, if its application is the caller's.
pub(super) fn owned_key(
    connection: &mut AnyConnection,
    actor: &Actor,
    id: ApplicationId,
    key_type: KeyType,
) -> Result<ApplicationKey, FlowError> {
    owned(connection, actor, id)?;
    application_keys::find_of(connection, id, key_type)?.ok_or(FlowError::NotFound("key"))
}

/// One key of the caller's.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find_key(
    app: &App,
    actor: &Actor,
    id: ApplicationId,
    key_type: KeyType,
) -> Result<ApplicationKey, FlowError> {
    let by = actor.clone();
    app.database.read(move |connection| owned_key(connection, &by, id, key_type)).await
}

/// A key of an application, and the revision that it must still be of, where one is given.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// Whose key.
    pub application: ApplicationId,
    /// Of which type.
    pub key_type: KeyType,
    /// From `If-Match`.
    pub expected: Option<i64>,
}

/// Replaces the grant types that a key may use. Tokens that it has bought stay.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version.
pub async fn change_grant_types(
    app: &App,
    actor: &Actor,
    which: Which,
    grant_types: Vec<String>,
    now: UnixTime,
) -> Result<ApplicationKey, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let present = owned_key(connection, &by, which.application, which.key_type)?;
        FlowError::unless_current(which.expected, present.revision)?;
        let revision = present.revision;
        let key = ApplicationKey { grant_types, updated_at: now, revision: revision + 1, ..present };
        FlowError::unless_written(application_keys::update(connection, &key, revision)?)?;
        Ok::<_, FlowError>(key)
    });
    let key = write.await?;
    audit::record(actor, "changed a key", &key.consumer_key, "", &key.grant_types.join(" "));
    Ok(key)
}

/// Removes a key and revokes everything that it ever bought.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version.
pub async fn delete_key(app: &App, actor: &Actor, which: Which, now: UnixTime) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let key = owned_key(connection, &by, which.application, which.key_type)?;
        FlowError::unless_current(which.expected, key.revision)?;
        let revocation = Revocation::Key(key.consumer_key.clone());
        // Deleted first: whoever buys with it holds the row, so none of those grants is missed below.
        FlowError::unless_written(application_keys::delete(connection, &key.consumer_key, key.revision)?)?;
        let revoked = grants::revoke(connection, &revocation, now)?;
        revocations::append(connection, &revocation, now)?;
        Ok::<_, FlowError>((key, revocation, revoked))
    });
    let (key, revocation, revoked) = write.await?;
    app.changes.announce(Change::Revoked(revocation)).await;
    let after = format!("{revoked} grants revoked");
    audit::record(actor, "deleted a key", &key.consumer_key, key.key_type.as_str(), &after);
    Ok(())
}
