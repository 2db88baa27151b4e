//! The key with which the gateway vouches for callers to backends (ES256).

use serde::Serialize;
use shared_claims::clock::UnixTime;
use shared_claims::jwk::{Jwk, JwkSet};
use shared_claims::signature::{Algorithm, KeyKind, PrivateKey, SignatureError, SigningHeader, UnusableKey};
use shared_server::database::{Database, StorageError};
use shared_server::sealing::{MasterKey, SealingError};

use crate::storage::backend_keys;

/// What the sealed key opens for.
const PURPOSE: &str = "api-manager backend key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum BackendKeyError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The key does not open: another node has another master key.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// OpenSSL refused.
    #[error(transparent)]
    Key(#[from] UnusableKey),
}

/// A key that signs, and what the world may see of it.
pub struct BackendKey {
    key: PrivateKey,
    jwk: Jwk,
    kid: String,
}

impl BackendKey {
    /// The key that every node of this database shares; made where there is none.
    ///
    /// # Errors
    /// [`BackendKeyError`].
    pub async fn load_or_create(
        database: &Database,
        master: &MasterKey,
        now: UnixTime,
    ) -> Result<Self, BackendKeyError> {
        if let Some(sealed) = database.read(backend_keys::find).await? {
            return Self::open(master, &sealed);
        }
        let made = PrivateKey::generate(KeyKind::P256)?;
        let sealed = master.seal(PURPOSE, &made.to_pkcs8()?)?;
        let ours = sealed.clone();
        match database.write(move |connection| backend_keys::insert(connection, &ours, now)).await {
            Ok(()) => Self::open(master, &sealed),
            // Another node was faster: its key is everybody's.
            Err(StorageError::Duplicate) => {
                let theirs = database.read(backend_keys::find).await?;
                Self::open(master, &theirs.unwrap_or_default())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn open(master: &MasterKey, sealed: &[u8]) -> Result<Self, BackendKeyError> {
        let key = PrivateKey::from_pkcs8(&master.open(PURPOSE, sealed)?)?;
        let public = key.public()?;
        let kid = Jwk::of(&public)?.thumbprint();
        let jwk = Jwk::published(&public, Algorithm::ES256, &kid, None)?;
        Ok(Self { key, jwk, kid })
    }

    /// The public half, for backends.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: vec![self.jwk.clone()] }
    }

    /// Signs claims as a compact JWT.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, SignatureError> {
        let header = SigningHeader {
            algorithm: Algorithm::ES256,
            typ: Some("JWT"),
            kid: Some(&self.kid),
            x5t_s256: None,
        };
        self.key.sign(&header, claims)
    }
}
