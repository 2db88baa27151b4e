//! HTTP/1.1 to backends on the task that asks: no task for the connection, no channel to it. A request is written, its
//! answer's head read and its body passed on by whoever polls them.
//!
//! It carries requests without a body or with one of known length, which is nearly all of them. Uploads in chunks,
//! WebSockets and HTTP/2 go by hyper's client: they need somebody who moves both directions at once.

mod body;
mod chunked;
mod head;
mod idle;
#[cfg(test)]
mod tests;
mod wire;

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

use http::uri::{Authority, Scheme};
use http::{Response, Uri};
use hyper::body::Body;
use shared_server::outbound::{ConnectError, Connector};
use tower_service::Service as _;

use super::bodies::BoxError;
use super::first_byte::{Awaited, Timer};
use super::spare::Buffer;
use super::uploads::Upload;
pub use body::Received;
pub use head::{Malformed, Writer};
use idle::Idle;
pub use wire::body_length;
use wire::{Sent, Wire};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What was to be sent broke off.
    #[error("the request's body broke off: {0}")]
    Upload(#[source] BoxError),
    /// The connection ended before the head of an answer was complete.
    #[error("the connection ended before an answer came{}", why(.0))]
    Unanswered(#[source] Option<io::Error>),
    /// What came is no answer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its head did not come in time.
    #[error("the backend did not answer in time")]
    Late,
}

fn why(cause: &Option<io::Error>) -> String {
    cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"))
}

/// The head of a request as it is sent.
pub struct Written<'u> {
    /// Where it goes: scheme, host and port count.
    pub to: &'u Uri,
    /// Request line and headers; [`body_length`] is said in them.
    pub text: Buffer,
    /// Whether it is a HEAD, whose answer has no body.
    pub is_head: bool,
}

/// What sends requests from one thread, over connections that it keeps.
#[derive(Clone)]
pub struct Http1 {
    connector: Connector,
    idle: Arc<Idle>,
}

/// A connection that a request can go by; its making is what the connect time-out bounds.
pub struct Ready {
    connection: Box<Connection>,
    /// Whether it was used before: then the other side may have closed it in the meantime.
    is_used: bool,
}

/// A connection, with where it is kept while nobody uses it.
struct Connection {
    wire: Wire,
    idle: Weak<Idle>,
    authority: Authority,
    is_secure: bool,
    /// For the heads of its answers.
    timer: Timer,
}

impl Connection {
    fn keep(self: Box<Self>) {
        if let Some(idle) = self.idle.upgrade() {
            idle.put(self);
        }
    }
}

impl Http1 {
    /// No connections yet.
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        Self { connector, idle: Arc::new(Idle::default()) }
    }

    /// Whether a request can go this way.
    #[must_use]
    pub fn carries(upload: &Upload) -> bool {
        upload.is_end_stream() || upload.size_hint().exact().is_some()
    }

    /// A connection to where `uri` points: one that is kept, or a new one.
    ///
    /// # Errors
    /// There is none to be had.
    pub async fn connect(&self, uri: &Uri) -> Result<Ready, ConnectError> {
        let authority = uri.authority().ok_or(ConnectError::BadUri)?;
        let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
        if let Some(connection) =
            poll_fn(|cx| Poll::Ready(self.idle.take(is_secure, authority.as_str(), cx))).await
        {
            return Ok(Ready { connection, is_used: true });
        }
        let wire = Wire::new(self.connector.clone().call(uri.clone()).await?);
        let (idle, authority) = (Arc::downgrade(&self.idle), authority.clone());
        let connection = Box::new(Connection { wire, idle, authority, is_secure, timer: Timer::default() });
        Ok(Ready { connection, is_used: false })
    }

    /// Sends a request by `ready`; its answer is there when its head is, for which `head` waits. Returned with it: whether the
    /// head says where the body ends.
    ///
    /// # Errors
    /// None comes.
    pub async fn send(
        &self,
        mut ready: Ready,
        written: Written<'_>,
        upload: Upload,
        mut head: Awaited<'_>,
    ) -> Result<(Response<Received>, bool), SendError> {
        let Written { to, text, is_head } = written;
        ready.connection.wire.begin(text, upload);
        loop {
            let Ready { mut connection, is_used } = ready;
            let Connection { wire, timer, .. } = &mut *connection;
            let answered = poll_fn(|cx| match wire.poll_answer(cx, is_head) {
                Poll::Pending => head.poll_late(timer, cx).map(|()| Err(SendError::Late)),
                answered => answered,
            });
            match answered.await {
                Ok((response, framing)) => {
                    let response = response.map(|()| Received::new(connection, framing));
                    return Ok((response, framing.is_said));
                }
                // The other side had closed it before a byte of this was taken: nobody has seen the request.
                Err(SendError::Unanswered(_)) if is_used && wire.sent() == Sent::Nothing => {
                    let sending = wire.take_back();
                    ready = self.connect(to).await?;
                    ready.connection.wire.resume(sending);
                }
                Err(why) => return Err(why),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
