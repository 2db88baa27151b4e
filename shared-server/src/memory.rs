//! How much memory a server holds: little while there is little to hold, and in huge pages once there is much.
//!
//! A huge page (2 MiB) is resident as soon as one byte of it is touched. Of a small process that makes a large one, for it touches a
//! little of many; of a large one it makes none larger, and the processor finds what lies there at once. So a process
//! begins without, and has them for what it takes beyond [`MUCH`], from when it knows that it will hold much ([`grow`]), or for a
//! large piece that it fills at once ([`in_huge_pages`]).

use std::hint::black_box;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// Of this process. An operator may have said no (`MIMALLOC_ALLOW_THP=0`), or the system has none: then it may not grow.
static PAGES: Mutex<Pages> = Mutex::new(Pages { may_grow: false, users: 0 });

/// How a process stands to huge pages.
struct Pages {
    /// It has none, but may have them one day.
    may_grow: bool,
    /// So many threads have them for a moment.
    users: usize,
}

impl Pages {
    fn lock() -> MutexGuard<'static, Self> {
        PAGES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grow(&mut self) {
        if std::mem::take(&mut self.may_grow) {
            set_disabled(false);
        }
    }

    fn enter(&mut self) {
        if self.may_grow && self.users == 0 {
            set_disabled(false);
        }
        self.users += 1;
    }

    fn leave(&mut self) {
        self.users -= 1;
        if self.may_grow && self.users == 0 {
            set_disabled(true);
        }
    }
}

fn set_disabled(disabled: bool) {
    if let Err(why) = disable_transparent_huge_pages(disabled).map_err(io::Error::from) {
        log::debug!(cause = why.to_string().as_str(), disabled; "huge pages stay as they are");
    }
}

/// A process that began without huge pages.
#[derive(Debug)]
pub struct Small(());

impl Small {
    /// Begins without huge pages; called before anything else takes memory. Where the system has none, nothing changes.
    #[must_use]
    pub fn begin() -> Self {
        let are_allowed = matches!(transparent_huge_pages_are_disabled(), Ok(false));
        let may_grow = are_allowed && disable_transparent_huge_pages(true).is_ok();
        Pages::lock().may_grow = may_grow;
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
            if Pages::lock().may_grow && resident_bytes().is_some_and(is_much) {
                grow();
            }
        }
    }
}

/// Has huge pages from now on, for a process that will hold much in a moment and read all of it again and again.
pub fn grow() {
    Pages::lock().grow();
}

/// Does what takes a large piece of memory and fills it at once, so that it comes in huge pages. What other threads touch for
/// the first time meanwhile may come in them too, so it should not take long.
pub fn in_huge_pages<T>(work: impl FnOnce() -> T) -> T {
    /// Also where the work panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            Pages::lock().leave();
        }
    }
    Pages::lock().enter();
    let _leave = Leave;
    work()
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
    fn huge_pages_for_a_moment_end_with_the_last_who_needs_them_unless_the_process_has_grown() {
        let are_off = || transparent_huge_pages_are_disabled().unwrap();
        set_disabled(true);
        let mut pages = Pages { may_grow: true, users: 0 };
        pages.enter();
        pages.enter();
        assert!(!are_off());
        pages.leave();
        assert!(!are_off());
        pages.leave();
        assert!(are_off());

        pages.enter();
        pages.grow();
        pages.leave();
        assert!(!are_off());
        // As an operator wants it.
        set_disabled(true);
        pages.enter();
        pages.grow();
        pages.leave();
        assert!(are_off());
        set_disabled(false);
    }

    #[test]
    fn the_process_knows_what_it_holds() {
        assert!(resident_bytes().unwrap() > 1_024 * 1_024);
    }
}
