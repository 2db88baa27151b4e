//! What a token stands for, told to whom it is presented (RFC 7662).

use shared_claims::clock::UnixTime;
use shared_claims::opaque;

use super::Denied;
use crate::app::App;
use crate::domain::grant::Grant;
use crate::storage::{application_keys, grants, identity_providers};

/// The grant of a live access token; nothing for one that is unknown, expired, revoked, suspended or misspelt. A
/// refresh token is none: a resource server that asks must not take it for one.
///
/// # Errors
/// [`Denied::Storage`].
pub async fn introspect(app: &App, token: &str, now: UnixTime) -> Result<Option<Grant>, Denied> {
    let Some(digest) = opaque::presented(token.as_bytes()) else { return Ok(None) };
    app.database
        .look_up(move |connection| {
            let Some(grant) =
                grants::find_by_access_digest(connection, &digest)?.filter(|grant| grant.is_live(now))
            else {
                return Ok(None);
            };
            // Its key may have gone with its application since.
            if !application_keys::exists(connection, &grant.consumer_key)? {
                return Ok(None);
            }
            let Some(origin) = &grant.lineage.assertion else { return Ok(Some(grant)) };
            let vouches = identity_providers::is_enabled(connection, origin.identity_provider_id)?;
            Ok(vouches.then_some(grant))
        })
        .await
}
