//! How many requests may be sent again: a part of those that were sent at all, so that a backend in trouble is not given
//! a multiple of them.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one retry costs; a request earns as much as the percentage says.
const RETRY: u32 = 100;
/// What a quiet API may spend at once.
const MOST: u32 = 10 * RETRY;

/// What is left to spend.
pub struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl Budget {
    /// A request is sent for the first time.
    pub fn earn(&self, percent: u32) {
        let earned = |present: u32| (present < MOST).then(|| present.saturating_add(percent).min(MOST));
        // Nothing is written while it is full.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
    }

    /// A request is to be sent again; whether it may be.
    pub fn spend(&self, percent: u32) -> bool {
        let spent = |present: u32| present.checked_sub(RETRY);
        percent > 0 && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_requests_once_the_reserve_is_spent() {
        let budget = Budget::default();
        assert_eq!((0..100).filter(|_| budget.spend(20)).count(), 10);

        let sent_again = (0..100).filter(|_| {
            budget.earn(20);
            budget.spend(20)
        });
        assert_eq!(sent_again.count(), 20);
    }

    #[test]
    fn a_budget_of_nothing_lets_nothing_be_sent_again() {
        assert!(!Budget::default().spend(0));
    }
}
