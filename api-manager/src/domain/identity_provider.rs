//! An issuer that we trust, and the rules by which its assertions are taken.

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::signature::Algorithm;

use super::ids::IdentityProviderId;

/// A trusted identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Its id.
    pub id: IdentityProviderId,
    /// Its name.
    pub name: String,
    /// What `iss` must be, byte for byte: the name unless said otherwise.
    pub issuer: String,
    /// What `aud` must hold, byte for byte: our client identifier at that provider.
    pub alias: String,
    /// Its certificates, PEM, each holding a key that may sign assertions.
    pub certificates: Vec<String>,
    /// Where its JWK set is.
    pub jwks_uri: Option<String>,
    /// Whether it is trusted now.
    pub enabled: bool,
    /// The algorithms that it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Whether an assertion may be exchanged once or more often.
    pub replay: Replay,
    /// The longest time from now, and from `iat`, to `exp`, in seconds.
    pub max_assertion_lifetime: i64,
    /// The scopes that its assertions may buy; `None` for all that the application may have.
    pub scopes: Option<ScopeSet>,
    /// Whether a token may outlive the assertion that bought it.
    pub outlive_assertion: bool,
    /// Whether its JWTs open the management REST, by their scopes.
    pub management: bool,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// How often an assertion may be exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Once.
    SingleUse,
    /// Until it expires.
    Reusable,
}

impl Replay {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleUse => "single-use",
            Self::Reusable => "reusable",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::SingleUse, Self::Reusable].into_iter().find(|r| r.as_str() == text)
    }
}
