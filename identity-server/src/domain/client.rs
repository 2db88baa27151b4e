//! Clients: who they are, what they may ask for.

use shared_claims::clock::UnixTime;
use shared_claims::oauth;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_claims::signature::Algorithm;

use crate::domain::user::User;

shared_claims::id_type!(
    /// The identifier of a client (RFC 6749, section 2.2), made by us.
    ClientId
);

/// Scopes with this prefix open this server's own management; see [`Client::grant_to_user`].
pub const MANAGEMENT_PREFIX: &str = "identity:";
/// The role that lets a person hold management scopes.
pub const ADMIN_ROLE: &str = "admin";
/// The role that lets a person make and publish APIs at an API manager.
pub const PUBLISHER_ROLE: &str = "publisher";

/// The roles of which a person needs one to hold `scope`; none for a scope that administers nothing. A client's
/// registration says what may be asked through it, and must not by itself make an administrator of everybody who
/// signs in there — least of all where people sign themselves up.
#[must_use]
pub fn roles_for(scope: &str) -> &'static [&'static str] {
    match scope {
        "apim:admin" => &[ADMIN_ROLE],
        "apim:api_create" | "apim:api_publish" => &[ADMIN_ROLE, PUBLISHER_ROLE],
        own if own.starts_with(MANAGEMENT_PREFIX) => &[ADMIN_ROLE],
        _ => &[],
    }
}

/// The grants that the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749, section 4.3.
    Password,
    /// RFC 6749, section 4.4.
    ClientCredentials,
    /// RFC 6749, section 6.
    RefreshToken,
}

/// Every grant, with its name on the wire.
pub const GRANT_TYPES: [(&str, GrantType); 3] = [
    (oauth::PASSWORD, GrantType::Password),
    (oauth::CLIENT_CREDENTIALS, GrantType::ClientCredentials),
    (oauth::REFRESH_TOKEN, GrantType::RefreshToken),
];

impl GrantType {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => oauth::PASSWORD,
            Self::ClientCredentials => oauth::CLIENT_CREDENTIALS,
            Self::RefreshToken => oauth::REFRESH_TOKEN,
        }
    }

    /// Reads the name on the wire, by exact spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        GRANT_TYPES.into_iter().find(|(name, _)| *name == text).map(|(_, grant)| grant)
    }
}

/// How a claim with several values is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiValued {
    /// As a JSON array, also where there is one value.
    Array,
    /// As one string, joined by commas.
    Text,
}

/// The method that a client says it will authenticate with (RFC 7591, section 2). Either is taken from every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// What an administrator decides about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// For people; not unique.
    pub client_name: String,
    /// What it may ask the token endpoint for; at least one.
    pub grant_types: Vec<GrantType>,
    /// What it may ask for; granted whole where a request names none.
    pub scope: ScopeSet,
    /// For the authorization endpoint.
    pub redirect_uris: Vec<String>,
    /// How to reach those responsible.
    pub contacts: Vec<String>,
    /// Its home page.
    pub client_uri: Option<String>,
    /// How it will authenticate.
    pub auth_method: AuthMethod,
    /// Further audiences of its tokens, after the client identifier; none means the server's.
    pub audiences: Vec<String>,
    /// Seconds.
    pub access_token_lifetime: i64,
    /// Seconds that a refresh token may lie unused.
    pub refresh_token_lifetime: i64,
    /// How claims with several values are written.
    pub multi_valued_claims: MultiValued,
    /// What its access tokens are signed with.
    pub signing_algorithm: Algorithm,
    /// A disabled client is treated like an unknown one.
    pub enabled: bool,
}

/// A client as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// What was decided about it.
    pub settings: ClientSettings,
    /// What it authenticates with.
    pub secrets: ClientSecrets,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts its changes, from 1.
    pub revision: i64,
}

/// The secret of a client and, after a rotation, the one before for a while; digests only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecrets {
    /// SHA-256 of the present secret.
    pub current: Digest,
    /// SHA-256 of the secret before, and when it ceases to be accepted.
    pub previous: Option<(Digest, UnixTime)>,
}

/// Why a client does not get what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefused {
    /// The grant is not among its grant types: `unauthorized_client`.
    GrantNotAllowed,
    /// Of the scopes asked for, none may be granted: `invalid_scope`.
    NoScopeLeft,
}

impl ClientSettings {
    /// The names of what differs, for the audit trail.
    #[must_use]
    pub fn differences(&self, before: &Self) -> Vec<&'static str> {
        let compared = [
            ("client_name", self.client_name != before.client_name),
            ("grant_types", self.grant_types != before.grant_types),
            ("scope", self.scope != before.scope),
            ("redirect_uris", self.redirect_uris != before.redirect_uris),
            ("contacts", self.contacts != before.contacts),
            ("client_uri", self.client_uri != before.client_uri),
            ("token_endpoint_auth_method", self.auth_method != before.auth_method),
            ("audiences", self.audiences != before.audiences),
            ("access_token_lifetime", self.access_token_lifetime != before.access_token_lifetime),
            ("refresh_token_lifetime", self.refresh_token_lifetime != before.refresh_token_lifetime),
            ("multi_valued_claims", self.multi_valued_claims != before.multi_valued_claims),
            ("access_token_signed_response_alg", self.signing_algorithm != before.signing_algorithm),
            ("enabled", self.enabled != before.enabled),
        ];
        compared.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

impl ClientSecrets {
    /// Whether this is a secret of the client now. Both are compared, whichever fits, in the same time.
    #[must_use]
    pub fn accept(&self, presented: &Digest, now: UnixTime) -> bool {
        let is_current = self.current == *presented;
        let is_previous = self.previous.is_some_and(|(digest, until)| (digest == *presented) & (now < until));
        is_current | is_previous
    }

