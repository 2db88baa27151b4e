//! Who acts on the management REST, and what the credentials allow.

use shared_claims::scope::ScopeSet;

/// A right on the management REST. A Bearer token carries it as a scope; the administrator holds them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read APIs, tiers and tags that the catalogue shows.
    ViewApis,
    /// Create, change and delete APIs.
    CreateApis,
    /// Move an API through its lifecycle; block and unblock subscriptions to it.
    PublishApis,
    /// Own applications and their keys, and subscribe them.
    Subscribe,
    /// Everything: identity providers, tiers, revocations, other people's resources.
    Administer,
}

impl Right {
    /// The scope that carries the right; the names are those of the original.
    #[must_use]
    pub fn scope(self) -> &'static str {
        match self {
            Self::ViewApis => "apim:api_view",
            Self::CreateApis => "apim:api_create",
            Self::PublishApis => "apim:api_publish",
            Self::Subscribe => "apim:subscribe",
            Self::Administer => "apim:admin",
        }
    }
}

/// An authenticated caller of the management REST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The owner's name on what this caller makes: `admin`, or the token's `sub`.
    pub name: String,
    /// The scopes of the token; `None` for the administrator, who needs none.
    pub scopes: Option<ScopeSet>,
}

impl Actor {
    /// Whether the caller holds `right`; [`Right::Administer`] includes every other one.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        match &self.scopes {
            None => true,
            Some(scopes) => scopes.contains(right.scope()) || scopes.contains(Right::Administer.scope()),
        }
    }

    /// Whether the caller may touch what `owner` owns.
    #[must_use]
    pub fn owns(&self, owner: &str) -> bool {
        self.may(Right::Administer) || self.name == owner
    }
}
