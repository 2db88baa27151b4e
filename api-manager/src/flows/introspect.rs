//! What a token stands for, told to whom it is presented (RFC 7662).

use shared_claims::clock::UnixTime;
use shared_claims::credentials::Pair;
use shared_claims::opaque;

use super::Denied;
use super::client_login::proven_key;
use crate::app::App;
use crate::domain::grant::Grant;
use crate::storage::{application_keys, grants, identity_providers};

/// Who asks.
#[derive(Debug)]
pub enum Asker {
    /// An administrator, who has proven it.
    Administrator,
    /// An application's key, by the readings of credentials that are still to be looked at.
    Key(Vec<Pair>),
}

/// The grant of a live access token; nothing for one that is unknown, expired, revoked, suspended or misspelt. A
/// refresh token is none: a resource server that asks must not take it for one.
///
/// # Errors
/// [`Denied::Client`], or [`Denied::Storage`].
pub async fn introspect(
    app: &App,
    asker: Asker,
    token: &str,
    now: UnixTime,
) -> Result<Option<Grant>, Denied> {
    let digest = opaque::presented(token.as_bytes());
    app.database
        .look_up(move |connection| {
            let asking = match asker {
                Asker::Administrator => None,
                Asker::Key(readings) => Some(proven_key(connection, &readings, now)?.consumer_key),
            };
            let Some(digest) = digest else { return Ok(None) };
            let Some(grant) =
                grants::find_by_access_digest(connection, &digest, now)?.filter(|grant| grant.is_live(now))
            else {
                return Ok(None);
            };
            // Its key may have gone with its application since; the one that asks was just read.
            let is_asking = asking.as_ref() == Some(&grant.consumer_key);
            if !is_asking && !application_keys::exists(connection, &grant.consumer_key)? {
                return Ok(None);
            }
            let Some(origin) = &grant.lineage.assertion else { return Ok(Some(grant)) };
            let vouches = identity_providers::is_enabled(connection, origin.identity_provider_id)?;
            Ok(vouches.then_some(grant))
        })
        .await
}
