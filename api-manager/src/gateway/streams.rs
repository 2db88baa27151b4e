//! The streams of HTTP/2 connections, each bounded in how long its client may leave an answer untaken.
//!
//! A client that grants no window never blocks the socket, and hyper then asks for no more of the body: nothing of ours
//! would ever run again (RFC 9113, section 10.5). Hence the task of each stream carries a clock of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use log::info;
use tokio::time::{Instant, Sleep};

tokio::task_local! {
    static HERE: Arc<Held>;
}

/// Since when a piece of an answer waits for the client to take it.
pub struct Held {
    started: Instant,
    /// Milliseconds after `started`, plus one; 0 where it is for us to say something.
    since: AtomicU64,
}

impl Held {
    /// That of the stream whose task this is, if it is one.
    #[must_use]
    pub fn here() -> Option<Arc<Self>> {
        HERE.try_with(Arc::clone).ok()
    }

    /// The client has something to take.
    pub fn begins(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(elapsed.saturating_add(1), Ordering::Relaxed);
    }

    /// The client has taken all that there was.
    pub fn ends(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    fn since(&self) -> Option<Instant> {
        let since = self.since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.started + Duration::from_millis(since))
    }
}

/// Runs what hyper runs beside a connection: with HTTP/2, each of its streams.
#[derive(Clone, Copy)]
pub struct Streams {
    /// How long a client may leave a piece untaken.
    pub limit: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let held = Arc::new(Held { started: Instant::now(), since: AtomicU64::new(0) });
        tokio::spawn(Stream { future: Box::pin(future), held, limit: self.limit, timer: None });
    }
}

struct Stream<F> {
    future: Pin<Box<F>>,
    held: Arc<Held>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { future, held, limit, timer } = self.get_mut();
        if HERE.sync_scope(Arc::clone(held), || future.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = held.since() else {
            *timer = None;
            return Poll::Pending;
        };
        let deadline = since + *limit;
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // What is dropped with the task resets the stream.
        info!("a client does not take its answer; the stream is reset");
        Poll::Ready(())
    }
}
