//! Bodies on their way through: streamed, never collected, and cut where a side stops moving.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::headers::clean_trailers;
use super::live::{Live, Watch};
use super::usage::Ledger;

type BoxError = Box<dyn StdError + Send + Sync>;

/// One side stopped moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing came for too long")]
pub struct Stalled;

/// Fires when nothing came for too long. Costs a timer only where somebody waits.
struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Passes `polled` on, unless it waits for longer than the limit.
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<T>) -> Poll<Result<T, Stalled>> {
        if let Poll::Ready(ready) = polled {
            self.timer = None;
            return Poll::Ready(Ok(ready));
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        timer.as_mut().poll(cx).map(|()| Err(Stalled))
    }
}

/// What became of an upload so far; shared by the body on its way out and by whoever waits for the answer.
pub struct Progress {
    started: Instant,
    /// Milliseconds after `started` at which something last moved.
    moved: AtomicU64,
    /// Whether the next piece is the client's to send.
    awaits_client: AtomicBool,
    fate: AtomicU8,
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
            fate: AtomicU8::new(0),
        }
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(elapsed, Ordering::Relaxed);
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
    /// The client's body.
    Streaming(Box<Streaming>),
}

/// A client's body.
pub struct Streaming {
    inner: Incoming,
    patience: Patience,
    progress: Arc<Progress>,
}

impl Upload {
    /// Takes the client's body, which may pause for `limit`.
    #[must_use]
    pub fn new(inner: Incoming, limit: Duration) -> (Self, Option<Arc<Progress>>) {
        if inner.is_end_stream() {
            return (Self::Empty, None);
        }
        let progress = Arc::new(Progress::new());
        let streaming = Streaming { inner, patience: Patience::new(limit), progress: Arc::clone(&progress) };
        (Self::Streaming(Box::new(streaming)), Some(progress))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self::Streaming(streaming) = self.get_mut() else { return Poll::Ready(None) };
        let Streaming { inner, patience, progress } = &mut **streaming;
        let polled = Pin::new(inner).poll_frame(cx);
        let frame = match patience.watch(cx, polled) {
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
            // Trailers of requests end here: they could carry what we take out of the headers.
            Some(Ok(frame)) if frame.is_trailers() => None,
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(why)) => {
                progress.fate.store(2, Ordering::Release);
                Some(Err(why.into()))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(streaming) => streaming.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(streaming) => streaming.inner.size_hint(),
        }
    }
}

/// The body of an answer. Its end, or its being given up, ends the request's entry in the books.
pub struct Outgoing {
    content: Content,
    ledger: Option<Ledger>,
    live: Option<Box<Live>>,
}

enum Content {
    Ours(Full<Bytes>),
    Theirs(Incoming, Patience),
}

impl Outgoing {
    /// A body of our own.
    #[must_use]
    pub fn full(text: String) -> Self {
        Self { content: Content::Ours(Full::new(Bytes::from(text))), ledger: None, live: None }
    }

    /// The backend's body, which may pause for `limit`.
    #[must_use]
    pub fn relayed(body: Incoming, limit: Duration) -> Self {
        Self { content: Content::Theirs(body, Patience::new(limit)), ledger: None, live: None }
    }

    /// Keeps `ledger` open until the body is gone.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Ends the backend's body when `watch` says that it would no longer be given.
    #[must_use]
    pub fn with_watch(mut self, watch: Option<Watch>) -> Self {
        if matches!(self.content, Content::Theirs(..)) && !self.is_end_stream() {
            self.live = watch.map(|watch| Box::new(Live::new(watch)));
        }
        self
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(live) = &mut this.live
            && let Err(refusal) = live.check(cx)
        {
            this.live = None;
            if let Some(ledger) = &this.ledger {
                ledger.withdrawn(refusal.reason());
            }
            return Poll::Ready(Some(Err(refusal.into())));
        }
        let frame = match &mut this.content {
            Content::Ours(body) => {
                return Pin::new(body)
                    .poll_frame(cx)
                    .map(|frame| frame.map(|frame| frame.map_err(|e| match e {})));
            }
            Content::Theirs(body, patience) => {
                let polled = Pin::new(body).poll_frame(cx);
                match patience.watch(cx, polled) {
                    Poll::Pending => {
                        if let Some(live) = &mut this.live {
                            live.wait(cx);
                        }
                        return Poll::Pending;
                    }
                    Poll::Ready(frame) => frame,
                }
            }
        };
        Poll::Ready(match frame {
            Ok(None) => None,
            Ok(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                Some(Ok(frame))
            }
            // The client must see that this is not the end: hyper then cuts the connection, or resets the stream.
            Ok(Some(Err(why))) => {
                if let Some(ledger) = &mut this.ledger {
                    ledger.broke_off("the backend broke off");
                }
                Some(Err(why.into()))
            }
            Err(stalled) => {
                if let Some(ledger) = &mut this.ledger {
                    ledger.broke_off("the backend stalled");
                }
                Some(Err(stalled.into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Ours(body) => body.is_end_stream(),
            Content::Theirs(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Ours(body) => body.size_hint(),
            Content::Theirs(body, _) => body.size_hint(),
        }
    }
}
