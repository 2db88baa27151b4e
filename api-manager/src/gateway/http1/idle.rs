//! Connections that nobody uses at the moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::{MissedTickBehavior, interval};

use super::{Connection, lock};

/// Connections that are kept for each backend while nobody uses them, and for how many sweeps.
const MOST: usize = 128;
const KEPT_FOR: u32 = 30;
/// How often those are looked for that are over, or that the other side has closed.
const SWEEP: Duration = Duration::from_secs(1);

type Stacks = HashMap<Box<str>, Vec<Kept>, RandomState>;

/// The idle connections of one thread.
#[derive(Default)]
pub struct Idle {
    /// By host and port as written, those with TLS apart from those without.
    kept: [Mutex<Stacks>; 2],
    is_swept: AtomicBool,
    /// How often they were swept: a clock that costs nothing to read.
    sweeps: AtomicU32,
}

struct Kept {
    connection: Box<Connection>,
    /// The sweeps before it.
    since: u32,
}

impl Idle {
    fn kept(&self, is_secure: bool) -> &Mutex<Stacks> {
        let [plain, secure] = &self.kept;
        if is_secure { secure } else { plain }
    }

    /// The connection that was used last, unless it is over: it is the least likely to be closed meanwhile.
    pub fn take(&self, is_secure: bool, authority: &str, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        let mut kept = lock(self.kept(is_secure));
        let stack = kept.get_mut(authority)?;
        while let Some(Kept { mut connection, .. }) = stack.pop() {
            if connection.wire.is_quiet(cx) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub fn put(self: &Arc<Self>, connection: Box<Connection>) {
        {
            let mut kept = lock(self.kept(connection.is_secure));
            // The name is copied for the first one only.
            let authority = connection.authority.as_str();
            let stack = match kept.get_mut(authority) {
                Some(stack) => stack,
                None => kept.entry(authority.into()).or_default(),
            };
            if stack.len() >= MOST {
                return;
            }
            stack.push(Kept { connection, since: self.sweeps.load(Ordering::Relaxed) });
        }
        if !self.is_swept.load(Ordering::Relaxed) && !self.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Drops what is over; whether anything is left.
    fn sweep(&self) -> bool {
        let now = self.sweeps.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut cx = Context::from_waker(Waker::noop());
        let mut is_left = false;
        for kept in &self.kept {
            let mut kept = lock(kept);
            kept.retain(|_, stack| {
                stack.retain_mut(|one| {
                    now.wrapping_sub(one.since) <= KEPT_FOR && one.connection.wire.is_quiet(&mut cx)
                });
                !stack.is_empty()
            });
            is_left |= !kept.is_empty();
        }
        is_left
    }
}

/// Sweeps for as long as there is anything to sweep.
async fn sweep(idle: Weak<Idle>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(idle) = idle.upgrade() else { return };
        if !idle.sweep() {
            idle.is_swept.store(false, Ordering::Relaxed);
            return;
        }
    }
}
