//! Accepts connections and drives each one until it ends, runs out of time, or the gateway stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use log::{debug, warn};
use openssl::ssl::{Ssl, SslAcceptor, SslVerifyMode};
use shared_claims::secret::Digest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_openssl::SslStream;

use super::beside::{Beside, Event};
use super::connection::{Patience, Pulse, Socket, Verdict};
use super::cores::Cores;
use super::service::serve;
use super::streams::Streams;
use super::tunnel::Berth;
use super::{Gateway, GatewayError};

/// Bounds of what one client may send. hyper bounds the number of headers of HTTP/1 at 100.
const LARGEST_HEAD: usize = 64 * 1_024;
const MOST_STREAMS: u32 = 128;
/// Streams of a client that it may have reset before they were looked at, and that we may have reset for their faults.
const MOST_RESETS: usize = 20;
const MOST_FAULTS: usize = 200;
/// What may wait in one stream for its client's window, in bytes.
const LARGEST_BUFFER: usize = 128 * 1_024;
const PING_EVERY: Duration = Duration::from_secs(30);

/// Whether connections are accepted, finished or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Accepted.
    Serving,
    /// No longer accepted; those there are may finish their requests.
    Draining,
    /// All cut.
    Cutting,
}

/// What accepts connections, and where.
pub struct Opened {
    /// Where it answers with TLS.
    pub address: SocketAddr,
    /// Where it answers without.
    pub http_address: Option<SocketAddr>,
    /// They end when the phase changes, and their sockets close with them.
    pub listeners: Vec<JoinHandle<()>>,
}

/// Listens where the settings say.
///
/// # Errors
/// An address cannot be listened on.
pub async fn open(
    gateway: &Arc<Gateway>,
    cores: &Cores,
    acceptor: SslAcceptor,
    phase: &watch::Sender<Phase>,
    places: &Arc<Semaphore>,
) -> Result<Opened, GatewayError> {
    let settings = &gateway.app.settings;
    let (secure, address) = bind(settings.gateway_listen).await?;
    let mut sockets = vec![(secure, address, Some(acceptor))];
    let mut http_address = None;
    if let Some(plain) = settings.gateway_http_listen {
        let (plain, address) = bind(plain).await?;
        http_address = Some(address);
        sockets.push((plain, address, None));
    }
    let mut listeners = Vec::new();
    for (socket, address, tls) in sockets {
        for core in cores.each() {
            let _entered = core.enter();
            // All threads accept from one socket, so that whoever has time does.
            let socket = socket.try_clone().and_then(TcpListener::from_std);
            let socket = socket.map_err(|source| GatewayError::Listen { address, source })?;
            let (phase, places) = (phase.subscribe(), Arc::clone(places));
            let listener = Listener { socket, tls: tls.clone(), places, phase };
            listeners.push(core.spawn(listener.run(Arc::clone(gateway))));
        }
    }
    Ok(Opened { address, http_address, listeners })
}

async fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), GatewayError> {
    let failed = |source| GatewayError::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket.into_std().map_err(failed)?, bound))
}

/// One listener of one thread.
struct Listener {
    socket: TcpListener,
    /// What makes TLS of a connection, unless it is plain.
    tls: Option<SslAcceptor>,
    /// A permit for each connection, over all listeners.
    places: Arc<Semaphore>,
    /// When to stop.
    phase: watch::Receiver<Phase>,
}

