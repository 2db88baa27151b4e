//! WebSockets and streams obey tokens: what was decided at their beginning is asked again for as long as they last.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::Gateway;
use super::credentials::Credential;
use super::decision::{Asked, Facts, Step, fetch, try_decide};
use super::grant_cache::CannotLookUp;
use super::refusal::Refusal;
use crate::domain::ids::ApiId;

/// How often it is asked; a revocation elsewhere is read within another half second.
pub const TICK: Duration = Duration::from_millis(400);
/// How often in a row the answer may be that nobody can tell: some four seconds, after the five in which the cache
/// counts without the database.
const MOST_UNTOLD: u32 = 10;

/// A request that was let through, as far as that can be asked again.
pub struct Watch {
    gateway: Arc<Gateway>,
    api: ApiId,
    asked: Arc<Asked>,
    untold: AtomicU32,
}

impl Watch {
    /// Watches a request that was let through to `api`.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, api: ApiId, asked: Arc<Asked>) -> Self {
        Self { gateway, api, asked, untold: AtomicU32::new(0) }
    }

    /// Whether it would be let through now.
    ///
    /// # Errors
    /// The rule that refuses.
    pub async fn check(&self) -> Result<(), Refusal> {
        let Some(credential) = self.check_with(Facts::None)? else {
            self.untold.store(0, Ordering::Relaxed);
            return Ok(());
        };
        match fetch(&self.gateway, &self.asked, credential).await {
            Ok(entry) => {
                self.untold.store(0, Ordering::Relaxed);
                self.check_with(Facts::Fetched(entry)).map(|_| ())
            }
            // A busy moment of the database must not cut everybody off.
            Err(CannotLookUp) if self.untold.fetch_add(1, Ordering::Relaxed) < MOST_UNTOLD => Ok(()),
            Err(CannotLookUp) => Err(Refusal::CannotLookUp),
        }
    }

    /// Decides by the table and the facts of now; the credential where the facts have to be fetched first.
    fn check_with(&self, facts: Facts) -> Result<Option<Credential>, Refusal> {
        match try_decide(&self.gateway, &self.asked, facts, &mut None)? {
            // Another API has taken its place.
            Step::Decided(decision) if decision.route.id != self.api => Err(Refusal::NotFound),
            Step::Decided(_) => Ok(None),
            Step::Missing(credential) => Ok(Some(credential)),
        }
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

/// Asks again for a stream, whenever it is polled and a tick has passed.
pub struct Live {
    watch: Arc<Watch>,
    next: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    asking: Option<Asking>,
}

impl Live {
    /// Asks for the first time after a tick: most answers are over by then.
    #[must_use]
    pub fn new(watch: Watch) -> Self {
        Self { watch: Arc::new(watch), next: Instant::now() + TICK, timer: None, asking: None }
    }

    /// Says whether the stream may go on.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&mut self, cx: &mut Context<'_>) -> Result<(), Refusal> {
        if self.asking.is_none() && Instant::now() >= self.next {
            let watch = Arc::clone(&self.watch);
            self.asking = Some(Box::pin(async move { watch.check().await }));
        }
        let Some(asking) = &mut self.asking else { return Ok(()) };
        let Poll::Ready(answer) = asking.as_mut().poll(cx) else { return Ok(()) };
        self.asking = None;
        self.timer = None;
        self.next = Instant::now() + TICK;
        answer
    }

    /// Wakes the stream for the next time where it waits for the backend.
    pub fn wait(&mut self, cx: &mut Context<'_>) {
        if self.asking.is_some() {
            return;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.next)));
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
