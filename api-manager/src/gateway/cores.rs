//! The threads that guarded traffic runs on: each with a runtime of its own, so that a request, its connection to the
//! backend and their timers never leave the thread that accepted the client, and no queue is shared.

use std::cell::Cell;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

thread_local! {
    /// Which of the threads this is; the first also stands for all threads that are none of them.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// The threads. They end when this is dropped, and cut what still runs on them.
pub struct Cores {
    handles: Vec<Handle>,
    _running: watch::Sender<()>,
}

impl Cores {
    /// Starts so many threads.
    ///
    /// # Errors
    /// The system refuses another thread or descriptor.
    pub fn start(count: usize) -> io::Result<Self> {
        let (running, ends) = watch::channel(());
        let handles = (0..count.max(1)).map(|core| start(core, ends.clone())).collect::<io::Result<_>>()?;
        Ok(Self { handles, _running: running })
    }

    /// How many there are; never none.
    #[must_use]
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Each of them, to begin tasks on.
    pub fn each(&self) -> impl Iterator<Item = &Handle> {
        self.handles.iter()
    }
}

fn start(core: usize, mut ends: watch::Receiver<()>) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("gateway-{core}")).spawn(move || {
        HERE.set(core);
        // Nothing is ever sent: it ends when the sender is gone.
        let _ = runtime.block_on(ends.changed());
        // A look-up that waits for the database must not hold the thread.
        runtime.shutdown_background();
    })?;
    Ok(handle)
}

/// Something that each thread has of its own.
#[derive(Clone)]
pub struct PerCore<T> {
    first: T,
    others: Box<[T]>,
}

impl<T> PerCore<T> {
    /// Made once for each of `count` threads.
    #[must_use]
    pub fn new(count: usize, mut make: impl FnMut() -> T) -> Self {
        let first = make();
        Self { first, others: std::iter::repeat_with(make).take(count.saturating_sub(1)).collect() }
    }

    /// All of them.
    pub fn each(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// That of the thread that asks.
    #[must_use]
    pub fn here(&self) -> &T {
        let other = HERE.get().checked_sub(1).and_then(|place| self.others.get(place));
        other.unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_thread_has_its_own_and_others_have_the_first() {
        let cores = Cores::start(2).unwrap();
        let mut next = 0;
        let own = PerCore::new(cores.count(), || {
            next += 1;
            next
        });
        let mut seen = Vec::new();
        for core in cores.each() {
            let own = own.clone();
            seen.push(core.spawn(async move { *own.here() }).await.unwrap());
        }
        assert_eq!(seen, [1, 2]);
        assert_eq!(*own.here(), 1);
    }

    #[tokio::test]
    async fn what_runs_on_the_threads_ends_with_them() {
        let cores = Cores::start(1).unwrap();
        let endless = cores.each().next().unwrap().spawn(std::future::pending::<()>());
        drop(cores);
        assert!(endless.await.unwrap_err().is_cancelled());
    }
}
