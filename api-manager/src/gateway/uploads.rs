//! Request bodies on their way to a backend: streamed, never collected, and cut where the client stops moving.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::Instant;

use super::bodies::{BoxError, Patience};
use super::inbound::Inbound;
use super::trailers;

/// What became of an upload so far; shared by the body on its way out and by whoever waits for the answer.
pub struct Progress {
    started: Instant,
    /// Milliseconds after `started` at which something last moved.
    moved: AtomicU64,
    /// Whether the next piece is the client's to send.
    awaits_client: AtomicBool,
    /// As `moved`, plus one, for the answer; 0 before it begins.
    answer_moved: AtomicU64,
    fate: AtomicU8,
    /// The body, where nobody has asked for any of it. Locked when an attempt has failed, not when one goes well.
    unread: Mutex<Option<Inbound>>,
    /// Of the body, so far.
    bytes: AtomicU64,
}

/// How an upload ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadFault {
    /// The client stopped sending.
    Stalled,
    /// The client broke off, or sent what is no body.
    Broken,
}

impl Progress {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            moved: AtomicU64::new(0),
            awaits_client: AtomicBool::new(false),
            answer_moved: AtomicU64::new(0),
            fate: AtomicU8::new(0),
            unread: Mutex::new(None),
            bytes: AtomicU64::new(0),
        }
    }

    /// The body, where the attempt at which it was meant has ended before any of it was asked for.
    #[must_use]
    pub fn take_unread(&self) -> Option<Inbound> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn touch(&self) {
        self.moved.store(self.elapsed(), Ordering::Relaxed);
    }

    /// The answer began or went on.
    pub fn answer_moves(&self) {
        self.answer_moved.store(self.elapsed().saturating_add(1), Ordering::Relaxed);
    }

    /// Where both sides talk, as in gRPC, one of them may listen for as long as the other has something to say.
    fn answer_moved_within(&self, limit: Duration) -> bool {
        match self.answer_moved.load(Ordering::Relaxed) {
            0 => false,
            moved => Duration::from_millis(self.elapsed().saturating_sub(moved)) < limit,
        }
    }

    /// Since when the backend has had all that there was to send: the last piece, or now where the client is to send
    /// the next one, whose pauses have a limit of their own.
    #[must_use]
    pub fn backend_has_all_since(&self) -> Instant {
        if self.awaits_client.load(Ordering::Relaxed) {
            return Instant::now();
        }
        self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// How much of the body has come so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What went wrong on the client's side, if that is where it did.
    #[must_use]
    pub fn fault(&self) -> Option<UploadFault> {
        match self.fate.load(Ordering::Acquire) {
            1 => Some(UploadFault::Stalled),
            2 => Some(UploadFault::Broken),
            _ => None,
        }
    }
}

/// A request body on its way to the backend.
pub enum Upload {
    /// Nothing to send.
    Empty,
    /// A body that was read already.
    Ready(Full<Bytes>),
    /// The client's body.
    Streaming(Box<Streaming>),
}

/// A client's body.
pub struct Streaming {
    /// Until it is given back.
    inner: Option<Inbound>,
    asked_for: bool,
    patience: Patience,
    progress: Arc<Progress>,
}

impl Upload {
    /// Takes the client's body, which may pause for `limit`.
    #[must_use]
    pub fn new(inner: Inbound, limit: Duration) -> (Self, Option<Arc<Progress>>) {
        if inner.is_end_stream() {
            return (Self::Empty, None);
        }
        let progress = Arc::new(Progress::new());
        let streaming = Streaming {
            inner: Some(inner),
            asked_for: false,
            patience: Patience::new(limit),
            progress: Arc::clone(&progress),
        };
        (Self::Streaming(Box::new(streaming)), Some(progress))
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if !self.asked_for && Arc::strong_count(&self.progress) > 1 {
            *self.progress.unread.lock().unwrap_or_else(PoisonError::into_inner) = self.inner.take();
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let streaming = match self.get_mut() {
            Self::Empty => return Poll::Ready(None),
            Self::Ready(body) => {
                return Pin::new(body)
                    .poll_frame(cx)
                    .map(|frame| frame.map(|frame| frame.map_err(|e| match e {})));
            }
            Self::Streaming(streaming) => streaming,
        };
        let Streaming { inner: Some(inner), asked_for, patience, progress } = &mut **streaming else {
            return Poll::Ready(None);
        };
        *asked_for = true;
        let polled = Pin::new(inner).poll_frame(cx);
        let mut watched = patience.watch(cx, polled);
        if let Poll::Ready(Err(_)) = watched
            && progress.answer_moved_within(patience.limit())
        {
            watched = patience.renew(cx);
        }
        let frame = match watched {
            Poll::Pending => {
                progress.awaits_client.store(true, Ordering::Relaxed);
                return Poll::Pending;
            }
            Poll::Ready(Err(stalled)) => {
                progress.fate.store(1, Ordering::Release);
                return Poll::Ready(Some(Err(stalled.into())));
            }
            Poll::Ready(Ok(frame)) => frame,
        };
        progress.touch();
        progress.awaits_client.store(false, Ordering::Relaxed);
        Poll::Ready(match frame {
            Some(Ok(mut frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                progress.bytes.fetch_add(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
                if let Some(fields) = frame.trailers_mut() {
                    trailers::clean_request(fields);
                }
                Some(Ok(frame))
            }
            Some(Err(why)) => {
                progress.fate.store(2, Ordering::Release);
                Some(Err(why))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Ready(body) => body.is_end_stream(),
            Self::Streaming(streaming) => streaming.inner.as_ref().is_none_or(Inbound::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Ready(body) => body.size_hint(),
            Self::Streaming(streaming) => {
                streaming.inner.as_ref().map_or_else(SizeHint::default, Inbound::size_hint)
            }
        }
    }
}
