//! Time that only moves forward: for what is measured, not dated.

use shared_claims::clock::{Clock, UnixTime};
use tokio::time::Instant;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// One look at both clocks, for all that asks of the time at one go: to look once more costs more than most of what is done with
/// it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What it is dated.
    pub date: UnixTime,
    /// What is measured from it.
    pub instant: Instant,
}

impl Moment {
    /// The present one.
    #[must_use]
    pub fn now(clock: &Clock) -> Self {
        Self { date: clock.now(), instant: Instant::now() }
    }
}

/// Counts from when it was made; follows a clock that is moved by hand.
#[derive(Clone, Debug)]
pub struct Ticker {
    clock: Clock,
    started: Instant,
}

impl Ticker {
    /// Begins to count.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, started: Instant::now() }
    }

    /// The present moment, in nanoseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.at(Moment::now(&self.clock))
    }

    /// A moment, in nanoseconds.
    #[must_use]
    pub fn at(&self, moment: Moment) -> u64 {
        match &self.clock {
            Clock::System => {
                let since = moment.instant.saturating_duration_since(self.started);
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            }
            Clock::Manual(_) => u64::try_from(moment.date.0).unwrap_or(0).saturating_mul(SECOND),
        }
    }

    /// The date of a moment that has passed; what was before the first is dated to that.
    #[must_use]
    pub fn date(&self, moment: u64) -> UnixTime {
        let ago = self.now().saturating_sub(moment) / SECOND;
        self.clock.now().minus(i64::try_from(ago).unwrap_or(i64::MAX))
    }
}
