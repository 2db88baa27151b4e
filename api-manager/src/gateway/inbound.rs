//! HTTP/1.1 from clients, on the task that serves: the requests that nearly all are.
//!
//! Every connection begins here. A request whose head asks for nothing out of the ordinary, and whose body, if it has one, came
//! with it, is read, served and answered here. At the first one that wants more (an upgrade, an expectation, chunks, a
//! body that is still on its way, another version of HTTP), or that is no request at all, the connection goes to hyper with
//! whatever was read and not served, and stays there. So there is one place that knows all of HTTP/1.1, and this one, which knows
//! little of it, never has to guess.

mod date;
mod head;
mod outgoing;
mod reply;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Pulse, Socket};
use super::spare::{self, Buffer};
use head::Heard;
use outgoing::Outbox;
use reply::Framing;

/// What is read at once, in bytes. A head that is longer than this goes to hyper, and so does a body that is.
const READ: usize = 16 * 1_024;

thread_local! {
    /// Where a thread reads to. A connection that waits for its next request holds no memory for it.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// The body of a client's request: one that came with the head, or none, on the left; one that is on its way, by hyper, on the
/// right.
pub type Inbound = Either<Full<Bytes>, Incoming>;

/// What is about to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming<'r> {
    /// A request with this target, of which no more is known.
    Target(&'r str),
    /// A request for this path, which was read.
    Request(&'r str),
}

/// Who hears what is coming, some hundred instructions before it is served.
type Foresight = Box<dyn Fn(Coming<'_>) + Send>;

/// How it ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The connection is over.
    Over,
    /// hyper is to go on with it.
    HandOver,
}

/// The connection cannot be used any more.
#[derive(Debug)]
struct Broken;

/// A client's connection.
pub struct Inbox<S> {
    socket: Socket<S>,
    pulse: Arc<Pulse>,
    /// What was read and not served.
    read: Buffer,
    foresight: Foresight,
}

/// A request, and whether another may follow it.
type Taken = (Request<Inbound>, bool);

impl<S: AsyncRead + AsyncWrite + Unpin> Inbox<S> {
    /// A connection of which nothing was read.
    #[must_use]
    pub fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        let socket = Socket::new(stream, Arc::clone(&pulse));
        Self { socket, pulse, read: Buffer::default(), foresight: Box::new(|_| ()) }
    }

    /// The same that tells `foresight` what is coming.
    #[must_use]
    pub fn telling(self, foresight: impl Fn(Coming<'_>) + Send + 'static) -> Self {
        Self { foresight: Box::new(foresight), ..self }
    }

    /// The socket, from which what was read and not served is read again.
    #[must_use]
    pub fn into_socket(self) -> Socket<S> {
        self.socket.reading_first(self.read.shared())
    }

    /// Serves one request after the other. Once the connection [`Pulse::retires`], it ends after the request that it is
    /// with.
    pub async fn run<F, B>(&mut self, serve: impl Fn(Request<Inbound>) -> F) -> Ending
    where
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            let (request, goes_on) = match poll_fn(|cx| self.poll_request(cx)).await {
                Ok(taken) => taken,
                Err(ending) => {
                    if ending == Ending::Over {
                        self.shut_down().await;
                    }
                    return ending;
                }
            };
            let is_head = *request.method() == Method::HEAD;
            let response = {
                // Made where it stays: it is too large to be moved about for every request.
                let mut serving = pin!(serve(request));
                poll_fn(|cx| match serving.as_mut().poll(cx) {
                    Poll::Ready(response) => Poll::Ready(Some(response)),
                    // An answer is waited for as long as there is somebody to hear it.
                    Poll::Pending if self.is_gone(cx) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                })
                .await
            };
            let Some(response) = response else { return Ending::Over };
            match self.reply(response, is_head, goes_on).await {
                Ok(true) => {}
                Ok(false) => {
                    if !self.read.is_empty() {
                        // A client that has sent more gets to read the answer before it hears that we are gone.
                        self.pulse.leaves_unread();
                    }
                    self.shut_down().await;
                    return Ending::Over;
                }
                // What is missing of the answer must be seen to be missing: no end of TLS is announced.
                Err(Broken) => return Ending::Over,
            }
        }
    }

    /// The next request, or how it ends.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Taken, Ending>> {
        loop {
            let bytes = std::mem::take(&mut self.read).shared();
            if !bytes.is_empty() {
                match head::read(&bytes, |target| (self.foresight)(Coming::Target(target))) {
                    Heard::Request { request, length, goes_on } => {
                        (self.foresight)(Coming::Request(request.uri().path()));
                        self.keep(bytes.get(length..).unwrap_or_default());
                        return Poll::Ready(Ok((request, goes_on)));
                    }
                    heard @ (Heard::Unusual | Heard::Part) => {
                        let is_for_hyper = matches!(heard, Heard::Unusual) || bytes.len() >= READ;
                        self.keep(&bytes);
                        // From here on it has so much time for the rest of its head.
                        self.pulse.read_some();
                        if is_for_hyper {
                            return Poll::Ready(Err(Ending::HandOver));
                        }
                    }
                }
            } else if self.pulse.retires() {
                return Poll::Ready(Err(Ending::Over));
            }
            match ready!(self.poll_read(cx)) {
                Ok(1..) => {}
                // With half a head, too: there is nobody who would hear that it was one.
                Ok(0) | Err(_) => return Poll::Ready(Err(Ending::Over)),
            }
        }
    }

    /// Keeps what was read and not served.
    fn keep(&mut self, read: &[u8]) {
        if !read.is_empty() {
            self.read = Buffer::of(read);
        }
    }

    /// Reads what has come; none at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.socket.poll_read_quietly(cx, &mut buffer))?;
            if self.read.capacity() == 0 {
                self.read = Buffer::with_room(buffer.filled().len());
            }
            self.read.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Whether the client has gone. What it sends meanwhile is kept; after that, only its going on is waited for.
    fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        self.read.is_empty() && matches!(self.poll_read(cx), Poll::Ready(Ok(0) | Err(_)))
    }

    /// Sends the answer; whether the connection can be used for another request.
    async fn reply<B>(&mut self, response: Response<B>, is_head: bool, goes_on: bool) -> Result<bool, Broken>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (parts, mut body) = response.into_parts();
        let goes_on = goes_on && !self.pulse.retires() && !reply::closes(&parts.headers);
        let mut out = Outbox::for_head(&parts.headers, &body);
        let mut framing = reply::write(&mut out.buffer, &parts, (is_head, goes_on), &body);
        spare::give_back(parts.headers);
        while framing != Framing::Over {
            let frame = poll_fn(|cx| self.poll_frame(cx, &mut body, &mut out)).await?;
            framing.pass(frame, &mut out)?;
            if framing != Framing::Over && body.is_end_stream() {
                framing.pass(None, &mut out)?;
            }
            // The last piece waits until the books are closed.
            if framing != Framing::Over && out.is_full() {
                self.send(&mut out).await?;
            }
        }
        // Its books are closed before anybody can have the whole answer.
        drop(body);
        self.send(&mut out).await?;
        Ok(goes_on)
    }

    /// Sends all that is in `out`.
    async fn send(&mut self, out: &mut Outbox) -> Result<(), Broken> {
        poll_fn(|cx| out.poll_write(&mut self.socket, cx)).await.map_err(|_| Broken)
    }

    /// The next frame of `body`. While there is none, what there is goes out.
    fn poll_frame<B>(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut B,
        out: &mut Outbox,
    ) -> Poll<Result<Option<http_body::Frame<Bytes>>, Broken>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame.transpose().map_err(|_| Broken));
        }
        if matches!(out.poll_write(&mut self.socket, cx), Poll::Ready(Err(_))) || self.is_gone(cx) {
            return Poll::Ready(Err(Broken));
        }
        Poll::Pending
    }

    async fn shut_down(&mut self) {
        // It may have gone already.
        let _ = poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await;
    }
}
