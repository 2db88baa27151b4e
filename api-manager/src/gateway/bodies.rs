//! Bodies on their way through: streamed, never collected, and cut where a side stops moving.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::Sleep;

use super::answer::{Theirs, is_at_hand};
use super::live::{Live, Watch};
use super::response_cache::copying::Copying;
use super::streams::Held;
use super::trailers;
use super::uploads::Progress;
use super::usage::Ledger;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// One side stopped moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing came for too long")]
pub struct Stalled;

/// Fires when nothing came for too long. Costs a timer only where somebody waits.
pub(super) struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Passes `polled` on, unless it waits for longer than the limit.
    pub(super) fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<T>) -> Poll<Result<T, Stalled>> {
        if let Poll::Ready(ready) = polled {
            self.timer = None;
            return Poll::Ready(Ok(ready));
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        timer.as_mut().poll(cx).map(|()| Err(Stalled))
    }
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Begins to wait anew.
    pub(super) fn renew<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Stalled>> {
        self.timer = None;
        self.watch(cx, Poll::Pending)
    }
}

/// The body of an answer. Its end, or its being given up, ends the request's entry in the books.
pub struct Outgoing {
    content: Content,
    /// In a place of its own, for an answer is moved about a dozen times before it goes out.
    ledger: Option<Box<Ledger>>,
    live: Option<Box<Live>>,
    /// Of the stream that it goes out by, if that is one of HTTP/2.
    held: Option<Arc<Held>>,
    copying: Option<Box<Copying>>,
    /// Whether a body that breaks off can be told from one that ends.
    shows_its_end: bool,
}

enum Content {
    Ours(Full<Bytes>),
    Theirs(Theirs, Patience, Option<Arc<Progress>>),
}

impl Outgoing {
    /// A body of our own.
    #[must_use]
    pub fn full(body: impl Into<Bytes>) -> Self {
        Self::of(Content::Ours(Full::new(body.into())))
    }

    /// The backend's body, which may pause for `limit`; while it moves, so does the exchange with what is uploaded.
    #[must_use]
    pub fn relayed(body: Theirs, limit: Duration, upload: Option<Arc<Progress>>) -> Self {
        Self::of(Content::Theirs(body, Patience::new(limit), upload))
    }

    fn of(content: Content) -> Self {
        Self { content, ledger: None, live: None, held: None, copying: None, shows_its_end: true }
    }

    /// Notes whether a body that breaks off can be told from one that ends.
    #[must_use]
    pub fn showing_its_end(mut self, shows_its_end: bool) -> Self {
        self.shows_its_end = shows_its_end;
        self
    }

    /// Whether a body that breaks off can be told from one that ends.
    #[must_use]
    pub fn shows_its_end(&self) -> bool {
        self.shows_its_end
    }

    /// Has the body copied on its way.
    #[must_use]
    pub fn with_copy(mut self, copying: Copying) -> Self {
        if self.is_end_stream() {
            copying.finish();
        } else {
            self.copying = Some(Box::new(copying));
        }
        self
    }

    /// Keeps `ledger` open until the body is gone.
    #[must_use]
    pub fn with_ledger(mut self, mut ledger: Ledger) -> Self {
        if let Content::Ours(body) = &self.content {
            ledger.passed(0, body.size_hint().exact().unwrap_or(0));
        }
        self.ledger = Some(Box::new(ledger));
        self.held = Held::here();
        if let Some(held) = &self.held {
            held.begins();
        }
        self
    }

    /// Ends the backend's body when `watch` says that it would no longer be given.
    #[must_use]
    pub fn with_watch(mut self, watch: Option<Watch>) -> Self {
        // What is here already goes out at once.
        let takes_time = matches!(&self.content, Content::Theirs(body, ..) if !is_at_hand(body));
        if takes_time && !self.is_end_stream() {
            self.live = watch.map(|watch| Box::new(Live::new(watch)));
        }
        self
    }
}

impl Outgoing {
    /// Copies a frame; who sends the answer need not ask for more after the last one.
    fn copy(&mut self, frame: &Frame<Bytes>) {
        let Some(copying) = self.copying.take().and_then(|copying| copying.after(frame)) else { return };
        if self.is_end_stream() {
            copying.finish();
        } else {
            self.copying = Some(copying);
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(live) = &mut self.live
            && let Err(refusal) = live.check(cx)
        {
            self.live = None;
            if let Some(ledger) = &self.ledger {
                ledger.withdrawn(refusal.reason());
            }
            return Poll::Ready(Some(Err(refusal.into())));
        }
        let frame = match &mut self.content {
            Content::Ours(body) => {
                return Pin::new(body)
                    .poll_frame(cx)
                    .map(|frame| frame.map(|frame| frame.map_err(|e| match e {})));
            }
            Content::Theirs(body, patience, upload) => {
                let polled = Pin::new(body).poll_frame(cx);
                match patience.watch(cx, polled) {
                    Poll::Pending => {
                        if let Some(live) = &mut self.live {
                            live.wait(cx);
                        }
                        return Poll::Pending;
                    }
                    Poll::Ready(frame) => {
                        if let Some(upload) = upload {
                            upload.answer_moves();
                        }
                        frame
                    }
                }
            }
        };
        Poll::Ready(match frame {
            Ok(None) => {
                if let Some(copying) = self.copying.take() {
                    copying.finish();
                }
                None
            }
            Ok(Some(Ok(mut frame))) => {
                self.copy(&frame);
                if let (Some(ledger), Some(data)) = (&mut self.ledger, frame.data_ref()) {
                    ledger.passed(0, u64::try_from(data.len()).unwrap_or(0));
                }
                if let Some(fields) = frame.trailers_mut() {
                    trailers::clean(fields);
                }
                Some(Ok(frame))
            }
            // The client must see that this is not the end: hyper then cuts the connection, or resets the stream.
            Ok(Some(Err(why))) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.broke_off("the backend broke off");
                }
                Some(Err(why))
            }
            Err(stalled) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.broke_off("the backend stalled");
                }
                Some(Err(stalled.into()))
            }
        })
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
        let polled = this.poll_piece(cx);
        if let Some(held) = &this.held {
            if polled.is_pending() { held.ends() } else { held.begins() }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Ours(body) => body.is_end_stream(),
            Content::Theirs(body, ..) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Ours(body) => body.size_hint(),
            Content::Theirs(body, ..) => body.size_hint(),
        }
    }
}
