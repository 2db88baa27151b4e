//! Token buckets by GCRA: one number a bucket, exact however many take from it at once, and no lock.
//!
//! The number is the moment at which the bucket is full again. A token costs `interval`; a bucket that would need more
//! than `capacity` to fill is empty. All times are nanoseconds of one monotonic clock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::tier::Limit;

const SECOND: u64 = 1_000_000_000;
/// How far two threads' readings of the clock may be apart. More than that above the brim is the debt of another rate.
const SKEW: u64 = SECOND;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: u64,
    capacity: u64,
}

impl Rate {
    /// The rate of a tier's limit: `burst` at once, or as many as `requests`, and then one every so often.
    #[must_use]
    pub fn of(limit: &Limit) -> Self {
        let requests = u64::from(limit.requests.max(1));
        // Rounded up: rather a nanosecond late than one request too many.
        let interval = u64::from(limit.per_seconds.max(1)).saturating_mul(SECOND).div_ceil(requests);
        let burst = u64::from(limit.burst.unwrap_or(limit.requests).max(1));
        Self { interval, capacity: interval.saturating_mul(burst) }
    }

    /// So many a second.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        Self::of(&Limit { requests, per_seconds: 1, burst: None })
    }
}

/// How full a bucket is after a token was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The tokens that are left.
    pub tokens: u64,
    /// Nanoseconds until it is full.
    pub full_after: u64,
}

/// The bucket is empty for so many nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// A bucket; full when it is made.
#[derive(Debug, Default)]
pub struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token.
    ///
    /// # Errors
    /// [`RetryAfter`] where there is none; then nothing has changed.
    pub fn take(&self, rate: Rate, now: u64) -> Result<Remaining, RetryAfter> {
        let mut seen = self.full_at.load(Ordering::Acquire);
        loop {
            let taken = match after_one(seen, rate, now) {
                Ok(taken) => taken,
                Err(wait) => {
                    self.forgive(seen, rate, now);
                    return Err(wait);
                }
            };
            match self.full_at.compare_exchange_weak(seen, taken, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    let full_after = taken.saturating_sub(now);
                    let tokens = rate.capacity.saturating_sub(full_after) / rate.interval;
                    return Ok(Remaining { tokens, full_after });
                }
                Err(other) => seen = other,
            }
        }
    }

    /// Whether there is a token to take now.
    ///
    /// # Errors
    /// [`RetryAfter`] where there is none.
    pub fn look(&self, rate: Rate, now: u64) -> Result<(), RetryAfter> {
        let seen = self.full_at.load(Ordering::Acquire);
        after_one(seen, rate, now).map(drop).inspect_err(|_| self.forgive(seen, rate, now))
    }

    /// Puts a token back that was taken a moment ago.
    pub fn put_back(&self, rate: Rate) {
        self.full_at.fetch_sub(rate.interval, Ordering::AcqRel);
    }

    /// Whether it is full at `now`: forgetting it then costs nothing.
    #[must_use]
    pub fn is_full(&self, now: u64) -> bool {
        self.full_at.load(Ordering::Acquire) <= now
    }

    /// A bucket whose rate has changed may owe more than it holds by the new one: then it is merely empty.
    fn forgive(&self, seen: u64, rate: Rate, now: u64) {
        let brim = now.saturating_add(rate.capacity);
        if seen > brim.saturating_add(SKEW) {
            // Whoever was faster has done the same, or taken by the old rate for the last time.
            let _ = self.full_at.compare_exchange(seen, brim, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

/// When the bucket is full again after one more token is taken.
fn after_one(full_at: u64, rate: Rate, now: u64) -> Result<u64, RetryAfter> {
    let taken = full_at.max(now).saturating_add(rate.interval);
    let over = taken.saturating_sub(now).saturating_sub(rate.capacity);
    // Of a debt from another rate no more counts than an empty bucket owes.
    if over == 0 { Ok(taken) } else { Err(RetryAfter(over.min(rate.interval))) }
}

#[cfg(test)]
mod tests;
