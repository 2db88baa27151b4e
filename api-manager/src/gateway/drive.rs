//! Drives one client's connection until it ends, or [`Warden`](super::warden::Warden) says that it has to.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use log::debug;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::Gateway;
use super::connection::{Patience, Pulse, Socket, Verdict};
use super::inbound::{Coming, Ending, Inbound, Inbox};
use super::listener::Phase;
use super::service::serve;
use super::streams::Streams;
use super::tunnel::Berth;

/// Bounds of what one client may send. hyper bounds the number of headers of HTTP/1 at 100.
const LARGEST_HEAD: usize = 64 * 1_024;
const MOST_STREAMS: u32 = 128;
/// Streams of a client that it may have reset before they were looked at, and that we may have reset for their faults.
const MOST_RESETS: usize = 20;
const MOST_FAULTS: usize = 200;
/// What may wait in one stream for its client's window, in bytes.
const LARGEST_BUFFER: usize = 128 * 1_024;
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves what comes over `stream`: as [`Inbox`] does for as long as it can, by hyper from then on.
pub async fn drive<S>(gateway: Arc<Gateway>, stream: S, pulse: Arc<Pulse>, phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut inbox = Inbox::new(stream, Arc::clone(&pulse)).telling({
        let gateway = Arc::clone(&gateway);
        move |coming| fetch(&gateway, coming)
    });
    let ending = {
        // A tunnel begins with an upgrade, which hyper has to see: nothing is ever left here.
        let berth = Arc::<Berth>::default();
        // In a place of its own, which those that hyper goes on with give back.
        let mut run = Box::pin(
            inbox.run(|request| serve(Arc::clone(&gateway), Arc::clone(&pulse), Arc::clone(&berth), request)),
        );
        loop {
            match until_told(&pulse, run.as_mut()).await {
                Step::Ended(ending) => break ending,
                Step::Told(Verdict::Cut) => return,
                // It sees that for itself.
                Step::Told(_) => {}
            }
        }
    };
    match ending {
        Ending::Over => {}
        Ending::HandOver => Box::pin(go_on(gateway, inbox.into_socket(), pulse, phase)).await,
    }
}

/// Has fetched where a request will be looked up, and then what is found there: by the time that it is decided both are at hand.
fn fetch(gateway: &Gateway, coming: Coming<'_>) {
    let table = gateway.table.load();
    match coming {
        Coming::Target(target) => table.fetch_place(target),
        Coming::Request(path) => table.fetch_route(path),
    }
}

/// Serves by hyper.
async fn go_on<S>(gateway: Arc<Gateway>, socket: Socket<S>, pulse: Arc<Pulse>, phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = gateway.patience;
    let berth = Arc::new(Berth::default());
    let service = {
        let (pulse, berth) = (Arc::clone(&pulse), Arc::clone(&berth));
        service_fn(move |request: hyper::Request<_>| {
            let (gateway, pulse, berth) = (Arc::clone(&gateway), Arc::clone(&pulse), Arc::clone(&berth));
            async move { Ok::<_, Infallible>(serve(gateway, pulse, berth, request.map(Inbound::Right)).await) }
        })
    };
    if pulse.retires() {
        // Heard once hyper has seen what was read: told to stop before that, it would throw it away unanswered.
        pulse.tell(Verdict::Retire);
    }
    let io = TokioIo::new(socket);
    // HTTP/2 begins with a connection or not at all (RFC 9113, section 3.4).
    let is_over = if pulse.has_served() {
        let connection = http1().serve_connection(io, service).with_upgrades();
        until_over(&pulse, connection, |connection| connection.graceful_shutdown()).await
    } else {
        let builder = protocols(&patience);
        let connection = builder.serve_connection_with_upgrades(io, service);
        until_over(&pulse, connection, |connection| connection.graceful_shutdown()).await
    };
    if !is_over {
        return;
    }
    // Here, and not in a task of its own: the connection keeps its place for as long as it is one.
    if let Some(tunnel) = berth.take() {
        tunnel.run(&patience, phase).await;
    }
}

/// How far whatever drives a connection came.
enum Step<T> {
    /// To its end.
    Ended(T),
    /// Until there was something to be done with it.
    Told(Verdict),
}

/// Drives until it ends or there is something to be done with it.
async fn until_told<F: Future>(pulse: &Pulse, mut driven: Pin<&mut F>) -> Step<F::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(ended) = driven.as_mut().poll(cx) {
            return Poll::Ready(Step::Ended(ended));
        }
        pulse.poll_told(cx).map(Step::Told)
    })
    .await
}

/// Drives what hyper serves until it ends; false where it is cut before.
async fn until_over<C, E>(pulse: &Pulse, connection: C, retire: impl Fn(Pin<&mut C>)) -> bool
where
    C: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut connection = pin!(connection);
    loop {
        match until_told(pulse, connection.as_mut()).await {
            Step::Ended(ended) => {
                if let Err(why) = ended {
                    debug!("a connection ended: {why}");
                }
                return true;
            }
            Step::Told(Verdict::Cut) => return false,
            Step::Told(_) => retire(connection.as_mut()),
        }
    }
}

/// HTTP/1. hyper's own time-out for heads would also be one for idle connections; `Pulse` tells them apart.
fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(LARGEST_HEAD);
    builder
}

/// Both versions, told apart by how the client begins.
fn protocols(patience: &Patience) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams { limit: patience.write });
    // As [`http1`].
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_FAULTS)
        .max_send_buf_size(LARGEST_BUFFER)
        .max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    builder
}
