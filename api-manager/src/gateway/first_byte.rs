//! How long a backend may take to begin its answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::uploads::Progress;

/// How long the head of an answer may take.
pub struct FirstByte<'a> {
    /// From the connection on, or from the last piece of the body that the backend took.
    pub limit: Duration,
    /// What of the body is on its way.
    pub progress: Option<&'a Arc<Progress>>,
}

/// A head that is waited for.
pub struct Awaited<'a> {
    first_byte: FirstByte<'a>,
    deadline: Instant,
}

/// What wakes whoever waits for a head. Where it is kept it is moved on with each request, which costs nothing as long as that
/// is to a later time; to make one anew takes the runtime's lock twice.
#[derive(Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl<'a> FirstByte<'a> {
    /// Begins to wait.
    #[must_use]
    pub fn awaited(self) -> Awaited<'a> {
        Awaited { deadline: Instant::now() + self.limit, first_byte: self }
    }
}

impl Awaited<'_> {
    /// Whether it is late, woken by `timer`.
    pub fn poll_late(&mut self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<()> {
        let FirstByte { limit, progress } = self.first_byte;
        loop {
            ready!(timer.poll(self.deadline, cx));
            match progress.map(|progress| progress.backend_has_all_since() + limit) {
                Some(later) if later > self.deadline => self.deadline = later,
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Waits until it is late.
    pub async fn is_late(mut self) {
        let mut timer = Timer::default();
        poll_fn(|cx| self.poll_late(&mut timer, cx)).await;
    }
}

impl Timer {
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fires(timer: &mut Timer, after: u64) -> u128 {
        let (began, limit) = (Instant::now(), Duration::from_millis(after));
        let mut awaited = FirstByte { limit, progress: None }.awaited();
        poll_fn(|cx| awaited.poll_late(timer, cx)).await;
        began.elapsed().as_millis()
    }

    #[tokio::test]
    async fn a_timer_that_is_moved_fires_at_the_new_time_also_where_that_is_sooner_or_it_has_fired() {
        let mut timer = Timer::default();
        for limit in [30, 30_000, 50, 20] {
            // Of the long one only the beginning is waited for.
            let fired = tokio::time::timeout(Duration::from_secs(1), fires(&mut timer, limit)).await;
            match fired {
                Ok(after) => assert!((u128::from(limit)..1_000).contains(&after), "{limit} ms: {after}"),
                Err(_) => assert_eq!(limit, 30_000),
            }
        }
    }
}
