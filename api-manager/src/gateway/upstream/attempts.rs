//! The attempts at one request: the first, and another where that cannot do anything twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, StatusCode};

use super::address::Address;
use super::schedule::Set;
use super::{NoBackend, Upstream};
use crate::backend_states::BackendState;

/// A request's place at a backend, given up when it is dropped.
pub struct Lease {
    state: Arc<BackendState>,
    pending: AtomicBool,
}

impl Lease {
    pub(super) fn new(state: Arc<BackendState>) -> Self {
        Self { state, pending: AtomicBool::new(true) }
    }

    /// Has fetched what is written when the answer comes.
    pub fn fetch(&self) {
        self.state.fetch();
    }

    fn answered(&self) {
        if self.pending.swap(false, Ordering::Relaxed) {
            self.state.answered();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.answered();
        self.state.leave();
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no connection: the backend has got nothing of the request.
    Unsent,
    /// The backend says that it has not looked at the request, as it does when it closes an HTTP/2 connection in order.
    Unprocessed,
    /// The connection ended before anything came back.
    Unanswered,
    /// An answer came too late, or makes no sense: another attempt would cost the same again.
    Final,
}

/// The attempts at one request.
pub struct Attempts<'u> {
    upstream: &'u Upstream,
    /// Whether it may be sent again once it has been sent: it is idempotent and has no body.
    repeatable: bool,
    left: u32,
    tried: Set,
}

/// An attempt that may be made.
pub struct Attempt<'u> {
    pub(super) place: usize,
    /// Where it goes.
    pub address: &'u Address,
    /// For as long as the answer lasts.
    pub lease: Lease,
}

impl<'u> Attempts<'u> {
    /// At a request with this method and with or without a body.
    #[must_use]
    pub fn new(upstream: &'u Upstream, method: &Method, has_body: bool) -> Self {
        let repeatable = method.is_idempotent() && !has_body;
        Self { upstream, repeatable, left: upstream.retries.attempts, tried: Set::default() }
    }

    /// The first attempt.
    ///
    /// # Errors
    /// No backend takes the request.
    pub fn first(&mut self) -> Result<Attempt<'u>, NoBackend> {
        self.upstream.lasting.budget.earn(self.upstream.retries.budget_percent);
        self.attempt(self.tried)?.ok_or(NoBackend::Unavailable)
    }

    /// Notes what the backend answered. An answer that says that there is nobody to answer is a failure of it.
    pub fn answered(&self, attempt: &Attempt<'_>, status: StatusCode) {
        attempt.lease.answered();
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.upstream.failed(attempt.place);
            }
            _ => attempt.lease.state.succeeded(),
        }
    }

    /// Notes that there was no answer. A backend that says so has not failed.
    pub fn failed(&self, attempt: &Attempt<'_>, failure: Failure) {
        if failure != Failure::Unprocessed {
            self.upstream.failed(attempt.place);
        }
    }

    /// The attempt after one that failed, where there may be one. `is_whole` says whether all of the request is still there
    /// to be sent.
    pub fn next(&mut self, failure: Failure, is_whole: bool) -> Option<Attempt<'u>> {
        let is_safe = match failure {
            Failure::Unsent | Failure::Unprocessed => is_whole,
            Failure::Unanswered => is_whole && self.repeatable,
            Failure::Final => false,
        };
        if !is_safe || self.left == 0 {
            return None;
        }
        // None of the others takes it: all are busy, or none is there.
        let elsewhere = self.attempt(self.tried).unwrap_or(None);
        // A connection that was kept may have been closed while the request was on its way. Where there is no connection
        // to be had, asking the same backend again at once gets nothing else.
        let attempt = match (elsewhere, failure) {
            (Some(attempt), _) => attempt,
            (None, Failure::Unanswered | Failure::Unprocessed) => self.attempt(Set::default()).ok()??,
            (None, _) => return None,
        };
        self.left -= 1;
        self.upstream.lasting.budget.spend(self.upstream.retries.budget_percent).then_some(attempt)
    }

    fn attempt(&mut self, tried: Set) -> Result<Option<Attempt<'u>>, NoBackend> {
        let Some((place, lease)) = self.upstream.pick(tried)? else { return Ok(None) };
        self.tried = self.tried.with(Set::only(place));
        Ok(self.upstream.address(place).map(|address| Attempt { place, address, lease }))
    }
}
