//! Drives one client's connection until it ends, or [`Warden`](super::warden::Warden) says that it has to.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use log::debug;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::Gateway;
use super::connection::{Patience, Pulse, Socket, Verdict};
use super::inbound::{Ending, Inbox};
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
    let mut inbox = Inbox::new(stream, Arc::clone(&pulse));
    let ending = {
        let mut run = pin!(inbox.run(|request| {
            // A tunnel begins with an upgrade, which hyper has to see.
            serve(Arc::clone(&gateway), Arc::clone(&pulse), Arc::default(), request)
        }));
        loop {
            match until_told(&pulse, run.as_mut()).await {
                Step::Ended(ending) => break ending,
                // It sees that for itself.
                Step::Retire => {}
                Step::Cut => return,
            }
        }
    };
    match ending {
        Ending::Over => {}
        Ending::HandOver => Box::pin(go_on(gateway, inbox.into_socket(), pulse, phase)).await,
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
            async move { Ok::<_, Infallible>(serve(gateway, pulse, berth, request.map(From::from)).await) }
        })
    };
    let builder = protocols(&patience);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(socket), service));
    if pulse.retires() {
        connection.as_mut().graceful_shutdown();
    }
    loop {
        match until_told(&pulse, connection.as_mut()).await {
            Step::Ended(ended) => {
                if let Err(why) = ended {
                    debug!("a connection ended: {why}");
                }
                break;
            }
            Step::Retire => connection.as_mut().graceful_shutdown(),
            Step::Cut => return,
        }
    }
    // Here, and not in a task of its own: the connection keeps its place for as long as it is one.
    if let Some(tunnel) = berth.take() {
        tunnel.run(&patience, phase).await;
    }
}

/// What is to be done with whatever drives a connection.
enum Step<T> {
    /// It has ended.
    Ended(T),
    /// It may finish what it is with.
    Retire,
    /// It is cut.
    Cut,
}

/// Drives until it ends or there is something to be done with it.
async fn until_told<F: Future>(pulse: &Pulse, mut driven: Pin<&mut F>) -> Step<F::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(ended) = driven.as_mut().poll(cx) {
            return Poll::Ready(Step::Ended(ended));
        }
        pulse.poll_told(cx).map(|verdict| match verdict {
            Verdict::Keep | Verdict::Retire => Step::Retire,
            Verdict::Cut => Step::Cut,
        })
    })
    .await
}

fn protocols(patience: &Patience) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams { limit: patience.write });
    // Its own time-out for heads would also be one for idle connections; `Pulse` tells them apart.
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
