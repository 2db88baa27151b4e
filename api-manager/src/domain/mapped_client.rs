//! A client of a trusted identity provider that stands for an application here.

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use super::application::KeyType;
use super::grant::AssertionOrigin;
use super::ids::{ApplicationId, IdentityProviderId, MappedClientId};

/// The most clients that stand for one application.
pub const MOST: usize = 100;
/// The longest client identifier, in characters.
pub const LONGEST: usize = 255;

/// That JWTs issued to a client call on an application's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedClient {
    /// Its id.
    pub id: MappedClientId,
    /// On whose account.
    pub application_id: ApplicationId,
    /// Whose client it is.
    pub identity_provider_id: IdentityProviderId,
    /// The client's identifier there, byte for byte.
    pub client_id: String,
    /// Which backends its JWTs reach.
    pub key_type: KeyType,
    /// When it was mapped.
    pub created_at: UnixTime,
}

/// A caller with a provider's own JWT, which was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VouchedFor {
    /// The JWT.
    pub origin: AssertionOrigin,
    /// Of the provider as it was when the JWT was verified: on other terms it has to be verified anew.
    pub provider_revision: i64,
    /// What led to the application.
    pub mapping: MappedClientId,
    /// On whose account it calls.
    pub application_id: ApplicationId,
    /// Which backends it reaches.
    pub key_type: KeyType,
    /// The JWT's `sub`.
    pub subject: String,
    /// The JWT's scopes, as far as the provider may vouch for any.
    pub scopes: ScopeSet,
    /// The JWT's `iat`, or the earliest that it could be.
    pub issued_at: UnixTime,
    /// The first moment at which the rules would refuse it.
    pub expires_at: UnixTime,
}

/// Why no application can be found by a JWT's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoClient {
    /// It names none.
    Missing,
    /// `client_id` and `azp` name two.
    Two,
    /// It is no text, too long, or holds control characters.
    Unfit,
}

/// The client that the JWT was issued to: `client_id` (RFC 9068, section 2.2) or `azp` (OpenID Connect Core, section 2).
///
/// # Errors
/// [`NoClient`].
pub fn client_of(claims: &ClaimSet) -> Result<&str, NoClient> {
    let named = |name| claims.text(name).map_err(|_| NoClient::Unfit);
    let client = match (named("client_id")?, named("azp")?) {
        (None, None) => return Err(NoClient::Missing),
        (Some(one), Some(other)) if one != other => return Err(NoClient::Two),
        (Some(client), _) | (None, Some(client)) => client,
    };
    let is_fit =
        !client.is_empty() && client.chars().count() <= LONGEST && !client.chars().any(char::is_control);
    if is_fit { Ok(client) } else { Err(NoClient::Unfit) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn client(claims: Value) -> Result<String, NoClient> {
        let Value::Object(members) = claims else { return Err(NoClient::Unfit) };
        client_of(&ClaimSet::from(members)).map(str::to_owned)
    }

    #[test]
    fn the_client_is_named_once_or_twice_alike() {
        assert_eq!(client(json!({"client_id": "c"})).as_deref(), Ok("c"));
        assert_eq!(client(json!({"azp": "c"})).as_deref(), Ok("c"));
        assert_eq!(client(json!({"azp": "c", "client_id": "c"})).as_deref(), Ok("c"));
        assert_eq!(client(json!({"azp": "c", "client_id": "d"})), Err(NoClient::Two));
        assert_eq!(client(json!({"sub": "c"})), Err(NoClient::Missing));
        // An empty name is none, as everywhere among claims.
        assert_eq!(client(json!({"azp": ""})), Err(NoClient::Missing));
        for unfit in [json!(7), json!(["c"]), json!("a\u{0}b"), json!("x".repeat(256))] {
            assert_eq!(client(json!({ "azp": unfit })), Err(NoClient::Unfit), "{unfit}");
        }
    }
}
