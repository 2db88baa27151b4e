//! How an API's traffic is spread over its backends, and what becomes of a backend that fails.

use std::ops::RangeInclusive;

use crate::domain::application::KeyType;

/// The largest weight.
pub const MOST_WEIGHT: u8 = 100;

/// An API's backends by key type, and how traffic is spread over those of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backends {
    /// For production keys.
    pub production: Vec<Backend>,
    /// For sandbox keys.
    pub sandbox: Vec<Backend>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// When one that fails is left alone for a while.
    pub ejection: Ejection,
    /// How they are asked whether they are well; `None` asks nothing.
    pub health_check: Option<HealthCheck>,
    /// How often a request is sent again.
    pub retries: Retries,
    /// How much one of them is given at once.
    pub circuit_breaker: CircuitBreaker,
}

impl Backends {
    /// Whether there is nowhere to send traffic to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.production.is_empty() && self.sandbox.is_empty()
    }

    /// The backends that keys of this type reach.
    #[must_use]
    pub fn of(&self, key_type: KeyType) -> &[Backend] {
        match key_type {
            KeyType::Production => &self.production,
            KeyType::Sandbox => &self.sandbox,
        }
    }
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its base URL.
    pub url: String,
    /// Its share of the traffic, against the others' weights; 0 drains it: it gets nothing new.
    pub weight: u8,
}

impl Backend {
    /// The share of a backend of which nothing else is said.
    pub const WEIGHT: u8 = 1;
    /// What a weight may be.
    pub const WEIGHTS: RangeInclusive<i64> = 0..=MOST_WEIGHT as i64;
}

impl From<String> for Backend {
    fn from(url: String) -> Self {
        Self { url, weight: Self::WEIGHT }
    }
}

impl From<&str> for Backend {
    fn from(url: &str) -> Self {
        Self::from(url.to_owned())
    }
}

/// Which backend gets a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// By turns, in proportion to the weights.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight, measured by its weight.
    LeastConnections,
}

impl Balance {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RoundRobin, Self::LeastConnections];

    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|balance| balance.as_str() == text)
    }
}

/// When a backend that fails is left alone. It has no effect where there is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row until it is; 0 never ejects.
    pub failures: u32,
    /// For how long.
    pub seconds: u32,
}

impl Ejection {
    /// What `failures` may be.
    pub const FAILURES: RangeInclusive<i64> = 0..=1_000;
    /// What `seconds` may be.
    pub const SECONDS: RangeInclusive<i64> = 1..=3_600;
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, seconds: 30 }
    }
}

/// How backends are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// Below the base URL; any answer of 200 to 399 is a good one.
    pub path: String,
    /// From one question to the next.
    pub interval_seconds: u32,
    /// How long an answer may take.
    pub timeout_seconds: u32,
    /// Good answers in a row until an unhealthy backend is used again.
    pub healthy_after: u32,
    /// Bad or missing answers in a row until it no longer is.
    pub unhealthy_after: u32,
}

impl HealthCheck {
    /// What `interval_seconds` may be.
    pub const INTERVALS: RangeInclusive<i64> = 1..=3_600;
    /// What `timeout_seconds` may be.
    pub const TIMEOUTS: RangeInclusive<i64> = 1..=60;
    /// What `healthy_after` and `unhealthy_after` may be.
    pub const IN_A_ROW: RangeInclusive<i64> = 1..=20;
    /// The longest path, in characters.
    pub const LONGEST_PATH: usize = 500;

    /// With a path and nothing else said.
    #[must_use]
    pub fn at(path: String) -> Self {
        Self { path, interval_seconds: 10, timeout_seconds: 2, healthy_after: 2, unhealthy_after: 3 }
    }

    /// Reads a path, which may have a query.
    ///
    /// # Errors
    /// What is wrong, and the remedy.
    pub fn parse_path(text: &str) -> Result<String, &'static str> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte);
        if text.starts_with('/') && text.bytes().all(fits) {
            return Ok(text.to_owned());
        }
        Err("must be a path such as /health, with what is not printable ASCII escaped and without a fragment")
    }
}

/// How often a request is sent again. Only one that cannot have had an effect is: nothing of it was sent, or it is
/// idempotent (RFC 9110, section 9.2.2) and has no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Beyond the first, for one request; 0 sends nothing twice.
    pub attempts: u32,
    /// How many requests may be sent again, of a hundred.
    pub budget_percent: u32,
}

impl Retries {
    /// What `attempts` may be.
    pub const ATTEMPTS: RangeInclusive<i64> = 0..=5;
    /// What `budget_percent` may be.
    pub const BUDGETS: RangeInclusive<i64> = 0..=100;
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, budget_percent: 20 }
    }
}

/// How much one backend is given at once; `None` sets no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Requests whose answers have not ended.
    pub max_requests: Option<u32>,
    /// Requests whose answers have not begun.
    pub max_pending: Option<u32>,
}

impl CircuitBreaker {
    /// What each may be.
    pub const BOUNDS: RangeInclusive<i64> = 1..=1_000_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_balancing_reads_back() {
        for balance in Balance::ALL {
            assert_eq!(Balance::parse(balance.as_str()), Some(balance));
        }
        assert_eq!(Balance::parse("random"), None);
    }

    #[test]
    fn a_health_check_asks_at_a_path() {
        for good in ["/", "/health", "/health/ready?deep=1", "/%C3%A4"] {
            assert_eq!(HealthCheck::parse_path(good).as_deref(), Ok(good));
        }
        for bad in ["", "health", "http://a/", "/a b", "/a#b", "/ä", "/a\r\nHost: b", "/{a}"] {
            assert!(HealthCheck::parse_path(bad).is_err(), "{bad:?}");
        }
    }
}
