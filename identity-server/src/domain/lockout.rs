//! How long a name must wait after failed sign-ins.

use shared_claims::clock::UnixTime;

/// Failures that cost nothing but themselves.
pub const FREE_FAILURES: i64 = 5;
/// The longest wait, in seconds.
pub const LONGEST_DELAY: i64 = 15 * 60;
/// After this many seconds without a failure, all are forgotten.
pub const MEMORY: i64 = 24 * 60 * 60;

/// The failures of one name, since its last success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// How many in a row.
    pub failures: i64,
    /// Until when every attempt is refused, right or wrong.
    pub locked_until: UnixTime,
    /// When the last one was.
    pub last_failure_at: UnixTime,
}

impl Lockout {
    /// Nothing happened yet.
    pub const NONE: Self = Self { failures: 0, locked_until: UnixTime(0), last_failure_at: UnixTime(0) };

    /// Whether attempts are refused now.
    #[must_use]
    pub fn is_locked(&self, now: UnixTime) -> bool {
        now < self.locked_until
    }

    /// One more failure. From the fifth on the name is locked for 2, 4, 8, … seconds, up to 15 minutes. Attempts
    /// while it is locked are not failures: nobody can be locked out for good by somebody else's patience.
    #[must_use]
    pub fn after_failure(&self, now: UnixTime) -> Self {
        if self.is_locked(now) {
            return *self;
        }
        let remembered = if now.since(self.last_failure_at) > MEMORY { 0 } else { self.failures };
        let failures = remembered.saturating_add(1);
        let locked_until = match failures - FREE_FAILURES {
            ..0 => UnixTime(0),
            over => now.plus(
                2_i64
                    .checked_pow(u32::try_from(over + 1).unwrap_or(64))
                    .unwrap_or(i64::MAX)
                    .min(LONGEST_DELAY),
            ),
        };
        Self { failures, locked_until, last_failure_at: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After `times` failures, each made after the lock of the one before had ended.
    fn failed(times: usize, now: UnixTime) -> Lockout {
        let unlocked = |lockout: Lockout| Lockout { locked_until: UnixTime(0), ..lockout };
        (0..times).fold(Lockout::NONE, |lockout, _| unlocked(lockout.after_failure(now)))
    }

    #[test]
    fn four_failures_are_free_and_the_fifth_locks() {
        let now = UnixTime(1_000);
        let four = failed(4, now);
        assert!(!four.is_locked(now));
        let five = four.after_failure(now);
        assert!(five.is_locked(now) && five.is_locked(now.plus(1)) && !five.is_locked(now.plus(2)));
    }

    #[test]
    fn the_delay_doubles_up_to_fifteen_minutes() {
        let now = UnixTime(1_000);
        let delay = |times: usize| failed(times - 1, now).after_failure(now).locked_until.since(now);
        assert_eq!([5, 6, 7, 13, 14, 200].map(delay), [2, 4, 8, 512, 900, 900]);
    }

    #[test]
    fn an_attempt_while_locked_lengthens_nothing() {
        let now = UnixTime(1_000);
        let locked = failed(4, now).after_failure(now);
        assert_eq!(locked.after_failure(now.plus(1)), locked);
    }

    #[test]
    fn a_day_without_failures_forgets_them() {
        let now = UnixTime(1_000_000);
        let old = failed(9, now);
        assert_eq!(old.after_failure(now.plus(MEMORY + 1)).failures, 1);
        assert_eq!(old.after_failure(now.plus(MEMORY)).failures, 10);
    }
}
