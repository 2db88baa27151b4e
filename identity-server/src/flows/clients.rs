//! An administrator keeps clients.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Secret;

use super::{FlowError, audit, keys};
use crate::app::App;
use crate::domain::client::{Client, ClientId, ClientSecrets, ClientSettings};
use crate::storage::clients;

/// Registers a client; its secret is shown once.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn register(
    app: &App,
    by: &str,
    settings: ClientSettings,
    now: UnixTime,
) -> Result<(Client, Secret), FlowError> {
    keys::ensure(app, settings.signing_algorithm, now).await?;
    let (client, secret) = new_client(settings, now)?;

    let kept = client.clone();
    app.database.write(move |db| clients::insert(db, &kept)).await?;

    audit::record(by, "client.create", &client.id.to_string(), &client.settings.client_name);
    Ok((client, secret))
}

/// A client with a secret of its own, not kept yet.
///
/// # Errors
/// [`FlowError::Randomness`].
pub fn new_client(settings: ClientSettings, now: UnixTime) -> Result<(Client, Secret), FlowError> {
    let secret = Secret::generate()?;
    let secrets = ClientSecrets { current: secret.digest(), previous: None };
    let client =
        Client { id: ClientId::generate(), settings, secrets, created_at: now, updated_at: now, revision: 1 };
    Ok((client, secret))
}

/// The client.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find(app: &App, id: ClientId) -> Result<Client, FlowError> {
    app.database.read(move |db| clients::find(db, id)).await?.ok_or(FlowError::NotFound)
}

/// At most `limit` clients after the identifier `after`.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn list(app: &App, after: String, limit: i64) -> Result<Vec<Client>, FlowError> {
    Ok(app.database.read(move |db| clients::list(db, &after, limit)).await?)
}

/// Replaces what was decided about a client. Its secret stays.
///
/// # Errors
/// [`FlowError::NotFound`], [`FlowError::Changed`] where `expected` is not the present revision.
pub async fn replace(
    app: &App,
    by: &str,
    id: ClientId,
    change: (ClientSettings, Option<i64>),
    now: UnixTime,
) -> Result<Client, FlowError> {
    let (settings, expected) = change;
    keys::ensure(app, settings.signing_algorithm, now).await?;

    let replaced = app.database.write(move |db| {
        let present = clients::find(db, id)?.ok_or(FlowError::NotFound)?;
        require_revision(&present, expected)?;
        let differing = settings.differences(&present.settings).join(",");
        let changed = Client { settings, updated_at: now, revision: present.revision + 1, ..present };
        if !clients::replace(db, &changed)? {
            return Err(FlowError::Changed);
        }
        Ok((changed, differing))
    });
    let (changed, differing) = replaced.await?;
    app.facts.changed();

    audit::record(by, "client.update", &id.to_string(), &differing);
    Ok(changed)
}

/// Gives the client a new secret, shown once; the present one stays good for `overlap` seconds.
///
/// # Errors
/// [`FlowError::NotFound`], [`FlowError::Changed`] where another change came between.
pub async fn rotate_secret(
    app: &App,
    by: &str,
    id: ClientId,
    overlap: i64,
    now: UnixTime,
) -> Result<(Client, Secret), FlowError> {
    let secret = Secret::generate()?;
    let digest = secret.digest();

    let rotated = app.database.write(move |db| {
        let present = clients::find(db, id)?.ok_or(FlowError::NotFound)?;
        let secrets = present.secrets.rotated(digest, overlap, now);
        let changed = Client { secrets, updated_at: now, revision: present.revision + 1, ..present };
        if clients::replace(db, &changed)? { Ok(changed) } else { Err(FlowError::Changed) }
    });
    let changed = rotated.await?;
    app.facts.changed();

    audit::record(by, "client.secret.rotate", &id.to_string(), &format!("overlap_seconds={overlap}"));
    Ok((changed, secret))
}

/// Deletes the client; its refresh tokens go with it, and its access tokens are active no more.
///
/// # Errors
/// [`FlowError::NotFound`], [`FlowError::Changed`].
pub async fn delete(app: &App, by: &str, id: ClientId, expected: Option<i64>) -> Result<(), FlowError> {
    let deleted = app.database.write(move |db| {
        let present = clients::find(db, id)?.ok_or(FlowError::NotFound)?;
        require_revision(&present, expected)?;
        if clients::delete(db, id, Some(present.revision))? { Ok(()) } else { Err(FlowError::Changed) }
    });
    deleted.await?;
    app.facts.changed();

    audit::record(by, "client.delete", &id.to_string(), "");
    Ok(())
}

fn require_revision(present: &Client, expected: Option<i64>) -> Result<(), FlowError> {
    if expected.is_none_or(|expected| expected == present.revision) {
        Ok(())
    } else {
        Err(FlowError::Changed)
    }
}
