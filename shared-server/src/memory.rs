//! How much memory a server holds: little while it has little to do, and in huge pages once it has much.
//!
//! A huge page (2 MiB) is resident as soon as one byte of it is touched, which doubles what an idle server holds; and saves a busy
//! one a tenth of its CPU time, because the processor finds what is on it at once. So a process begins without, and has them from
//! its first busy moment on.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row at which a process must be busy: starting with a full store is work too, and is over sooner.
const BUSY_LOOKS: u32 = 2;
/// The part of one core that makes a process busy: a fourth.
const BUSY_PART: u32 = 4;
/// What is taken and given back so that the allocator looks at what it could return, in bytes: enough to be a page of its own. It
/// is never touched.
const KNOCK: usize = 1_024 * 1_024;

/// A process that began without huge pages.
#[derive(Debug)]
pub struct Small {
    /// Whether it may have them one day; an operator may have said no (`MIMALLOC_ALLOW_THP=0`).
    may_grow: bool,
}

impl Small {
    /// Begins without huge pages; called before anything else takes memory. Where the system has none, nothing changes.
    #[must_use]
    pub fn begin() -> Self {
        let are_allowed = matches!(transparent_huge_pages_are_disabled(), Ok(false));
        Self { may_grow: are_allowed && disable_transparent_huge_pages(true).is_ok() }
    }

    /// Watches the process for as long as it runs: allows huge pages once it is busy, and has the allocator return what it
    /// does not need. That looks only while somebody frees memory: a server that falls idle would hold for ever what its
    /// last busy moment took.
    pub async fn watch(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut busy, mut seen, mut may_grow) = (0, spent(), self.may_grow);
        loop {
            looks.tick().await;
            drop(black_box(Vec::<u8>::with_capacity(KNOCK)));
            if !may_grow {
                continue;
            }
            let spent = spent();
            busy = if is_busy(spent.saturating_sub(seen)) { busy + 1 } else { 0 };
            seen = spent;
            if busy >= BUSY_LOOKS {
                may_grow = false;
                if let Err(why) = disable_transparent_huge_pages(false).map_err(io::Error::from) {
                    log::debug!(cause = why.to_string().as_str(); "there are no huge pages");
                }
            }
        }
    }
}

/// Whether somebody who spent so much CPU time since the last look is busy.
fn is_busy(spent: Duration) -> bool {
    spent * BUSY_PART >= LOOK
}

/// The CPU time of this process so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fourth_of_a_core_is_busy_and_less_is_not() {
        assert!(is_busy(Duration::from_millis(250)));
        assert!(!is_busy(Duration::from_millis(249)));
    }

    #[test]
    fn the_process_knows_what_it_spent() {
        let before = spent();
        let mut sum = 0_u64;
        while spent() == before {
            sum = black_box(sum.wrapping_add(1));
        }
        assert!(spent() > before);
    }
}
