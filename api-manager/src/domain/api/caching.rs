//! Whether answers are kept for others who may have them.

use super::Operation;

/// The longest that an answer is kept where its backend does not say how long, in seconds.
pub const LONGEST: i64 = 86_400;
/// The largest body that can be kept, in bytes.
pub const LARGEST_BODY: i64 = 8 * 1_024 * 1_024;

/// How answers of one operation are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caching {
    /// Seconds for which an answer is fresh that says nothing of it; `None` keeps no such answer.
    pub ttl_seconds: Option<u32>,
    /// The largest body that is kept, in bytes; larger ones stream through.
    pub max_body: u32,
}

impl Default for Caching {
    fn default() -> Self {
        Self { ttl_seconds: None, max_body: 1_024 * 1_024 }
    }
}

/// What is wrong with the operation's caching, if anything is.
#[must_use]
pub fn fault(operation: &Operation) -> Option<&'static str> {
    let gets = matches!(operation.method.as_str(), "GET" | "*");
    (operation.cache.is_some() && !gets)
        .then_some("keeps answers to GET only; leave it out, or name the method GET or *")
}
