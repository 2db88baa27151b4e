//! A developer's application and its keys.

use shared_claims::clock::UnixTime;
use shared_claims::oauth::{CLIENT_CREDENTIALS, JWT_BEARER, REFRESH_TOKEN};
use shared_claims::secret::Digest;

use super::ids::ApplicationId;

/// The name of the application that every developer has from the first use on.
pub const DEFAULT_NAME: &str = "DefaultApplication";

/// How long tokens live where the application does not say, in seconds.
pub const DEFAULT_LIFETIME: i64 = 3_600;
/// The shortest and the longest life of a token, in seconds.
pub const LIFETIMES: std::ops::RangeInclusive<i64> = 1..=31_536_000;
/// The longest time that a replaced secret may go on to count, in seconds.
pub const LONGEST_OVERLAP: i64 = 604_800;
/// The `grant_type` values that a key may use.
pub const GRANT_TYPES: [&str; 3] = [JWT_BEARER, CLIENT_CREDENTIALS, REFRESH_TOKEN];

/// A consumer of APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Whose it is.
    pub owner: String,
    /// Its name, unique among the owner's.
    pub name: String,
    /// The tier that limits all of its calls together.
    pub tier: String,
    /// For people.
    pub description: String,
    /// How long its tokens live, in seconds.
    pub access_token_lifetime: i64,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// What is told about an application where it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its id.
    pub id: ApplicationId,
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// The tier that limits all of its calls together.
    pub tier: String,
}

/// What a developer says about an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// The tier that limits all of its calls together.
    pub tier: String,
    /// For people.
    pub description: String,
    /// How long its tokens live, in seconds.
    pub access_token_lifetime: i64,
}

impl Draft {
    /// The application that every developer has.
    #[must_use]
    pub fn default_application() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            tier: super::tier::UNLIMITED.to_owned(),
            description: "Made at first use".to_owned(),
            access_token_lifetime: DEFAULT_LIFETIME,
        }
    }

    /// The application.
    #[must_use]
    pub fn into_application(self, owner: String, now: UnixTime) -> Application {
        Application {
            id: ApplicationId::generate(),
            owner,
            name: self.name,
            tier: self.tier,
            description: self.description,
            access_token_lifetime: self.access_token_lifetime,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }
}

impl Application {
    /// Whether this is the one that its developer always has, under its fixed name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_NAME
    }
}

/// Which backends a key reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// The real ones.
    Production,
    /// The ones to try things on.
    Sandbox,
}

impl KeyType {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Production, Self::Sandbox].into_iter().find(|t| t.as_str() == text)
    }
}

/// A consumer key with its secret's digest: the OAuth client of the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationKey {
    /// The client identifier.
    pub consumer_key: String,
    /// Whose key it is.
    pub application_id: ApplicationId,
    /// Which backends its tokens reach.
    pub key_type: KeyType,
    /// SHA-256 of the present secret.
    pub secret_digest: Digest,
    /// The secret before it, while it still counts, and until when.
    pub previous_secret: Option<(Digest, UnixTime)>,
    /// The `grant_type` values that it may use.
    pub grant_types: Vec<String>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

impl ApplicationKey {
    /// Puts another secret in place of the present one, which goes on to count for `overlap` seconds.
    pub fn rotate(&mut self, secret: Digest, overlap: i64, now: UnixTime) {
        self.previous_secret = (overlap > 0).then_some((self.secret_digest, now.plus(overlap)));
        self.secret_digest = secret;
        self.updated_at = now;
        self.revision += 1;
    }
}

/// An authenticated client: a key, and the application it belongs to.
#[derive(Clone, Debug)]
pub struct Client {
    /// The key.
    pub key: ApplicationKey,
    /// Its application.
    pub application: Application,
}

impl Client {
    /// Whether the key lists the grant type.
    #[must_use]
    pub fn lists(&self, grant_type: &str) -> bool {
        self.key.grant_types.iter().any(|listed| listed == grant_type)
    }
}

/// Reads the grant types of a key.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn check_grant_types(grant_types: &[String]) -> Result<(), String> {
    let known = || GRANT_TYPES.join(", ");
    if grant_types.is_empty() {
        return Err(format!("must name at least one of: {}", known()));
    }
    if !grant_types.iter().all(|grant_type| GRANT_TYPES.contains(&grant_type.as_str())) {
        return Err(format!("may hold only: {}", known()));
    }
    let mut distinct: Vec<&String> = grant_types.iter().collect();
    distinct.sort();
    distinct.dedup();
    if distinct.len() < grant_types.len() { Err("names a grant type twice".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApplicationKey {
        ApplicationKey {
            consumer_key: "k".to_owned(),
            application_id: ApplicationId::generate(),
            key_type: KeyType::Production,
            secret_digest: Digest::of(b"old"),
            previous_secret: None,
            grant_types: vec![JWT_BEARER.to_owned()],
            created_at: UnixTime(0),
            updated_at: UnixTime(0),
            revision: 1,
        }
    }

    #[test]
    fn a_replaced_secret_dies_at_once_unless_an_overlap_is_asked_for() {
        let mut key = key();
        key.rotate(Digest::of(b"new"), 0, UnixTime(10));
        assert_eq!((key.secret_digest, key.previous_secret, key.revision), (Digest::of(b"new"), None, 2));

        key.rotate(Digest::of(b"newer"), 60, UnixTime(10));
        assert_eq!(key.previous_secret, Some((Digest::of(b"new"), UnixTime(70))));
    }

    #[test]
    fn a_third_secret_ends_the_overlap_of_the_first() {
        let mut key = key();
        key.rotate(Digest::of(b"new"), 60, UnixTime(10));
        key.rotate(Digest::of(b"newer"), 0, UnixTime(20));
        assert_eq!(key.previous_secret, None);
    }

    #[test]
    fn grant_types_are_known_and_distinct() {
        let check =
            |types: &[&str]| check_grant_types(&types.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert!(check(&GRANT_TYPES).is_ok());
        for bad in [&[][..], &["password"], &["implicit", JWT_BEARER], &[JWT_BEARER, JWT_BEARER]] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_default_application_is_known_by_its_name() {
        let application = Draft::default_application().into_application("alice".to_owned(), UnixTime(0));
        assert!(application.is_default());
    }
}
