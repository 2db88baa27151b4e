//! What is on its way to a client: a buffer for what is short, and one long piece behind it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;
use tokio::io::AsyncWrite;

use crate::gateway::spare::Buffer;

/// A piece that is no longer than this is copied behind what goes out before it, in bytes: to hand over several pieces
/// costs the kernel more than it costs us to join so little.
const SHORT: usize = 8 * 1_024;
/// So much is not added to, but written first.
const FULL: usize = 16 * 1_024;
/// Room for a head without its headers, and for each of them.
const HEAD: usize = 128;
const LINE: usize = 48;

/// What is written, and not taken by the client yet.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What goes first.
    pub buffer: Buffer,
    /// Of the buffer.
    taken: usize,
    /// What goes after it.
    piece: Bytes,
    /// What goes after that.
    behind: Vec<u8>,
}

impl Outbox {
    /// With room for a head of these headers, and for `body` if that is short.
    pub fn for_head<B: Body>(headers: &HeaderMap, body: &B) -> Self {
        let body = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
        let body = body.filter(|length| *length <= SHORT).unwrap_or(0);
        let buffer = Buffer::with_room(HEAD + headers.len() * LINE + body);
        Self { buffer, ..Self::default() }
    }

    /// Adds a piece of a body.
    pub fn add(&mut self, data: Bytes) {
        if data.len() <= SHORT || !self.piece.is_empty() {
            self.end().extend_from_slice(&data);
        } else {
            self.piece = data;
        }
    }

    /// Where what we say of a body is added.
    pub fn end(&mut self) -> &mut Vec<u8> {
        if self.piece.is_empty() { &mut self.buffer } else { &mut self.behind }
    }

    /// Whether it is to be written before there is more.
    pub fn is_full(&self) -> bool {
        !self.piece.is_empty() || self.buffer.len() - self.taken >= FULL
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The client takes no more.
    pub fn poll_write<S>(&mut self, socket: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        if self.taken >= FULL {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        loop {
            let buffered = self.buffer.get(self.taken..).unwrap_or_default();
            let socket = Pin::new(&mut *socket);
            let written = match (buffered.is_empty(), self.piece.is_empty()) {
                (true, true) => {
                    self.buffer.clear();
                    self.taken = 0;
                    if self.behind.is_empty() {
                        return socket.poll_flush(cx);
                    }
                    self.buffer.append(&mut self.behind);
                    continue;
                }
                (_, true) => ready!(socket.poll_write(cx, buffered))?,
                (true, _) => ready!(socket.poll_write(cx, &self.piece))?,
                (false, false) => {
                    let pieces = [IoSlice::new(buffered), IoSlice::new(&self.piece)];
                    ready!(socket.poll_write_vectored(cx, &pieces))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_buffer = written.min(buffered.len());
            self.taken += of_buffer;
            self.piece.advance((written - of_buffer).min(self.piece.len()));
        }
    }
}
