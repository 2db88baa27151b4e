//! A refresh token buys the next pair of its line (RFC 6749, section 6; rotation as in RFC 9700, section 4.14.2).

use shared_claims::clock::UnixTime;
use shared_claims::opaque;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, Secret};
use shared_server::database::AnyConnection;

use super::{Denied, Issued, issue, revoke_lineage};
use crate::app::App;
use crate::changes::Change;
use crate::domain::application::Client;
use crate::domain::grant::{Grant, REFRESH_GRACE, Refresh, narrow};
use crate::domain::identity_provider::IdentityProvider;
use crate::domain::revocation::Revocation;
use crate::storage::{apis, grants, identity_providers, revocations};

/// What the client sends.
#[derive(Debug)]
pub struct RefreshGrant {
    /// The refresh token.
    pub refresh_token: Secret,
    /// What the access token shall be for; empty for all that was granted.
    pub scopes: ScopeSet,
}

/// What the write came to.
enum Turn {
    /// A pair was issued; the successor that never reached the client is revoked, where there was one.
    Issued(Issued, Option<Revocation>),
    /// The token was used before; its line is to be revoked. Nothing was written.
    Reused(Revocation),
}

/// Spends a refresh token. One that was spent already ends its whole line, because one of two holders is a thief,
/// unless it comes back within ten seconds and its successor was not used: then the answer got lost on the way.
///
/// # Errors
/// [`Denied`].
pub async fn refresh_grant(
    app: &App,
    client: Client,
    grant: RefreshGrant,
    now: UnixTime,
) -> Result<Issued, Denied> {
    let digest =
        opaque::presented(grant.refresh_token.expose().as_bytes()).ok_or(Denied::UnknownRefreshToken)?;
    // All in the write: what is decided here must still be so when it is done.
    let turn =
        app.database.write(move |connection| take_turn(connection, &client, digest, &grant.scopes, now));
    match turn.await? {
        Turn::Issued(issued, lost) => {
            if let Some(lost) = lost {
                app.changes.announce(Change::Revoked(lost)).await;
            }
            Ok(issued)
        }
        Turn::Reused(line) => {
            // A transaction of its own: that a token is spent will not change, and revoking in the one above would
            // wait for others that wait for it.
            let revoked = revoke_lineage(app, line, now).await?;
            log::warn!(revoked; "a spent refresh token came back; its line is revoked");
            Err(Denied::ReusedRefreshToken)
        }
    }
}

fn take_turn(
    connection: &mut AnyConnection,
    client: &Client,
    digest: Digest,
    requested: &ScopeSet,
    now: UnixTime,
) -> Result<Turn, Denied> {
    issue::key_remains(connection, client)?;
    let spent =
        grants::find_by_refresh_digest(connection, &digest, now)?.ok_or(Denied::UnknownRefreshToken)?;
    let refresh = spent.refresh.clone().ok_or(Denied::UnknownRefreshToken)?;
    // Bound to the key it was issued to (RFC 6749, section 6); to another client it is as good as unknown.
    if spent.consumer_key != client.key.consumer_key {
        return Err(Denied::UnknownRefreshToken);
    }
    if refresh.expires_at <= now || refresh.line_ends_at <= now {
        return Err(Denied::ExpiredRefreshToken);
    }
    let provider = still_trusted(connection, &spent)?;
    let allowed = apis::scopes_of_subscribed(connection, client.application.id)?;
    let bound = provider.and_then(|provider| provider.scopes);
    let allowed = bound.map_or_else(|| allowed.clone(), |bound| allowed.intersection(&bound));
    // What has been withdrawn since from application or provider is not granted again.
    let scopes = narrow(&asked_of(&refresh, requested)?, &allowed)?;

    let (next, issued) = issue::next_of(client, &spent, &refresh, scopes, now)?;
    if grants::spend_refresh(connection, spent.id, next.id, now)? {
        grants::insert(connection, &next)?;
        return Ok(Turn::Issued(issued, None));
    }
    // Spent or revoked, perhaps a moment ago by a parallel request. Held, so that of several that come back at once
    // each finds the successor that the one before it made.
    let spent = grants::hold(connection, spent.id)?.ok_or(Denied::UnknownRefreshToken)?;
    if let Some(lost) = lost_successor(connection, &spent, now)?
        && grants::replace_successor(connection, spent.id, lost.id, next.id, now)?
    {
        let revocation = Revocation::Token(lost.access_digest);
        revocations::append(connection, &revocation, now)?;
        grants::insert(connection, &next)?;
        return Ok(Turn::Issued(issued, Some(revocation)));
    }
    Ok(Turn::Reused(Revocation::Family(spent.lineage.family)))
}

/// The grant that a refresh token was spent on a moment ago, if nobody has used that one's refresh token.
fn lost_successor(
    connection: &mut AnyConnection,
    spent: &Grant,
    now: UnixTime,
) -> Result<Option<Grant>, Denied> {
    let Some((at, successor)) = spent.refresh.as_ref().and_then(|refresh| refresh.spent) else {
        return Ok(None);
    };
    if spent.revoked_at.is_some() || now.since(at) > REFRESH_GRACE {
        return Ok(None);
    }
    Ok(grants::find(connection, successor)?.filter(|grant| {
        grant.revoked_at.is_none() && grant.refresh.as_ref().is_some_and(|refresh| refresh.spent.is_none())
    }))
}

/// The provider that is behind a grant, if one is. A disabled provider's grants are suspended, a deleted one's are gone.
fn still_trusted(connection: &mut AnyConnection, grant: &Grant) -> Result<Option<IdentityProvider>, Denied> {
    let Some(origin) = &grant.lineage.assertion else { return Ok(None) };
    match identity_providers::hold(connection, origin.identity_provider_id)? {
        Some((_, true)) => Ok(identity_providers::find(connection, origin.identity_provider_id)?),
        Some((_, false)) => Err(Denied::IssuerDisabled),
        None => Err(Denied::UnknownRefreshToken),
    }
}

/// Never more than was granted first (RFC 6749, section 6); less is fine, and costs nothing later.
fn asked_of(refresh: &Refresh, requested: &ScopeSet) -> Result<ScopeSet, Denied> {
    if requested.is_empty() {
        return Ok(refresh.scopes.clone());
    }
    if requested.is_subset(&refresh.scopes) { Ok(requested.clone()) } else { Err(Denied::WiderScope) }
}
