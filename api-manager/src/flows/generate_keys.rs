//! A developer gets a consumer key and its secret.

use shared_claims::clock::UnixTime;
use shared_claims::secret::{Secret, random};

use super::browse_applications::owned;
use super::{FlowError, audit};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::application::{ApplicationKey, KeyType};
use crate::domain::ids::ApplicationId;
use crate::storage::application_keys;

/// Makes the application's key of one type. The secret is in the answer and nowhere else: its digest is kept.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, or there is a key of this type.
pub async fn generate_keys(
    app: &App,
    actor: &Actor,
    (id, key_type): (ApplicationId, KeyType),
    grant_types: Vec<String>,
    now: UnixTime,
) -> Result<(ApplicationKey, Secret), FlowError> {
    let secret = Secret::generate()?;
    let key = ApplicationKey {
        consumer_key: random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect(),
        application_id: id,
        key_type,
        secret_digest: secret.digest(),
        previous_secret: None,
        grant_types,
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        owned(connection, &by, id)?;
        application_keys::insert(connection, &key)
            .map_err(|error| FlowError::or_conflict(error, || already(key_type)))?;
        Ok::<_, FlowError>(key)
    });
    let key = write.await?;
    audit::record(actor, "generated a key", &key.consumer_key, "", key_type.as_str());
    Ok((key, secret))
}

fn already(key_type: KeyType) -> String {
    let key_type = key_type.as_str();
    format!("the application has a {key_type} key; for another secret, POST to keys/{key_type}/secret")
}