impl Listener {
    /// Accepts connections until the phase changes.
    async fn run(mut self, gateway: Arc<Gateway>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = self.phase.changed() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(why) if is_of_one_connection(&why) => continue,
                Err(why) => {
                    // Out of descriptors, most likely: they come back when connections end.
                    warn!(cause = why.to_string().as_str(); "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // Where the house is full, this one waits with us and the others in the system's queue.
            tokio::select! {
                place = Arc::clone(&self.places).acquire_owned() => match place {
                    Ok(place) => self.spawn(Arc::clone(&gateway), stream, peer, place),
                    Err(_) => return,
                },
                _ = self.phase.changed() => return,
            }
        }
    }

    fn spawn(&self, gateway: Arc<Gateway>, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let phase = self.phase.clone();
        let tls = self.tls.clone();
        tokio::spawn(async move {
            let _place = place;
            let Ok(local) = stream.local_addr() else { return };
            // An answer is written when it is complete: waiting for more of it only delays it.
            if stream.set_nodelay(true).is_err() {
                return;
            }
            match tls {
                None => {
                    let pulse = Pulse::new(peer, local, "http", None);
                    drive(gateway, stream, pulse, phase).await;
                }
                Some(acceptor) => {
                    let limit = gateway.patience.handshake;
                    match timeout(
                        limit,
                        handshake(&acceptor, stream, gateway.table.load().asks_for_certificates()),
                    )
                    .await
                    {
                        Ok(Ok(stream)) => {
                            let pulse = Pulse::new(peer, local, "https", certificate_of(&stream));
                            drive(gateway, stream, pulse, phase).await;
                        }
                        Ok(Err(why)) => debug!("a TLS handshake failed: {why}"),
                        Err(_) => debug!("a TLS handshake took too long"),
                    }
                }
            }
        });
    }
}

/// Where an API takes client certificates, one is asked for and never insisted on. Whoever signed it, it is let in: what
/// counts is whether it is registered, and the handshake itself proves that the client holds its key.
async fn handshake(
    acceptor: &SslAcceptor,
    stream: TcpStream,
    asks_for_certificate: bool,
) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
    let mut ssl = Ssl::new(acceptor.context())?;
    if asks_for_certificate {
        ssl.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    }
    let mut stream = SslStream::new(ssl, stream)?;
    Pin::new(&mut stream).accept().await?;
    Ok(stream)
}

fn certificate_of(stream: &SslStream<TcpStream>) -> Option<Digest> {
    let der = stream.ssl().peer_certificate()?.to_der().ok()?;
    Some(Digest::of(&der))
}

async fn drive<S>(gateway: Arc<Gateway>, stream: S, pulse: Arc<Pulse>, phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = gateway.patience;
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&pulse)));
    let berth = Arc::new(Berth::default());
    let service = {
        let (pulse, berth) = (Arc::clone(&pulse), Arc::clone(&berth));
        service_fn(move |request| {
            let (gateway, pulse, berth) = (Arc::clone(&gateway), Arc::clone(&pulse), Arc::clone(&berth));
            async move { Ok::<_, Infallible>(serve(gateway, pulse, berth, request).await) }
        })
    };
    let builder = protocols(&patience);
    let mut retired: Option<Instant> = None;
    let mut connection = pin!(builder.serve_connection_with_upgrades(socket, service));
    // Asked only when one of them has something to say, and not whenever the connection moves.
    let mut beside = FuturesUnordered::from_iter([Beside::new(patience.look, &pulse, phase.clone()).next()]);
    loop {
        let (next, event) = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(why) = ended {
                    debug!("a connection ended: {why}");
                }
                break;
            }
            Some(happened) = beside.next() => happened,
        };
        match event {
            Event::Look => match pulse.verdict(&patience) {
                Verdict::Keep => {}
                // What it has still to take of its answers may stay untaken.
                Verdict::Retire if retired.is_some_and(|at| at.elapsed() > patience.write) => return,
                Verdict::Retire => {
                    retired.get_or_insert_with(Instant::now);
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Cut => return,
            },
            Event::Overrun => {
                warn!(peer = pulse.peer.to_string().as_str(); "a client gives up its requests and is cut");
                return;
            }
            Event::Ends(Phase::Cutting) => return,
            Event::Ends(_) => connection.as_mut().graceful_shutdown(),
        }
        beside.push(next.next());
    }
    // Here, and not in a task of its own: the connection keeps its place for as long as it is one.
    if let Some(tunnel) = berth.take() {
        tunnel.run(&patience, phase).await;
    }
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

/// The client was gone before we got to it: no fault of the listener's.
fn is_of_one_connection(why: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(why.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
