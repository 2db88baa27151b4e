//! Why the token endpoint and its neighbours refuse; `http::oauth_error` gives each its answer.

use shared_claims::jose::Malformed;
use shared_claims::scope::BadScope;
use shared_claims::secret::NoRandomness;
use shared_server::database::StorageError;

use crate::domain::grant::NoScopeLeft;
use crate::domain::identity_provider::Refused;
use crate::issuers::Unverified;

/// A refusal, or a failure of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The client is unknown or its secret is wrong: nobody learns which.
    Client,
    /// The key may not use this grant type.
    GrantNotListed,
    /// The assertion is no signed JWT that we read.
    Malformed(Malformed),
    /// No provider has the assertion's `iss`.
    UnknownIssuer,
    /// The provider is disabled.
    IssuerDisabled,
    /// Its keys do not vouch for the assertion.
    Unverified(Unverified),
    /// The claims break a rule.
    Refused(Refused),
    /// The assertion was exchanged before.
    Replayed,
    /// The scope asked for is misspelt.
    BadScope,
    /// Nothing of the scope asked for may be granted.
    NoScopeLeft,
    /// A refresh asks for more than was granted.
    WiderScope,
    /// The refresh token is unknown, or another client's.
    UnknownRefreshToken,
    /// The refresh token, or its line, has ended.
    ExpiredRefreshToken,
    /// The refresh token was spent before: somebody has a copy, so its whole line is revoked.
    ReusedRefreshToken,
    /// The token belongs to another client.
    ForeignToken,
    /// The provider's tokens do not open the management REST.
    NotForManagement,
    /// The database failed.
    Storage(StorageError),
    /// Something else of ours failed; the cause is for the log.
    Fault(String),
}

impl From<StorageError> for Denied {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Malformed> for Denied {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<Unverified> for Denied {
    fn from(error: Unverified) -> Self {
        Self::Unverified(error)
    }
}

impl From<Refused> for Denied {
    fn from(error: Refused) -> Self {
        Self::Refused(error)
    }
}

impl From<BadScope> for Denied {
    fn from(_: BadScope) -> Self {
        Self::BadScope
    }
}

impl From<NoScopeLeft> for Denied {
    fn from(_: NoScopeLeft) -> Self {
        Self::NoScopeLeft
    }
}

impl From<NoRandomness> for Denied {
    fn from(error: NoRandomness) -> Self {
        Self::Fault(error.to_string())
    }
}
