//! A developer replaces a secret.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Secret;

use super::change_keys::owned_key;
use super::{FlowError, audit};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::application::{ApplicationKey, KeyType};
use crate::domain::ids::ApplicationId;
use crate::storage::application_keys;

/// Makes another secret for a key; the present one goes on to count for `overlap` seconds.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's.
pub async fn rotate_secret(
    app: &App,
    actor: &Actor,
    (id, key_type): (ApplicationId, KeyType),
    overlap: i64,
    now: UnixTime,
) -> Result<(ApplicationKey, Secret), FlowError> {
    let secret = Secret::generate()?;
    let digest = secret.digest();
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let mut key = owned_key(connection, &by, id, key_type)?;
        let revision = key.revision;
        key.rotate(digest, overlap, now);
        FlowError::unless_written(application_keys::update(connection, &key, revision)?)?;
        Ok::<_, FlowError>(key)
    });
    let key = write.await?;
    let after = format!("the old one counts for {overlap} s");
    audit::record(actor, "rotated a secret", &key.consumer_key, "", &after);
    Ok((key, secret))
}
