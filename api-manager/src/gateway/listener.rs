//! Accepts connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use log::{debug, warn};
use openssl::ssl::{Ssl, SslAcceptor, SslVerifyMode};
use shared_claims::secret::Digest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::connection::Pulse;
use super::cores::Cores;
use super::drive::drive;
use super::warden::Warden;
use super::{Gateway, GatewayError};

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
    let wardens: Vec<Arc<Warden>> =
        cores.each().map(|core| Warden::start(core, gateway.patience, phase.subscribe())).collect();
    for (socket, address, tls) in sockets {
        for (core, warden) in cores.each().zip(&wardens) {
            let _entered = core.enter();
            // All threads accept from one socket, so that whoever has time does.
            let socket = socket.try_clone().and_then(TcpListener::from_std);
            let socket = socket.map_err(|source| GatewayError::Listen { address, source })?;
            let (phase, places) = (phase.subscribe(), Arc::clone(places));
            let listener = Listener { socket, tls: tls.clone(), places, warden: Arc::clone(warden), phase };
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
    /// Looks after the thread's connections.
    warden: Arc<Warden>,
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
        let (phase, warden) = (self.phase.clone(), Arc::clone(&self.warden));
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
                    warden.watch(&pulse);
                    drive(gateway, stream, pulse, phase).await;
                }
                Some(acceptor) => {
                    let limit = gateway.patience.handshake;
                    // Not as part of what is matched: the table would be held for as long as the connection lives.
                    let asks = gateway.table.load().asks_for_certificates();
                    match timeout(limit, handshake(&acceptor, stream, asks)).await {
                        Ok(Ok(stream)) => {
                            let pulse = Pulse::new(peer, local, "https", certificate_of(&stream));
                            warden.watch(&pulse);
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

/// The client was gone before we got to it: no fault of the listener's.
fn is_of_one_connection(why: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(why.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
