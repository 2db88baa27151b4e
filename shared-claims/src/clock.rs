//! Time as an argument: the only place that reads the system's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// A moment, in whole seconds since 1970-01-01T00:00:00Z (`NumericDate` of RFC 7519, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// The moment `seconds` later; saturates instead of wrapping.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The moment `seconds` earlier; saturates instead of wrapping.
    #[must_use]
    pub fn minus(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to here; negative where `earlier` is in fact later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 text; parts of a second are dropped.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|moment| Self(moment.unix_timestamp()))
    }

    /// Reads the one form of HTTP dates that is still sent, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section
    /// 5.6.7).
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc2822).ok().filter(|_| text.ends_with(" GMT"));
        moment.map(|moment| Self(moment.unix_timestamp()))
    }

    /// The moment as RFC 3339 text in UTC, such as `2026-01-31T12:00:00Z`; years past 9999 read as the last second of 9999.
    #[must_use]
    pub fn rfc3339(self) -> String {
        const LAST: i64 = 253_402_300_799;
        let moment =
            OffsetDateTime::from_unix_timestamp(self.0.clamp(0, LAST)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        moment.format(&Rfc3339).unwrap_or_default()
    }
}

/// Where `now` comes from: the system, or a test's hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still until a test moves it; the value is Unix seconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(now: UnixTime) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.0)))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match self {
            Self::System => system_time(),
            Self::Manual(now) => UnixTime(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on by `seconds`; the system's clock is left alone.
    pub fn advance(&self, seconds: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }
}

/// By the clock that the kernel sets with each tick: seconds are all that is asked of it, and it is read without the processor's
/// counter, which takes several times as long.
#[cfg(target_os = "linux")]
fn system_time() -> UnixTime {
    UnixTime(rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse).tv_sec)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn system_time() -> UnixTime {
    use std::time::{SystemTime, UNIX_EPOCH};
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clock_is_at_most_a_tick_behind() {
        let exact = || std::time::UNIX_EPOCH.elapsed().unwrap();
        let before = exact();
        let now = Clock::System.now().0;
        let (before, after) = (before.saturating_sub(std::time::Duration::from_millis(20)), exact());
        assert!((before.as_secs()..=after.as_secs()).contains(&now.try_into().unwrap()));
    }

    #[test]
    fn a_moment_reads_as_rfc_3339() {
        assert_eq!(UnixTime(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixTime(i64::MAX).rfc3339(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn rfc_3339_reads_as_a_moment_in_any_zone() {
        assert_eq!(UnixTime::parse_rfc3339("1970-01-01T01:00:01.9+01:00"), Some(UnixTime(1)));
        for bad in ["", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z", "0"] {
            assert_eq!(UnixTime::parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_http_date_reads_as_its_moment() {
        let read = UnixTime::from_http_date;
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(UnixTime(784_111_777)));
        for bad in ["0", "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +0100", "GMT"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(UnixTime(i64::MAX).plus(1), UnixTime(i64::MAX));
        assert_eq!(UnixTime(i64::MIN).minus(1), UnixTime(i64::MIN));
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(UnixTime(100));
        clock.advance(5);
        assert_eq!(clock.now(), UnixTime(105));
    }
}
