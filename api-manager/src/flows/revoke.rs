//! Taking grants back: one token by the client that holds it (RFC 7009), or a whole lineage by an administrator.

use shared_claims::clock::UnixTime;
use shared_claims::opaque;

use super::{Denied, FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::Client;
use crate::domain::revocation::Revocation;
use crate::storage::{grants, revocations};

/// Revokes a client's own token: an access token with its refresh token, a refresh token with its whole line. An
/// unknown token is as good as revoked (RFC 7009, section 2.2).
///
/// # Errors
/// [`Denied::ForeignToken`] for another client's token.
pub async fn revoke_token(app: &App, client: &Client, token: &str, now: UnixTime) -> Result<(), Denied> {
    match named_by(app, token, now).await? {
        None => Ok(()),
        Some((owner, _)) if owner != client.key.consumer_key => Err(Denied::ForeignToken),
        Some((_, revocation)) => revoke_lineage(app, revocation, now).await.map(drop),
    }
}

/// Whose token it is, and what revoking it takes with it; nothing for an unknown one.
///
/// # Errors
/// [`Denied::Storage`].
pub async fn named_by(app: &App, token: &str, now: UnixTime) -> Result<Option<(String, Revocation)>, Denied> {
    let Some(digest) = opaque::presented(token.as_bytes()) else { return Ok(None) };
    app.database
        .read(move |connection| {
            if let Some(grant) = grants::find_by_access_digest(connection, &digest, now)? {
                return Ok(Some((grant.consumer_key, Revocation::Token(digest))));
            }
            let grant = grants::find_by_refresh_digest(connection, &digest, now)?;
            Ok(grant.map(|grant| (grant.consumer_key, Revocation::Family(grant.lineage.family))))
        })
        .await
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

/// [`revoke_lineage`] for the management REST, with a line in the audit.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn revoke_by_administrator(
    app: &App,
    actor: &Actor,
    revocation: Revocation,
    now: UnixTime,
) -> Result<u64, FlowError> {
    let thing = named(&revocation);
    let revoked = revoke_lineage(app, revocation, now).await.map_err(fault)?;
    audit::record(actor, "revoked grants", &thing, "", &format!("{revoked} grants revoked"));
    Ok(revoked)
}

/// Revokes whatever a plain token stands for, whoever's it is.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn revoke_token_by_administrator(
    app: &App,
    actor: &Actor,
    token: &str,
    now: UnixTime,
) -> Result<u64, FlowError> {
    match named_by(app, token, now).await.map_err(fault)? {
        None => Ok(0),
        Some((_, revocation)) => revoke_by_administrator(app, actor, revocation, now).await,
    }
}

/// For the audit: what a revocation names, without the token.
fn named(revocation: &Revocation) -> String {
    match revocation {
        Revocation::Token(_) => "one token".to_owned(),
        Revocation::Family(id) => format!("family {id}"),
        Revocation::Application(id) => format!("application {id}"),
        Revocation::Key(key) => format!("key {key}"),
        Revocation::Subject { subject, issuer: None } => format!("subject {subject}"),
        Revocation::Subject { subject, issuer: Some(issuer) } => format!("subject {subject} of {issuer}"),
        Revocation::Assertion { issuer, jti } => format!("assertion {jti} of {issuer}"),
        Revocation::IdentityProvider(id) => format!("identity provider {id}"),
        Revocation::ApiKey(id) => format!("API key {id}"),
        Revocation::MappedClient(id) => format!("mapped client {id}"),
        Revocation::ClientCertificate(id) => format!("client certificate {id}"),
    }
}

fn fault(denied: Denied) -> FlowError {
    match denied {
        Denied::Storage(error) => FlowError::Storage(error),
        other => FlowError::Fault(format!("{other:?}")),
    }
}
