//! A named rate limit.

use shared_claims::clock::UnixTime;

/// The tier that is always there: applications made at first use are on it.
pub const UNLIMITED: &str = "Unlimited";
/// The most requests, or seconds, that a limit can name.
pub const MOST: i64 = 1_000_000_000;

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

/// Reads a tier's name, which is a path segment of its URL.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_name(text: &str) -> Result<String, &'static str> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    if text.is_empty() || text.len() > 60 || !is_plain || matches!(text, "." | "..") {
        return Err("must be 1 to 60 letters of a to z, digits and - . _ ~");
    }
    Ok(text.to_owned())
}

impl Limit {
    /// What is wrong with the parts taken together: the member and the reason.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let burst = self.burst?;
        (burst > self.requests).then_some(("burst", "must not be more than requests"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_segment() {
        for good in ["Gold", "10PerMin", "a.b_c~d-e"] {
            assert_eq!(parse_name(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a%20b"] {
            assert!(parse_name(bad).is_err(), "{bad:?}");
        }
        assert!(parse_name(&"x".repeat(61)).is_err());
    }

    #[test]
    fn a_burst_is_part_of_the_limit() {
        let limit = |burst| Limit { requests: 10, per_seconds: 1, burst };
        assert_eq!(limit(Some(11)).fault().map(|(member, _)| member), Some("burst"));
        assert_eq!((limit(Some(10)).fault(), limit(None).fault()), (None, None));
    }
}
