//! The body of an answer, read when it is asked for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::chunked::{Chunks, NoChunks, Piece};
use super::head::{End, Framing};
use super::wire::{Sent, Wire};
use super::{Connection, SendError, lock};
use crate::gateway::bodies::BoxError;

/// A body on its way from a backend. Where it ends, its connection goes back to those that are kept.
pub struct Received {
    source: Source,
    rest: Rest,
    goes_on: bool,
    /// Why it broke off, until that is told.
    fault: Option<BoxError>,
}

/// What is left of it.
enum Rest {
    Bytes(u64),
    Chunks(Chunks),
    UntilClose,
    Nothing,
}

/// Where it comes from.
enum Source {
    Own(Box<Connection>),
    /// The answer came before the request was sent to its end; another task sends the rest, however slowly this is read.
    Shared {
        wire: Arc<Mutex<Wire>>,
        _sender: Sender,
    },
    Gone,
}

/// The task that sends the rest of a request; it ends with the answer.
struct Sender(JoinHandle<()>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Received {
    /// The body that follows a head.
    #[must_use]
    pub(super) fn new(connection: Box<Connection>, framing: Framing) -> Self {
        let rest = match framing.end {
            End::After(0) => Rest::Nothing,
            End::After(length) => Rest::Bytes(length),
            End::LastChunk => Rest::Chunks(Chunks::default()),
            End::Close => Rest::UntilClose,
        };
        let source = if connection.wire.sent() == Sent::Part {
            shared(connection.wire)
        } else {
            Source::Own(connection)
        };
        let mut this = Self { source, rest, goes_on: framing.goes_on, fault: None };
        if matches!(this.rest, Rest::Nothing) {
            this.is_over();
        }
        this
    }

    /// Gives the connection back where it can be used again: nothing may have come that nobody asked for.
    fn is_over(&mut self) {
        self.rest = Rest::Nothing;
        // What is sent beside the answer goes on for as long as the answer is held.
        if matches!(self.source, Source::Shared { .. }) {
            return;
        }
        let Source::Own(connection) = std::mem::replace(&mut self.source, Source::Gone) else { return };
        let wire = &connection.wire;
        if self.goes_on && wire.sent() == Sent::All && wire.read.is_empty() {
            connection.keep();
        }
    }

    /// Whether the whole rest was read already.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        match (&self.rest, &self.source) {
            (Rest::Nothing, _) => true,
            (Rest::Bytes(left), Source::Own(own)) => {
                u64::try_from(own.wire.read.len()).is_ok_and(|read| read >= *left)
            }
            _ => false,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut guard;
        let wire = match &mut self.source {
            Source::Own(own) => &mut own.wire,
            Source::Shared { wire, .. } => {
                guard = lock(wire);
                &mut *guard
            }
            Source::Gone => return Poll::Ready(None),
        };
        loop {
            match take(&mut self.rest, wire) {
                Ok(Some(piece)) => return Poll::Ready(piece.map(Ok)),
                Ok(None) => {}
                Err(why) => return Poll::Ready(Some(Err(why.into()))),
            }
            let expected = match self.rest {
                Rest::Bytes(left) => left,
                Rest::Chunks(Chunks::Data(left)) => left,
                Rest::UntilClose => u64::MAX,
                Rest::Chunks(_) | Rest::Nothing => 0,
            };
            match ready!(wire.poll_read(cx, expected)) {
                Ok(0) if matches!(self.rest, Rest::UntilClose) => return Poll::Ready(None),
                Ok(0) => return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()))),
                Ok(_) => {}
                Err(why) => return Poll::Ready(Some(Err(why.into()))),
            }
        }
    }
}

/// Takes a frame out of what was read; `None` within where the body is over, `None` where more has to come first.
fn take(rest: &mut Rest, wire: &mut Wire) -> Result<Option<Option<Frame<Bytes>>>, NoChunks> {
    match rest {
        Rest::Nothing => Ok(Some(None)),
        Rest::Chunks(chunks) => Ok(match chunks.take(&mut wire.read)? {
            None => None,
            Some(Piece::Data(data)) => Some(Some(Frame::data(data))),
            Some(Piece::Trailers(trailers)) => Some(Some(Frame::trailers(trailers))),
            Some(Piece::End) => Some(None),
        }),
        _ if wire.read.is_empty() => Ok(None),
        Rest::UntilClose => Ok(Some(Some(Frame::data(wire.read.split().freeze())))),
        Rest::Bytes(left) => {
            let length = usize::try_from(*left).unwrap_or(usize::MAX).min(wire.read.len());
            *left -= u64::try_from(length).unwrap_or(*left);
            Ok(Some(Some(Frame::data(wire.read.split_to(length).freeze()))))
        }
    }
}

fn shared(wire: Wire) -> Source {
    let wire = Arc::new(Mutex::new(wire));
    let sending = Arc::clone(&wire);
    let sender = tokio::spawn(poll_fn(move |cx| {
        lock(&sending).poll_send(cx).map(|sent: Result<(), SendError>| drop(sent))
    }));
    Source::Shared { wire, _sender: Sender(sender) }
}

impl Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(fault) = this.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let polled = ready!(this.poll_piece(cx));
        if let Some(Err(why)) = polled {
            this.goes_on = false;
            this.is_over();
            // Whoever passes this on gets to send what came before: hyper would throw that away with the connection.
            this.fault = Some(why);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if polled.is_none() || matches!(this.rest, Rest::Bytes(0) | Rest::Chunks(Chunks::Over)) {
            this.is_over();
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Nothing) && self.fault.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Nothing if self.fault.is_none() => SizeHint::with_exact(0),
            Rest::Bytes(left) => SizeHint::with_exact(left),
            Rest::Chunks(_) | Rest::UntilClose | Rest::Nothing => SizeHint::default(),
        }
    }
}
