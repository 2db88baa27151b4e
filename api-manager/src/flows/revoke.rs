//! Taking grants back: one token by the client that holds it (RFC 7009), or a whole lineage by an administrator.

use shared_claims::clock::UnixTime;
use shared_claims::opaque;

use super::{Client, Denied};
use crate::app::App;
use crate::changes::Change;
use crate::domain::revocation::Revocation;
use crate::storage::{grants, revocations};

/// Revokes a client's own token: an access token with its refresh token, a refresh token with its whole line. An
/// unknown token is as good as revoked (RFC 7009, section 2.2).
///
/// # Errors
/// [`Denied::ForeignToken`] for another client's token.
pub async fn revoke_token(app: &App, client: &Client, token: &str, now: UnixTime) -> Result<(), Denied> {
    let Some(digest) = opaque::presented(token.as_bytes()) else { return Ok(()) };
    let found = app
        .database
        .read(move |connection| {
            if let Some(grant) = grants::find_by_access_digest(connection, &digest)? {
                return Ok(Some((grant.consumer_key, Revocation::Token(digest))));
            }
            let grant = grants::find_by_refresh_digest(connection, &digest)?;
            Ok::<_, Denied>(grant.map(|grant| (grant.consumer_key, Revocation::Family(grant.lineage.family))))
        })
        .await?;
    match found {
        None => Ok(()),
        Some((owner, _)) if owner != client.key.consumer_key => Err(Denied::ForeignToken),
        Some((_, revocation)) => revoke_lineage(app, revocation, now).await.map(drop),
    }
}

/// Revokes a set of grants, and says how many were alive. No gateway of this process lets any of them in afterwards;
/// others follow within a second.
///
/// # Errors
/// [`Denied::Storage`].
pub async fn revoke_lineage(app: &App, revocation: Revocation, now: UnixTime) -> Result<u64, Denied> {
    let named = revocation.clone();
    let revoked = app
        .database
        .write(move |connection| {
            let revoked = grants::revoke(connection, &named, now)?;
            revocations::append(connection, &named, now)?;
            Ok::<_, Denied>(revoked)
        })
        .await?;
    app.changes.announce(Change::Revoked(revocation)).await;
    Ok(revoked)
}
