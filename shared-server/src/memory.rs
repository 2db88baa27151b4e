//! How much memory a server holds: little while there is little to hold, and in huge pages once there is much.
//!
//! A huge page (2 MiB) is resident as soon as one byte of it is touched. Of a small process that makes a large one, for it touches a
//! little of many; of a large one it makes none larger, and the processor finds what lies there at once. So a process
//! begins without, and has them for what it takes beyond [`MUCH`], or from when it knows that it will hold much ([`grow`]).

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
use tokio::time::{MissedTickBehavior, interval};

use crate::telemetry::resident_bytes;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The resident memory from which on huge pages are worth their size, in bytes.
const MUCH: i64 = 96 * 1_024 * 1_024;
/// What is taken and given back so that the allocator looks at what it could return, in bytes: enough to be a page of its own. It
/// is never touched.
const KNOCK: usize = 1_024 * 1_024;

/// Whether the process has no huge pages, but may have them one day; an operator may have said no (`MIMALLOC_ALLOW_THP=0`).
static MAY_GROW: AtomicBool = AtomicBool::new(false);

/// A process that began without huge pages.
#[derive(Debug)]
pub struct Small(());

impl Small {
    /// Begins without huge pages; called before anything else takes memory. Where the system has none, nothing changes.
    #[must_use]
    pub fn begin() -> Self {
        let are_allowed = matches!(transparent_huge_pages_are_disabled(), Ok(false));
        let may_grow = are_allowed && disable_transparent_huge_pages(true).is_ok();
        MAY_GROW.store(may_grow, Ordering::Relaxed);
        Self(())
    }

    /// Watches the process for as long as it runs: allows huge pages once they are worth their size, and has the allocator
    /// return what it does not need. That looks only while somebody frees memory: a server that falls idle would hold for
    /// ever what its last busy moment took.
    pub async fn watch(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            drop(black_box(Vec::<u8>::with_capacity(KNOCK)));
            if MAY_GROW.load(Ordering::Relaxed) && resident_bytes().is_some_and(is_much) {
                grow();
            }
        }
    }
}

/// Has huge pages from now on, for a process that will hold much in a moment and read all of it again and again.
pub fn grow() {
    if MAY_GROW.swap(false, Ordering::Relaxed)
        && let Err(why) = disable_transparent_huge_pages(false).map_err(io::Error::from)
    {
        log::debug!(cause = why.to_string().as_str(); "there are no huge pages");
    }
}

fn is_much(resident: i64) -> bool {
    resident >= MUCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_a_hundred_megabytes_is_large_and_one_of_half_as_many_is_not() {
        assert!(is_much(100_000_000 + 700_000));
        assert!(!is_much(50_000_000));
    }

    #[test]
    fn the_process_knows_what_it_holds() {
        assert!(resident_bytes().unwrap() > 1_024 * 1_024);
    }
}
