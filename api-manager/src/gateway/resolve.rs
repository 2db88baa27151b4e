//! What a credential stands for, where the cache does not know: the one place at which the gateway asks.

use log::error;
use shared_server::database::StorageError;

use super::credentials::Credential;
use super::grant_cache::CannotLookUp;
use crate::app::App;
use crate::domain::principal::Principal;
use crate::domain::scheme::Scheme;
use crate::storage::{api_keys, grants};

/// Asks the database.
///
/// # Errors
/// [`CannotLookUp`].
pub async fn resolve(app: &App, credential: Credential) -> Result<Option<Principal>, CannotLookUp> {
    let Credential { scheme, digest } = credential;
    let read = app.database.read(move |connection| {
        Ok::<_, StorageError>(match scheme {
            Scheme::Token => grants::find_by_access_digest(connection, &digest)?.map(Principal::Grant),
            Scheme::ApiKey => api_keys::find_by_digest(connection, &digest)?.map(Principal::of_api_key),
        })
    });
    read.await.map_err(|why| {
        if !matches!(why, StorageError::Busy) {
            error!(cause = why.to_string().as_str(); "a credential cannot be looked up");
        }
        CannotLookUp
    })
}
