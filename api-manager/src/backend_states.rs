//! How each backend is doing. The gateway writes it, the management shows it; it is kept by API and URL, so that a new
//! table forgets nothing of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shared_claims::clock::{Clock, UnixTime};

use crate::ahead::fetch;
use crate::domain::api::upstream::{CircuitBreaker, Ejection};
use crate::domain::ids::ApiId;
use crate::ticker::{SECOND, Ticker};

type Made = HashMap<(ApiId, Box<str>), Arc<BackendState>>;

/// The states of all backends.
pub struct BackendStates {
    /// What their moments are told by.
    pub ticker: Ticker,
    made: Mutex<Made>,
}

impl BackendStates {
    /// None yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { ticker: Ticker::new(clock), made: Mutex::default() }
    }

    /// The state of an API's backend, made where there is none.
    #[must_use]
    pub fn of(&self, api: ApiId, url: &str) -> Arc<BackendState> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(BackendState::new(self.ticker.now()));
        Arc::clone(made.entry((api, url.into())).or_insert_with(new))
    }

    /// How an API's backend is doing; `None` where the gateway does not know it.
    #[must_use]
    pub fn report(&self, api: ApiId, url: &str) -> Option<Report> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&(api, url.into())).map(|state| state.report(&self.ticker))
    }

    /// Forgets those that no table and no request refers to.
    pub fn forget_unused(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, state| Arc::strong_count(state) > 1);
    }
}

/// Whether a backend gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does, as far as its weight says so.
    Healthy,
    /// Not for a while, where there is another: it failed several times in a row.
    Ejected,
    /// Not: it does not answer its health checks.
    Unhealthy,
}

impl Condition {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ejected => "ejected",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How a backend is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it gets requests.
    pub condition: Condition,
    /// Since when.
    pub since: UnixTime,
    /// Requests whose answers have not ended.
    pub in_flight: u32,
    /// Requests whose answers have not begun.
    pub pending: u32,
}

/// How one backend is doing. Read and written by every request to it: atomics, no lock. Moments are a [`Ticker`]'s.
pub struct BackendState {
    in_flight: AtomicU32,
    pending: AtomicU32,
    failures: AtomicU32,
    ejected_until: AtomicU64,
    unhealthy: AtomicBool,
    changed: AtomicU64,
    /// With the two counts of its `Arc` it is as large as a line of memory then, and lies in one: every request writes to both.
    _room: [u64; 2],
}

impl BackendState {
    /// Of a backend of which nothing bad is known.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            unhealthy: AtomicBool::new(false),
            changed: AtomicU64::new(now),
            _room: [0; 2],
        }
    }

    /// Has fetched what every request reads and writes.
    pub fn fetch(&self) {
        fetch(&self.in_flight);
    }

    /// Counts one request in, or none where that is more than `breaker` allows.
    #[must_use]
    pub fn enter(&self, breaker: CircuitBreaker) -> bool {
        if !up(&self.in_flight, breaker.max_requests) {
            return false;
        }
        let entered = up(&self.pending, breaker.max_pending);
        if !entered {
            self.leave();
        }
        entered
    }

    /// The answer has begun, or will not.
    pub fn answered(&self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }

    /// The answer has ended, or will not come.
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests whose answers have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The backend did its work: what failed before no longer counts.
    pub fn succeeded(&self) {
        // Every request would otherwise take the line from the other cores' caches.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// The backend failed; whether that ejects it. After an ejection the first failure ejects it anew, until a request
    /// succeeds.
    #[must_use]
    pub fn failed(&self, ejection: Ejection, now: u64) -> bool {
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_add(1));
        let failures = before.map_or(u32::MAX, |before| before + 1);
        if ejection.failures == 0 || failures < ejection.failures {
            return false;
        }
        let until = now.saturating_add(u64::from(ejection.seconds).saturating_mul(SECOND));
        let set = |present| (present <= now).then_some(until);
        let ejected = self.ejected_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set).is_ok();
        if ejected {
            self.changed.store(now, Ordering::Relaxed);
        }
        ejected
    }

    /// Whether it is left alone now.
    #[must_use]
    pub fn is_ejected(&self, now: u64) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > now
    }

    /// Whether it fails its health checks.
    #[must_use]
    pub fn is_unhealthy(&self) -> bool {
        self.unhealthy.load(Ordering::Relaxed)
    }

    /// What the health checks say; whether that is news.
    pub fn set_unhealthy(&self, unhealthy: bool, now: u64) -> bool {
        let is_news = self.unhealthy.swap(unhealthy, Ordering::Relaxed) != unhealthy;
        if is_news {
            self.changed.store(now, Ordering::Relaxed);
        }
        is_news
    }

    fn report(&self, ticker: &Ticker) -> Report {
        let now = ticker.now();
        let (until, changed) =
            (self.ejected_until.load(Ordering::Relaxed), self.changed.load(Ordering::Relaxed));
        let (condition, since) = match (self.is_unhealthy(), until > now) {
            (true, _) => (Condition::Unhealthy, changed),
            (false, true) => (Condition::Ejected, changed),
            (false, false) => (Condition::Healthy, changed.max(until)),
        };
        Report {
            condition,
            since: ticker.date(since),
            in_flight: self.in_flight(),
            pending: self.pending.load(Ordering::Relaxed),
        }
    }
}

