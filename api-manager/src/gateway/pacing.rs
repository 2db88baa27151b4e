//! The pace at which credentials are refused that nobody knows: whoever tries them as fast as they are answered would keep
//! the thread from everybody else who is served by it. A refusal past the pace waits for its turn, which costs nothing.
//!
//! What is known is never delayed, also where it has expired or is revoked; nor is anything that a live connection is asked
//! again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::time::{Instant, sleep};

use super::refusal::Refusal;
use crate::ticker::SECOND;

/// How fast each thread refuses what is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many at once, where there were none for a while.
    pub burst: u32,
    /// So many in each second after that.
    pub per_second: u32,
    /// The longest that a refusal waits. Where it would have to wait longer it is given at once: what waits is held in
    /// memory, and to close the connection would cost us more than the answer, for the client makes another one.
    pub longest: Duration,
}

impl Default for Pace {
    /// A tenth of what a thread can do. As many wait for one thread as there may be connections, so that it takes HTTP/2 to
    /// be given more.
    fn default() -> Self {
        Self { burst: 100, per_second: 2_000, longest: Duration::from_secs(10) }
    }
}

impl Pace {
    fn interval(&self) -> u64 {
        SECOND / u64::from(self.per_second.max(1))
    }

    /// When the burst is whole again after one more refusal at `now`, and how long that one waits; `None` where that is too
    /// long, which leaves everything as it was. The arithmetic is that of [`super::throttle`].
    fn turn(&self, whole_at: u64, now: u64) -> Option<(u64, Duration)> {
        let after = whole_at.max(now).saturating_add(self.interval());
        let owed = after.saturating_sub(now);
        let wait = owed.saturating_sub(self.interval().saturating_mul(u64::from(self.burst)));
        let wait = Duration::from_nanos(wait);
        (wait <= self.longest).then_some((after, wait))
    }
}

/// The refusals of one thread, in the order in which they are given.
#[derive(Clone)]
pub struct Queue {
    pace: Pace,
    started: Instant,
    /// Nanoseconds after `started`.
    whole_at: Arc<AtomicU64>,
    delayed: IntCounter,
}

impl Queue {
    /// Nobody waits. Those who do are counted in `delayed`.
    #[must_use]
    pub fn new(pace: Pace, delayed: IntCounter) -> Self {
        Self { pace, started: Instant::now(), whole_at: Arc::default(), delayed }
    }

    /// Returns when `refusal` may be given, and says how long that took.
    pub async fn turn(&self, refusal: &Refusal) -> Duration {
        if !matches!(refusal, Refusal::UnknownToken | Refusal::MalformedToken) {
            return Duration::ZERO;
        }
        // What is slept by is what is measured by, also where a test moves the clock of the gateway.
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let next = |whole_at| self.pace.turn(whole_at, now).map(|(after, _)| after);
        let Ok(before) = self.whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else {
            return Duration::ZERO;
        };
        let wait = self.pace.turn(before, now).map_or(Duration::ZERO, |(_, wait)| wait);
        if !wait.is_zero() {
            self.delayed.inc();
            let mut place = Place { queue: self, is_taken: false };
            sleep(wait).await;
            place.is_taken = true;
        }
        wait
    }
}

/// A turn that is waited for. Clients who hang up before give it back, so that nobody waits for them.
struct Place<'q> {
    queue: &'q Queue,
    is_taken: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_taken {
            self.queue.whole_at.fetch_sub(self.queue.pace.interval(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const PACE: Pace = Pace { burst: 3, per_second: 10, longest: Duration::from_secs(1) };

    fn queue() -> Queue {
        Queue::new(PACE, IntCounter::new("delayed", "Delayed.").unwrap())
    }

    fn waits(refusals: usize) -> Vec<Option<u128>> {
        let mut whole_at = 0;
        let mut next = || {
            let (after, wait) = PACE.turn(whole_at, SECOND)?;
            whole_at = after;
            Some(wait.as_millis())
        };
        std::iter::repeat_with(&mut next).take(refusals).collect()
    }

    #[test]
    fn a_burst_is_refused_at_once_and_the_rest_one_after_the_other() {
        assert_eq!(waits(6), [Some(0), Some(0), Some(0), Some(100), Some(200), Some(300)]);
    }

    #[test]
    fn no_refusal_waits_longer_than_the_longest_wait() {
        let waits = waits(20);
        assert_eq!((waits[12], waits[13], waits[19]), (Some(1_000), None, None));
    }

    #[test]
    fn who_is_refused_now_and_then_never_waits() {
        let mut whole_at = 0;
        for second in 0..100 {
            let (after, wait) = PACE.turn(whole_at, second * SECOND).unwrap();
            whole_at = after;
            assert_eq!(wait, Duration::ZERO);
        }
    }

    #[tokio::test]
    async fn only_what_is_unknown_waits_and_is_counted() {
        let queue = queue();
        for _ in 0..20 {
            assert_eq!(queue.turn(&Refusal::ExpiredToken).await, Duration::ZERO);
            assert_eq!(queue.turn(&Refusal::RevokedToken).await, Duration::ZERO);
        }
        let began = Instant::now();
        for _ in 0..2 {
            queue.turn(&Refusal::UnknownToken).await;
            queue.turn(&Refusal::MalformedToken).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(100));
        assert_eq!(queue.delayed.get(), 1);
    }

    #[tokio::test]
    async fn whoever_hangs_up_while_waiting_leaves_the_turn_to_others() {
        let queue = queue();
        for _ in 0..3 {
            queue.turn(&Refusal::UnknownToken).await;
        }
        for _ in 0..50 {
            assert_eq!(queue.turn(&Refusal::UnknownToken).now_or_never(), None);
        }
        assert!(queue.turn(&Refusal::UnknownToken).await <= Duration::from_millis(100));
    }
}