    /// Puts a new secret in place; the present one stays good for `overlap` seconds.
    #[must_use]
    pub fn rotated(&self, new: Digest, overlap: i64, now: UnixTime) -> Self {
        let previous = (overlap > 0).then(|| (self.current, now.plus(overlap)));
        Self { current: new, previous }
    }
}

impl Client {
    /// Whether this client may use the grant.
    ///
    /// # Errors
    /// [`ClientRefused::GrantNotAllowed`].
    pub fn require_grant(&self, grant: GrantType) -> Result<(), ClientRefused> {
        if self.settings.grant_types.contains(&grant) { Ok(()) } else { Err(ClientRefused::GrantNotAllowed) }
    }

    /// Whether this client gets refresh tokens with what a person grants it.
    #[must_use]
    pub fn refreshes(&self) -> bool {
        self.settings.grant_types.contains(&GrantType::RefreshToken)
    }

    /// The scopes that the client gets for itself: those asked for that it is registered for, or all of them where
    /// none are asked for (RFC 6749, section 3.3).
    ///
    /// # Errors
    /// [`ClientRefused::NoScopeLeft`].
    pub fn grant_to_itself(&self, requested: &ScopeSet) -> Result<ScopeSet, ClientRefused> {
        narrow(&self.settings.scope, requested)
    }

    /// The scopes that the client gets on behalf of a person. Management scopes are for applications and for people
    /// with the role `admin`: otherwise everybody who signs in through a management client would be an administrator.
    ///
    /// # Errors
    /// [`ClientRefused::NoScopeLeft`].
    pub fn grant_to_user(&self, requested: &ScopeSet, user: &User) -> Result<ScopeSet, ClientRefused> {
        narrow(&user.may_hold(&self.settings.scope), requested)
    }
}

fn narrow(allowed: &ScopeSet, requested: &ScopeSet) -> Result<ScopeSet, ClientRefused> {
    if requested.is_empty() {
        return Ok(allowed.clone());
    }
    let granted = requested.intersection(allowed);
    if granted.is_empty() { Err(ClientRefused::NoScopeLeft) } else { Ok(granted) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::user::tests::user;

    pub(crate) fn client(scope: &str) -> Client {
        let settings = ClientSettings {
            client_name: "shop".into(),
            grant_types: vec![GrantType::Password],
            scope: ScopeSet::parse(scope).unwrap(),
            redirect_uris: vec![],
            contacts: vec![],
            client_uri: None,
            auth_method: AuthMethod::Basic,
            audiences: vec![],
            access_token_lifetime: 600,
            refresh_token_lifetime: 3600,
            multi_valued_claims: MultiValued::Array,
            signing_algorithm: Algorithm::RS256,
            enabled: true,
        };
        let secrets = ClientSecrets { current: Digest::of(b"new"), previous: None };
        let at = UnixTime(1);
        Client { id: ClientId::generate(), settings, secrets, created_at: at, updated_at: at, revision: 1 }
    }

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn a_grant_that_is_not_listed_is_refused() {
        let client = client("");
        assert_eq!(client.require_grant(GrantType::Password), Ok(()));
        assert_eq!(client.require_grant(GrantType::RefreshToken), Err(ClientRefused::GrantNotAllowed));
    }

    #[test]
    fn scopes_are_narrowed_to_what_is_registered_and_none_left_is_refused() {
        let client = client("openid email");
        assert_eq!(client.grant_to_itself(&scopes("email other")), Ok(scopes("email")));
        assert_eq!(client.grant_to_itself(&scopes("")), Ok(scopes("email openid")));
        assert_eq!(client.grant_to_itself(&scopes("other")), Err(ClientRefused::NoScopeLeft));
    }

    #[test]
    fn management_scopes_are_for_applications_and_administrators_only() {
        let client = client("openid identity:users");
        let (mut person, asked) = (user("alice"), scopes("identity:users"));
        assert_eq!(client.grant_to_itself(&asked), Ok(asked.clone()));
        assert_eq!(client.grant_to_user(&scopes(""), &person), Ok(scopes("openid")));
        assert_eq!(client.grant_to_user(&asked, &person), Err(ClientRefused::NoScopeLeft));
        person.profile.roles = vec!["admin".into()];
        assert_eq!(client.grant_to_user(&asked, &person), Ok(asked));
    }

    #[test]
    fn both_secrets_hold_during_the_overlap_and_then_only_the_new_one() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let secrets = ClientSecrets { current: old, previous: None }.rotated(new, 60, UnixTime(100));
        assert!(secrets.accept(&old, UnixTime(159)) && secrets.accept(&new, UnixTime(159)));
        assert!(!secrets.accept(&old, UnixTime(160)) && secrets.accept(&new, UnixTime(160)));
        let at_once = secrets.rotated(old, 0, UnixTime(120));
        assert!(!at_once.accept(&new, UnixTime(120)));
    }
}