/// Adds one, unless that is more than `most`.
fn up(count: &AtomicU32, most: Option<u32>) -> bool {
    let next = |present: u32| present.checked_add(1).filter(|next| most.is_none_or(|most| *next <= most));
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EJECTION: Ejection = Ejection { failures: 2, seconds: 10 };

    #[test]
    fn a_state_lies_in_one_line_with_the_counts_of_its_arc() {
        assert_eq!(size_of::<[usize; 2]>() + size_of::<BackendState>(), 64);
    }

    #[test]
    fn failures_in_a_row_eject_for_a_while_and_one_more_ejects_anew() {
        let state = BackendState::new(0);

        assert!(!state.failed(EJECTION, 5));
        state.succeeded();
        assert!(!state.failed(EJECTION, 5));
        assert!(state.failed(EJECTION, 5) && state.is_ejected(5 + 10 * SECOND - 1));
        assert!(!state.failed(EJECTION, 6), "what was in flight ejects nobody twice");
        assert!(!state.is_ejected(5 + 10 * SECOND));
        assert!(state.failed(EJECTION, 11 * SECOND) && state.is_ejected(12 * SECOND));
    }

    #[test]
    fn no_failures_eject_where_that_is_off() {
        let state = BackendState::new(0);
        assert!((0..100).all(|now| !state.failed(Ejection { failures: 0, seconds: 10 }, now)));
    }

    #[test]
    fn a_circuit_breaker_is_exact_and_counts_what_it_refuses_nowhere() {
        let state = BackendState::new(0);
        let breaker = CircuitBreaker { max_requests: Some(3), max_pending: Some(2) };

        assert!(state.enter(breaker) && state.enter(breaker) && !state.enter(breaker));
        state.answered();
        assert!(state.enter(breaker));
        state.answered();
        assert!(!state.enter(breaker));
        state.leave();
        assert!(state.enter(breaker));
        assert_eq!(state.in_flight(), 3);
    }

    #[test]
    fn a_report_dates_the_last_change() {
        let clock = Clock::manual(UnixTime(1_000));
        let states = BackendStates::new(clock.clone());
        let api = ApiId::generate();
        let state = states.of(api, "http://a");
        let report = || states.report(api, "http://a").map(|report| (report.condition, report.since));

        assert_eq!(report(), Some((Condition::Healthy, UnixTime(1_000))));
        clock.advance(5);
        assert!(state.failed(Ejection { failures: 1, seconds: 10 }, states.ticker.now()));
        clock.advance(3);
        assert_eq!(report(), Some((Condition::Ejected, UnixTime(1_005))));
        clock.advance(20);
        assert_eq!(report(), Some((Condition::Healthy, UnixTime(1_015))));
        assert!(state.set_unhealthy(true, states.ticker.now()));
        assert_eq!(report(), Some((Condition::Unhealthy, UnixTime(1_028))));
        drop(state);
        states.forget_unused();
        assert_eq!(report(), None);
    }
}
