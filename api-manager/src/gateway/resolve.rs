//! What a credential stands for, where the cache does not know: the one place at which the gateway asks.

use std::collections::HashMap;
use std::sync::Arc;

use log::{error, info};
use shared_claims::secret::Digest;
use shared_server::database::StorageError;

use super::credentials::Credential;
use super::grant_cache::CannotLookUp;
use super::routes::RouteTable;
use crate::app::App;
use crate::domain::by_grant::ByGrant;
use crate::domain::identity_provider::IdentityProvider;
use crate::domain::principal::Principal;
use crate::domain::scheme::Scheme;
use crate::flows::{Denied, NotAccepted, accept_jwt, issuer_of};
use crate::issuers::Unverified;
use crate::storage::{api_keys, application_certificates, grants};

/// A credential to be looked up.
pub enum Wanted {
    /// What it stands for was stored when it was made.
    Stored(Credential),
    /// Its provider vouches for it.
    Jwt(Credential, Arc<str>, Arc<IdentityProvider>),
}

impl Wanted {
    /// What has to be asked of whom; nothing for a JWT of nobody whom `table` trusts, which costs no look-up.
    #[must_use]
    pub fn of(credential: Credential, jwt: Option<&Arc<str>>, table: &RouteTable) -> Option<Self> {
        match credential.scheme {
            Scheme::Token | Scheme::ApiKey | Scheme::ClientCertificate => Some(Self::Stored(credential)),
            Scheme::Jwt => {
                let jwt = jwt?;
                let provider = table.provider_of(&issuer_of(jwt)?)?;
                Some(Self::Jwt(credential, Arc::clone(jwt), Arc::clone(provider)))
            }
        }
    }

    /// The credential.
    #[must_use]
    pub fn credential(&self) -> Credential {
        match self {
            Self::Stored(credential) | Self::Jwt(credential, ..) => *credential,
        }
    }
}

/// Finds out what one credential stands for.
///
/// # Errors
/// [`CannotLookUp`].
pub async fn resolve(app: &App, wanted: &Wanted) -> Result<Option<Principal>, CannotLookUp> {
    match wanted {
        Wanted::Stored(credential) => read_all(app, vec![*credential]).await?.remove(credential).transpose(),
        Wanted::Jwt(_, jwt, provider) => match accept_jwt(app, provider, jwt, app.clock.now()).await {
            Ok(caller) => Ok(Some(Principal::VouchedFor(Box::new(caller)))),
            Err(NotAccepted::Refused(reason)) => {
                info!(reason = reason, issuer = provider.issuer.as_str(); "a JWT opens nothing");
                Ok(None)
            }
            Err(NotAccepted::CannotTell(why)) => {
                let is_told_elsewhere = matches!(
                    why,
                    Denied::Storage(StorageError::Busy) | Denied::Unverified(Unverified::KeysUnavailable(_))
                );
                if !is_told_elsewhere {
                    error!(cause = format!("{why:?}").as_str(); "a JWT cannot be checked");
                }
                Err(CannotLookUp)
            }
        },
    }
}

/// What was read of credentials, each by itself.
pub type Found = HashMap<Credential, Result<Principal, CannotLookUp>>;

/// Reads what many credentials stand for; those that are not found stand for nothing.
///
/// # Errors
/// [`CannotLookUp`].
pub async fn read_all(app: &App, credentials: Vec<Credential>) -> Result<Found, CannotLookUp> {
    let now = app.clock.now();
    let read = app.database.read(move |connection| {
        let tokens = credentials.iter().filter(|one| one.scheme == Scheme::Token);
        let tokens: Vec<Digest> = tokens.map(|one| one.digest).collect();
        let mut found = Found::new();
        for (digest, grant) in grants::find_by_access_digests(connection, &tokens, now)? {
            let read = grant.map(|grant| Principal::Grant(ByGrant::of(&grant))).map_err(cannot);
            found.insert(Credential { scheme: Scheme::Token, digest }, read);
        }
        for credential in &credentials {
            let read = match credential.scheme {
                Scheme::ApiKey => api_keys::find_by_digest(connection, &credential.digest)
                    .map(|key| key.map(Principal::of_api_key)),
                Scheme::ClientCertificate => {
                    application_certificates::find_by_digest(connection, &credential.digest)
                        .map(|certificate| certificate.map(Principal::of_certificate))
                }
                // Tokens are found by now, and of JWTs nothing is stored.
                Scheme::Token | Scheme::Jwt => continue,
            };
            if let Some(read) = read.map_err(cannot).transpose() {
                found.insert(*credential, read);
            }
        }
        Ok::<_, StorageError>(found)
    });
    read.await.map_err(cannot)
}

fn cannot(why: StorageError) -> CannotLookUp {
    if !matches!(why, StorageError::Busy) {
        error!(cause = why.to_string().as_str(); "a credential cannot be looked up");
    }
    CannotLookUp
}
