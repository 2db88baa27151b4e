//! What every grant type ends with: new tokens, and the grant that they stand for.

use shared_claims::clock::UnixTime;
use shared_claims::oauth::REFRESH_TOKEN;
use shared_claims::opaque::OpaqueToken;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::NoRandomness;
use shared_server::database::AnyConnection;

use super::Denied;
use crate::domain::application::Client;
use crate::domain::grant::{AssertionOrigin, Grant, Lineage, REFRESH_IDLE, REFRESH_LINE, Refresh};
use crate::domain::ids::GrantId;
use crate::storage::application_keys;

/// New tokens, plain, to be shown once.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: OpaqueToken,
    /// The refresh token, where the key may refresh.
    pub refresh_token: Option<OpaqueToken>,
    /// The first moment at which the access token is refused.
    pub expires_at: UnixTime,
    /// What was granted.
    pub scopes: ScopeSet,
}

/// Tokens for a person on whose behalf a client comes with an assertion.
pub(super) fn for_subject(
    client: &Client,
    subject: String,
    origin: AssertionOrigin,
    (scopes, expires_at): (ScopeSet, UnixTime),
    now: UnixTime,
) -> Result<(Grant, Issued), NoRandomness> {
    let id = GrantId::generate();
    let refresh_token = if client.lists(REFRESH_TOKEN) { Some(OpaqueToken::generate()?) } else { None };
    let refresh = refresh_token.as_ref().map(|token| Refresh {
        digest: token.digest(),
        scopes: scopes.clone(),
        expires_at: now.plus(REFRESH_IDLE),
        line_ends_at: now.plus(REFRESH_LINE),
        spent: None,
    });
    let access_token = OpaqueToken::generate()?;
    let grant = Grant {
        id,
        access_digest: access_token.digest(),
        refresh,
        consumer_key: client.key.consumer_key.clone(),
        application_id: client.application.id,
        key_type: client.key.key_type,
        subject,
        scopes: scopes.clone(),
        issued_at: now,
        expires_at,
        lineage: Lineage { assertion: Some(origin), family: id, parent: None },
        revoked_at: None,
    };
    Ok((grant, Issued { access_token, refresh_token, expires_at, scopes }))
}

/// A token for the application itself. Never with a refresh token (RFC 6749, section 4.4.3).
pub(super) fn for_application(
    client: &Client,
    scopes: ScopeSet,
    now: UnixTime,
) -> Result<(Grant, Issued), NoRandomness> {
    let id = GrantId::generate();
    let access_token = OpaqueToken::generate()?;
    let expires_at = now.plus(client.application.access_token_lifetime);
    let grant = Grant {
        id,
        access_digest: access_token.digest(),
        refresh: None,
        consumer_key: client.key.consumer_key.clone(),
        application_id: client.application.id,
        key_type: client.key.key_type,
        subject: client.key.consumer_key.clone(),
        scopes: scopes.clone(),
        issued_at: now,
        expires_at,
        lineage: Lineage { assertion: None, family: id, parent: None },
        revoked_at: None,
    };
    Ok((grant, Issued { access_token, refresh_token: None, expires_at, scopes }))
}

/// Fails where the key that buys is gone since it logged in. Asked first in the transaction that grants, and held
/// until that ends.
pub(super) fn key_remains(connection: &mut AnyConnection, client: &Client) -> Result<(), Denied> {
    let revision = application_keys::hold(connection, &client.key.consumer_key)?;
    revision.map(drop).ok_or(Denied::Client)
}

/// The next pair of a line. The refresh token keeps what the first one could buy (RFC 6749, section 6), and its line
/// ends when it was going to.
pub(super) fn next_of(
    client: &Client,
    spent: &Grant,
    refresh: &Refresh,
    scopes: ScopeSet,
    now: UnixTime,
) -> Result<(Grant, Issued), NoRandomness> {
    let (access_token, refresh_token) = (OpaqueToken::generate()?, OpaqueToken::generate()?);
    let expires_at = now.plus(client.application.access_token_lifetime);
    let next = Refresh {
        digest: refresh_token.digest(),
        scopes: refresh.scopes.clone(),
        expires_at: now.plus(REFRESH_IDLE).min(refresh.line_ends_at),
        line_ends_at: refresh.line_ends_at,
        spent: None,
    };
    let grant = Grant {
        id: GrantId::generate(),
        access_digest: access_token.digest(),
        refresh: Some(next),
        scopes: scopes.clone(),
        issued_at: now,
        expires_at,
        lineage: Lineage { parent: Some(spent.id), ..spent.lineage.clone() },
        revoked_at: None,
        ..spent.clone()
    };
    Ok((grant, Issued { access_token, refresh_token: Some(refresh_token), expires_at, scopes }))
}
