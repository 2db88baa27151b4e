//! A named rate limit.

use shared_claims::clock::UnixTime;

/// A tier; without a limit it only has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name, which is its id.
    pub name: String,
    /// For people.
    pub description: String,
    /// The limit, if any.
    pub limit: Option<Limit>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub requests: u32,
    /// In how many seconds.
    pub per_seconds: u32,
    /// How many at once; `None` means as many as `requests`.
    pub burst: Option<u32>,
}
