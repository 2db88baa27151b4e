//! A developer makes API keys, looks at them, and takes them back.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Secret;

use super::browse_applications::owned;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::api_key::{self, ApiKey, Draft};
use crate::domain::ids::{ApiKeyId, ApplicationId};
use crate::domain::revocation::Revocation;
use crate::storage::{api_keys, revocations};

/// Makes a key. The plain one is in the answer and nowhere else: its digest is kept.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, the name is used, or there are too many keys.
pub async fn make_api_key(
    app: &App,
    actor: &Actor,
    id: ApplicationId,
    draft: Draft,
    now: UnixTime,
) -> Result<(ApiKey, Secret), FlowError> {
    let secret = api_key::generate()?;
    let key = draft.into_key(id, &secret, now);
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        owned(connection, &by, id)?;
        if api_keys::list_of(connection, id)?.len() >= api_key::MOST {
            let most = api_key::MOST;
            return Err(FlowError::conflict(format!(
                "the application has {most} API keys already; revoke those that are no longer used"
            )));
        }
        api_keys::insert(connection, &key).map_err(|error| {
            FlowError::or_conflict(error, || format!("the application has an API key named {}", key.name))
        })?;
        Ok(key)
    });
    let key = write.await?;
    audit::record(actor, "made an API key", &key.id.to_string(), "", &summary(&key));
    Ok((key, secret))
}

/// The API keys of one of the caller's applications.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn list_api_keys(app: &App, actor: &Actor, id: ApplicationId) -> Result<Vec<ApiKey>, FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        owned(connection, &by, id)?;
        Ok::<_, FlowError>(api_keys::list_of(connection, id)?)
    });
    read.await
}

/// Removes a key. No gateway of this process takes it afterwards; others follow within a second.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn revoke_api_key(
    app: &App,
    actor: &Actor,
    (application, id): (ApplicationId, ApiKeyId),
    now: UnixTime,
) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        owned(connection, &by, application)?;
        let key = api_keys::find_of(connection, application, id)?;
        let key = key.ok_or(FlowError::NotFound("API key"))?;
        FlowError::unless_written(api_keys::delete(connection, id)?)?;
        revocations::append(connection, &Revocation::ApiKey(id), now)?;
        Ok::<_, FlowError>(key)
    });
    let key = write.await?;
    app.changes.announce(Change::Revoked(Revocation::ApiKey(id))).await;
    audit::record(actor, "revoked an API key", &id.to_string(), &summary(&key), "");
    Ok(())
}

/// What the audit says of a key: whose it is and what it opens, never what it is.
fn summary(key: &ApiKey) -> String {
    let (application, key_type) = (key.application_id, key.key_type.as_str());
    let until =
        key.expires_at.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", end.rfc3339()));
    let (ips, referers) = (key.allowed_ips.len(), key.allowed_referers.len());
    format!("application {application}, {key_type}, {until}, {ips} addresses, {referers} referers")
}
