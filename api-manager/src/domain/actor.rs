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
    /// The owner's name on what this caller makes: `admin`, or `sub@issuer` of the token ([`Actor::name_of`]).
    pub name: String,
    /// The scopes of the token; `None` for the administrator, who needs none.
    pub scopes: Option<ScopeSet>,
}

impl Actor {
    /// The name of the person whom `issuer` calls `subject`. Two providers may each have an alice, and neither's may
    /// own what the other's made; the first `@` ends the subject, whose own are escaped, so no two pairs share a name.
    #[must_use]
    pub fn name_of(subject: &str, issuer: &str) -> String {
        format!("{}@{issuer}", subject.replace('%', "%25").replace('@', "%40"))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_providers_people_never_share_a_name() {
        assert_eq!(Actor::name_of("alice", "https://a.example"), "alice@https://a.example");
        assert_ne!(
            Actor::name_of("alice", "https://a.example"),
            Actor::name_of("alice", "https://b.example")
        );
        assert_ne!(Actor::name_of("alice@x", "y"), Actor::name_of("alice", "x@y"));
        assert_ne!(Actor::name_of("a%40b", "c"), Actor::name_of("a@b", "c"));
        assert_ne!(Actor::name_of("admin", ""), "admin");
    }
}
