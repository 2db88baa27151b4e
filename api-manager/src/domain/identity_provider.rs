//! An issuer that we trust, and the rules by which its assertions are taken.

mod accept;
mod draft;

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::signature::Algorithm;

use super::ids::IdentityProviderId;

pub use accept::{Accepted, Finding, LEEWAY, RULES, Refused, Rule};
pub use draft::{Draft, LONGEST_LIFETIME, Terms};

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

impl IdentityProvider {
    /// A provider that has just been registered.
    #[must_use]
    pub fn register(id: IdentityProviderId, terms: Terms, now: UnixTime) -> Self {
        Self {
            id,
            name: terms.name,
            issuer: terms.issuer,
            alias: terms.alias,
            certificates: terms.certificates,
            jwks_uri: terms.jwks_uri,
            enabled: terms.enabled,
            algorithms: terms.algorithms,
            replay: terms.replay,
            max_assertion_lifetime: terms.max_assertion_lifetime,
            scopes: terms.scopes,
            outlive_assertion: terms.outlive_assertion,
            management: terms.management,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// The same provider on other terms: the next revision.
    #[must_use]
    pub fn on_terms(&self, terms: Terms, now: UnixTime) -> Self {
        let created_at = self.created_at;
        let revision = self.revision.saturating_add(1);
        Self { created_at, revision, ..Self::register(self.id, terms, now) }
    }
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

#[cfg(test)]
mod tests;
