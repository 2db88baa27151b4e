//! What an opaque token stands for, and where it came from.

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

use super::application::KeyType;
use super::ids::{ApplicationId, GrantId, IdentityProviderId};

/// A token pair's meaning. The tokens themselves are not here: only their digests are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// SHA-256 of the access token as presented.
    pub access_digest: Digest,
    /// The refresh token, where there is one.
    pub refresh: Option<Refresh>,
    /// The key that bought it: the client identifier.
    pub consumer_key: String,
    /// Whose key that is.
    pub application_id: ApplicationId,
    /// Which backends it reaches.
    pub key_type: KeyType,
    /// The assertion's `sub`, or the consumer key where no person is involved.
    pub subject: String,
    /// What was granted.
    pub scopes: ScopeSet,
    /// When it was made.
    pub issued_at: UnixTime,
    /// The first moment at which the access token is refused.
    pub expires_at: UnixTime,
    /// Where it came from.
    pub lineage: Lineage,
    /// When it was revoked, if it was.
    pub revoked_at: Option<UnixTime>,
}

/// A refresh token's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// SHA-256 of the refresh token.
    pub digest: Digest,
    /// What it may buy: as granted first, whatever narrower scope was asked for since (RFC 6749, section 6).
    pub scopes: ScopeSet,
    /// The first moment at which it is refused, unless it is used before.
    pub expires_at: UnixTime,
    /// The first moment at which every refresh token of the line is refused, however busy it was.
    pub line_ends_at: UnixTime,
    /// When it was spent and on which grant, if it was.
    pub spent: Option<(UnixTime, GrantId)>,
}

/// The scope that every application may have: what is granted where none is asked for, as the original does.
pub const DEFAULT_SCOPE: &str = "default";
/// How long an unused refresh token holds, in seconds.
pub const REFRESH_IDLE: i64 = 86_400;
/// How long a line of refresh tokens holds at most, in seconds.
pub const REFRESH_LINE: i64 = 30 * 86_400;
/// How long after its use a refresh token may come back from a client that lost the answer, in seconds.
pub const REFRESH_GRACE: i64 = 10;

/// None of the scopes asked for may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoScopeLeft;

/// Narrows `requested` to what may be granted. Nothing asked for is answered with `default`.
///
/// # Errors
/// [`NoScopeLeft`] where something was asked for and nothing of it may be granted.
pub fn narrow(requested: &ScopeSet, allowed: &ScopeSet) -> Result<ScopeSet, NoScopeLeft> {
    let tokens: Vec<&str> = if requested.is_empty() {
        vec![DEFAULT_SCOPE]
    } else {
        requested.iter().filter(|token| *token == DEFAULT_SCOPE || allowed.contains(token)).collect()
    };
    if tokens.is_empty() {
        return Err(NoScopeLeft);
    }
    ScopeSet::from_tokens(tokens).map_err(|_| NoScopeLeft)
}

impl Grant {
    /// Whether the access token is worth something at `now`, as far as the grant itself tells.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Where a grant came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The assertion that bought it, unless the application did so by itself.
    pub assertion: Option<AssertionOrigin>,
    /// The first grant of the line; its own id where it is the first.
    pub family: GrantId,
    /// The grant whose refresh token bought it.
    pub parent: Option<GrantId>,
}

/// The assertion behind a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionOrigin {
    /// The identity provider that was trusted.
    pub identity_provider_id: IdentityProviderId,
    /// Its `iss`.
    pub issuer: String,
    /// The thumbprint of the key that verified it: `x5t#S256` of the certificate, or the JWK's (RFC 7638).
    pub key_thumbprint: String,
    /// Its `jti`, where it had one.
    pub jti: Option<String>,
    /// SHA-256 of the assertion as presented.
    pub digest: Digest,
}
