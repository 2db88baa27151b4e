//! Signing keys are made, rotated and read again; the private halves are sealed before they are kept.

use shared_claims::clock::UnixTime;
use shared_claims::signature::{Algorithm, KeyKind};
use shared_server::database::{Database, StorageError};
use shared_server::sealing::MasterKey;

use super::{FlowError, audit};
use crate::app::App;
use crate::domain::client_metadata::DEFAULT_ACCESS_LIFETIME;
use crate::domain::key::{self, KeyRecord, first_algorithm};
use crate::keys::{KeyMaterial, KeyRing, make};
use crate::storage::{clients, signing_keys};

/// Where keys are kept, and in whose name their certificates are.
#[derive(Clone, Copy)]
pub struct KeyStore<'a> {
    /// The database.
    pub database: &'a Database,
    /// Seals them.
    pub master: &'a MasterKey,
    /// The common name of their certificates.
    pub host: &'a str,
}

impl App {
    fn key_store(&self) -> KeyStore<'_> {
        KeyStore { database: &self.database, master: &self.master, host: host_of(&self.issuer.name) }
    }
}

impl KeyStore<'_> {
    /// Makes the first key of a kind where there is none; of two processes that try, one wins and both use its key.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn ensure_first(&self, kind: KeyKind, now: UnixTime) -> Result<(), FlowError> {
        let newest = self.database.read(move |db| signing_keys::newest_generation(db, kind)).await?;
        if newest > 0 {
            return Ok(());
        }
        let record = self.generate(kind, now).await?.into_record(kind, 1, now, self.master)?;
        match self.database.write(move |db| signing_keys::insert(db, &record, now)).await {
            Ok(()) | Err(StorageError::Duplicate) => Ok(()),
            Err(other) => Err(FlowError::Storage(other)),
        }
    }

    /// Opens all keys.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn open(&self, now: UnixTime) -> Result<KeyRing, FlowError> {
        let stored = self.database.read(signing_keys::load).await?;
        Ok(KeyRing::open(stored.revision, stored.keys, stored.algorithms, self.master, now)?)
    }

    /// Makes the next key of a kind. It signs from `lead` seconds on, when every process has published it; the one
    /// before stays published until its last token has expired for everybody.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] where another process rotated at the same time.
    pub async fn rotate(&self, kind: KeyKind, lead: i64, now: UnixTime) -> Result<KeyRecord, FlowError> {
        let (newest, longest) = self
            .database
            .read(move |db| {
                let longest = clients::longest_access_lifetime(db)?;
                Ok::<_, FlowError>((signing_keys::newest_generation(db, kind)?, longest))
            })
            .await?;
        let material = self.generate(kind, now).await?;

        let signs_from = now.plus(lead);
        let record = material.into_record(kind, newest + 1, signs_from, self.master)?;
        let retires_at = key::retirement(signs_from, longest.unwrap_or(0).max(DEFAULT_ACCESS_LIFETIME));
        let kept = record.clone();
        self.database.write(move |db| signing_keys::insert(db, &kept, retires_at)).await?;
        Ok(record)
    }

    /// On a thread that may take its time: an RSA key takes tenths of a second.
    async fn generate(&self, kind: KeyKind, now: UnixTime) -> Result<KeyMaterial, FlowError> {
        let host = self.host.to_owned();
        let made = tokio::task::spawn_blocking(move || make(kind, &host, now)).await;
        let made = made.map_err(|_| StorageError::Fault("making a key panicked".to_owned()))?;
        Ok(made?)
    }
}

/// Sees to it that tokens can be signed with `algorithm`: a key of its kind, published for it.
///
/// # Errors
/// [`FlowError`].
pub async fn ensure(app: &App, algorithm: Algorithm, now: UnixTime) -> Result<(), FlowError> {
    if app.keys.serves(algorithm) {
        return Ok(());
    }
    app.key_store().ensure_first(algorithm.key_kind(), now).await?;
    if algorithm != first_algorithm(algorithm.key_kind()) {
        app.database.write(move |db| signing_keys::add_algorithm(db, algorithm, now)).await?;
    }
    reload(app, now).await
}

/// Rotates the key of a kind and answers the new one's `kid`. Alone on its database this server publishes and uses
/// the new key at once; on PostgreSQL other nodes may have to hear of it first.
///
/// # Errors
/// As [`KeyStore::rotate`].
pub async fn rotate(app: &App, by: &str, kind: KeyKind, now: UnixTime) -> Result<String, FlowError> {
    let lead = if app.database.is_postgres() { key::LEAD } else { 0 };
    let record = app.key_store().rotate(kind, lead, now).await?;
    reload(app, now).await?;
    audit::record(by, "key.rotate", &record.kid, key::kind_name(kind));
    Ok(record.kid)
}

/// Reads the keys again.
///
/// # Errors
/// [`FlowError`]; the old ones stay in use.
pub async fn reload(app: &App, now: UnixTime) -> Result<(), FlowError> {
    let stored = app.database.read(signing_keys::load).await?;
    Ok(app.keys.replace(stored.revision, stored.keys, stored.algorithms, &app.master, now)?)
}

/// Reads the keys again where another process changed them.
///
/// # Errors
/// [`FlowError`].
pub async fn reload_when_changed(app: &App, now: UnixTime) -> Result<(), FlowError> {
    let revision = app.database.read(signing_keys::revision).await?;
    if revision == app.keys.revision() { Ok(()) } else { reload(app, now).await }
}

/// The host of an issuer URL, for certificates; the whole text where it is no URL.
#[must_use]
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_issuer_is_found_with_or_without_port_and_path() {
        for (url, host) in [
            ("https://id.example:9443/oauth2", "id.example"),
            ("https://[::1]:9443", "::1"),
            ("https://id.example", "id.example"),
            ("urn:issuer", "urn"),
            ("plain", "plain"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
