//! A client's socket, which notes what moves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Pulse;

/// What is read and thrown away of a body that nobody wanted, so that the client gets to read our answer: closing with
/// unread bytes would reset the connection and take the answer with it (RFC 9112, section 9.6).
const MOST_LINGERED: usize = 4 * 1_024 * 1_024;
const LONGEST_LINGER: Duration = Duration::from_secs(2);

/// The socket, which notes what moves.
pub struct Socket<S> {
    stream: S,
    pulse: Arc<Pulse>,
    lingering: Option<Lingering>,
    /// What is read before anything else.
    first: Bytes,
}

struct Lingering {
    timer: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Socket<S> {
    /// Watches `stream`.
    pub fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, lingering: None, first: Bytes::new() }
    }

    /// The same, from which `first` is read first.
    #[must_use]
    pub fn reading_first(mut self, first: Bytes) -> Self {
        self.first = first;
        self
    }

    fn note_write<T>(&self, polled: Poll<T>) -> Poll<T> {
        let blocked = &self.pulse.blocked_since;
        match &polled {
            Poll::Pending if blocked.load(Ordering::Relaxed) == 0 => {
                blocked.store(self.pulse.now(), Ordering::Relaxed)
            }
            Poll::Pending => {}
            Poll::Ready(_) => blocked.store(0, Ordering::Relaxed),
        }
        polled
    }
}

/// What is copied into one piece before it is written, in bytes: to hand over several pieces costs the kernel more than it costs
/// us to join so little.
const SHORT_ANSWER: usize = 4 * 1_024;

/// The pieces one after the other, where there are several and they are short.
fn join<'a>(pieces: &[io::IoSlice<'_>], joined: &'a mut [u8; SHORT_ANSWER]) -> Option<&'a [u8]> {
    if pieces.len() < 2 {
        return None;
    }
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        joined.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    joined.get(..length)
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let length = buf.remaining().min(this.first.len());
            buf.put_slice(&this.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(this.poll_read_quietly(cx, buf))?;
        if buf.filled().len() > before {
            this.pulse.read_some();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Reads and takes no note of it: whoever calls knows whether it is a whole head.
    pub fn poll_read_quietly(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.note_write(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut joined = [0; SHORT_ANSWER];
        let polled = match join(bufs, &mut joined) {
            Some(joined) => Pin::new(&mut this.stream).poll_write(cx, joined),
            None => Pin::new(&mut this.stream).poll_write_vectored(cx, bufs),
        };
        this.note_write(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.pulse.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            timer: Box::pin(tokio::time::sleep(LONGEST_LINGER)),
            left: MOST_LINGERED,
        });
        let mut thrown = [0; 8 * 1_024];
        loop {
            if lingering.timer.as_mut().poll(cx).is_ready() || lingering.left == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut buf = ReadBuf::new(&mut thrown);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    lingering.left = lingering.left.saturating_sub(buf.filled().len());
                }
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_joined_to_the_last_byte_or_not_at_all(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 0..5),
        ) {
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let whole = pieces.concat();
            let fits = pieces.len() > 1 && whole.len() <= SHORT_ANSWER;
            let mut joined = [0; SHORT_ANSWER];
            prop_assert_eq!(join(&slices, &mut joined), fits.then_some(&*whole));
        }
    }
}
