//! A developer's application and its keys.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;

use super::ids::ApplicationId;

/// The name of the application that every developer has from the first use on.
pub const DEFAULT_NAME: &str = "DefaultApplication";

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
