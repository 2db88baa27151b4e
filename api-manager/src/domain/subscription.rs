//! An application's right to call an API.

use shared_claims::clock::UnixTime;

use super::ids::{ApiId, ApplicationId, SubscriptionId};

/// A subscription on a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Who subscribed.
    pub application_id: ApplicationId,
    /// To what.
    pub api_id: ApiId,
    /// The tier that limits it, one of the API's.
    pub tier: String,
    /// Whether it counts now.
    pub state: SubscriptionState,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// Whether a subscription counts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// It does.
    Active,
    /// The publisher has stopped it: 401, code 900907.
    Blocked,
}

impl SubscriptionState {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Blocked].into_iter().find(|s| s.as_str() == text)
    }
}
