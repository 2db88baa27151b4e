//! What a credential stands for, where the cache does not know: the one place at which the gateway asks.

use std::sync::Arc;

use log::{error, info};
use shared_server::database::StorageError;

use super::credentials::Credential;
use super::grant_cache::CannotLookUp;
use super::routes::RouteTable;
use crate::app::App;
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

/// Finds out.
///
/// # Errors
/// [`CannotLookUp`].
pub async fn resolve(app: &App, wanted: &Wanted) -> Result<Option<Principal>, CannotLookUp> {
    match wanted {
        Wanted::Stored(credential) => read(app, *credential).await,
        Wanted::Jwt(_, jwt, provider) => match accept_jwt(app, provider, jwt, app.clock.now()).await {
            Ok(caller) => Ok(Some(Principal::VouchedFor(caller))),
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

async fn read(app: &App, credential: Credential) -> Result<Option<Principal>, CannotLookUp> {
    let Credential { scheme, digest } = credential;
    let read = app.database.read(move |connection| {
        Ok::<_, StorageError>(match scheme {
            Scheme::Token => grants::find_by_access_digest(connection, &digest)?.map(Principal::Grant),
            Scheme::ApiKey => api_keys::find_by_digest(connection, &digest)?.map(Principal::of_api_key),
            Scheme::ClientCertificate => {
                application_certificates::find_by_digest(connection, &digest)?.map(Principal::of_certificate)
            }
            // Nothing is stored of it.
            Scheme::Jwt => None,
        })
    });
    read.await.map_err(|why| {
        if !matches!(why, StorageError::Busy) {
            error!(cause = why.to_string().as_str(); "a credential cannot be looked up");
        }
        CannotLookUp
    })
}
