//! One connection to a backend, and what is on its way over it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Body;
use hyper_util::rt::TokioIo;
use shared_server::outbound::Outbound;
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::SendError;
use super::head::{self, Head, Malformed};
use crate::gateway::spare::Buffer;
use crate::gateway::uploads::Upload;

/// What is read at once where little is expected, and where much is, in bytes.
const SHORT_READ: usize = 8 * 1_024;
const LONG_READ: usize = 64 * 1_024;
/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 128 * 1_024;

/// A connection.
pub struct Wire {
    io: TokioIo<Outbound>,
    /// What was read and nobody has taken yet.
    pub read: BytesMut,
    sending: Option<Sending>,
    sent: Sent,
}

/// How much of a request the other side may have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not a byte was taken of it.
    Nothing,
    /// Some of it.
    Part,
    /// All.
    All,
    /// Some of it; the rest cannot be sent.
    Failed,
}

/// A request on its way out.
pub struct Sending {
    head: Buffer,
    /// How much of the head was taken.
    head_sent: usize,
    piece: Bytes,
    upload: Option<Upload>,
    /// What the head has promised of the body and was not handed over yet, in bytes.
    left: u64,
}

/// The length of a body, where there is one; [`Wire`] takes none whose length is not known.
pub fn body_length(upload: &Upload) -> Option<u64> {
    (!upload.is_end_stream()).then(|| upload.size_hint().exact().unwrap_or(0))
}

impl Wire {
    /// A connection over which nothing has gone.
    #[must_use]
    pub fn new(io: Outbound) -> Self {
        Self { io: TokioIo::new(io), read: BytesMut::new(), sending: None, sent: Sent::All }
    }

    /// Begins a request with this head; nothing is written before it is polled.
    pub fn begin(&mut self, head: Buffer, upload: Upload) {
        let left = body_length(&upload);
        let upload = left.map(|_| upload);
        let (piece, left) = (Bytes::new(), left.unwrap_or(0));
        self.resume(Some(Sending { head, head_sent: 0, piece, upload, left }));
    }

    /// Begins a request that was taken back from another connection.
    pub fn resume(&mut self, sending: Option<Sending>) {
        self.sending = sending;
        self.sent = Sent::Nothing;
    }

    /// Takes back a request of which nothing was sent.
    pub fn take_back(&mut self) -> Option<Sending> {
        self.sending.take()
    }

    /// How much of the request is out.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Whether nothing has come, not even the end, since the last answer. Between two requests there is nothing to say.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.read.is_empty() && self.poll_read(cx, 0).is_pending()
    }

    /// Reads a piece, larger where `expected` bytes are; none at the end of the connection.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, expected: u64) -> Poll<io::Result<usize>> {
        let size = usize::try_from(expected).unwrap_or(LONG_READ).clamp(SHORT_READ, LONG_READ);
        if self.read.capacity() - self.read.len() < size / 2 {
            self.read.reserve(size);
        }
        // It keeps nothing between two polls.
        pin!(self.io.read_buf(&mut self.read)).poll(cx)
    }

    /// Sends what can be sent, and returns the head of the answer when it is there.
    ///
    /// # Errors
    /// There is none.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>, is_head: bool) -> Poll<Result<Head, SendError>> {
        // What cannot be sent may have been answered all the same: "too large", most likely.
        let failed = match self.poll_send(cx) {
            Poll::Ready(Err(SendError::Unanswered(why))) => Some(why),
            Poll::Ready(Err(other)) => return Poll::Ready(Err(other)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        loop {
            if let Some(answer) = head::read(&mut self.read, is_head)? {
                return Poll::Ready(Ok(answer));
            }
            if self.read.len() > LARGEST_HEAD {
                return Poll::Ready(Err(Malformed::TooLarge.into()));
            }
            match self.poll_read(cx, 0) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(SendError::Unanswered(failed.flatten()))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(why)) => return Poll::Ready(Err(SendError::Unanswered(Some(why)))),
                Poll::Pending if failed.is_some() && self.sent == Sent::Nothing => {
                    return Poll::Ready(Err(SendError::Unanswered(failed.flatten())));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Sends what can be sent.
    ///
    /// # Errors
    /// The connection takes no more of it, or what is to be sent broke off.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        loop {
            let Some(sending) = &mut self.sending else {
                return match self.sent {
                    Sent::Failed => Poll::Pending,
                    _ => Poll::Ready(Ok(())),
                };
            };
            if sending.has_bytes() {
                let io = Pin::new(&mut self.io);
                let written = if sending.piece.is_empty() {
                    ready!(io.poll_write(cx, sending.head_left()))
                } else {
                    let slices = [IoSlice::new(sending.head_left()), IoSlice::new(&sending.piece)];
                    ready!(io.poll_write_vectored(cx, &slices))
                };
                let written = match written {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    written => written,
                };
                match written {
                    Ok(written) => {
                        self.sent = Sent::Part;
                        sending.advance(written);
                    }
                    Err(why) => {
                        if self.sent != Sent::Nothing {
                            self.sending = None;
                            self.sent = Sent::Failed;
                        }
                        return Poll::Ready(Err(SendError::Unanswered(Some(why))));
                    }
                }
                continue;
            }
            if sending.upload.is_some() {
                ready!(sending.poll_piece(cx))?;
                continue;
            }
            self.sending = None;
            self.sent = Sent::All;
        }
    }
}

impl Sending {
    fn head_left(&self) -> &[u8] {
        self.head.get(self.head_sent..).unwrap_or_default()
    }

    fn has_bytes(&self) -> bool {
        !self.head_left().is_empty() || !self.piece.is_empty()
    }

    fn advance(&mut self, written: usize) {
        let of_head = written.min(self.head_left().len());
        self.head_sent += of_head;
        self.piece.advance((written - of_head).min(self.piece.len()));
    }

    /// Takes the next piece of the body, which must keep the promise of the head.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
        let broken = |why: &str| Poll::Ready(Err(SendError::Upload(why.into())));
        match ready!(Pin::new(upload).poll_frame(cx)) {
            Some(Ok(frame)) => {
                // Trailers have no place behind a body of known length.
                let Ok(piece) = frame.into_data() else { return Poll::Ready(Ok(())) };
                let Some(left) = self.left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX)) else {
                    return broken("it is longer than was said");
                };
                self.left = left;
                self.piece = piece;
                if left == 0 {
                    self.upload = None;
                }
                Poll::Ready(Ok(()))
            }
            Some(Err(why)) => Poll::Ready(Err(SendError::Upload(why))),
            None if self.left > 0 => broken("it is shorter than was said"),
            None => {
                self.upload = None;
                Poll::Ready(Ok(()))
            }
        }
    }
}
