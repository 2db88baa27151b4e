//! Two connections joined after a 101: bytes pass as they are, both ways, until a side ends it or we do.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use log::debug;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::connection::{Patience, Pulse, Verdict};
use super::frames::{self, Frames};
use super::listener::Phase;
use super::live::{TICK, Watch};
use super::refusal::Refusal;
use super::usage::Ledger;

/// What passes at once in one direction.
const PIECE: usize = 16 * 1_024;
/// How long the two connections may take to be handed over.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long one direction goes on after the other has ended.
const GRACE: Duration = Duration::from_secs(5);
/// How long we wait for the end of a frame, to say goodbye after it.
const GOODBYE: Duration = Duration::from_millis(500);
/// The server goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;
const POLICY_VIOLATION: u16 = 1008;
/// Registered with IANA after the RFC.
const TRY_AGAIN_LATER: u16 = 1013;

/// The two ends of a tunnel; travels with the 101 until its ledger is open.
#[derive(Clone)]
pub struct Ends {
    /// The client's connection, once the 101 is out.
    pub client: OnUpgrade,
    /// The backend's.
    pub backend: OnUpgrade,
    /// How long neither side may say anything.
    pub idle: Duration,
}

/// Where a request leaves the tunnel that its connection becomes.
#[derive(Default)]
pub struct Berth(Mutex<Option<Tunnel>>);

impl Berth {
    /// Leaves a tunnel.
    pub fn leave(&self, tunnel: Tunnel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    /// Takes it.
    #[must_use]
    pub fn take(&self) -> Option<Tunnel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A tunnel that is about to open. It stays in the books, and its connection keeps its place, until it ends.
pub struct Tunnel {
    ends: Ends,
    pulse: Arc<Pulse>,
    ledger: Ledger,
    watch: Option<Watch>,
}

/// Why we end a tunnel.
struct Farewell {
    code: u16,
    reason: &'static str,
}

type Reader = ReadHalf<TokioIo<Upgraded>>;
type Writer = WriteHalf<TokioIo<Upgraded>>;

impl Farewell {
    /// No more than a refused request would hear; the log has the cause.
    fn of(refusal: &Refusal) -> Self {
        let (code, reason) = match refusal {
            Refusal::CannotLookUp => (TRY_AGAIN_LATER, "the token cannot be checked now"),
            Refusal::NotFound | Refusal::ApiBlocked => (POLICY_VIOLATION, "the API is out of service"),
            Refusal::SubscriptionBlocked => (POLICY_VIOLATION, "the subscription is blocked"),
            Refusal::NotSubscribed => (POLICY_VIOLATION, "the subscription is gone"),
            Refusal::RevokedToken
            | Refusal::ExpiredToken
            | Refusal::UnknownToken
            | Refusal::ProviderDisabled => (POLICY_VIOLATION, "the token is invalid, expired or revoked"),
            _ => (POLICY_VIOLATION, "access was withdrawn"),
        };
        Self { code, reason }
    }
}

impl Tunnel {
    /// A tunnel between `ends`, counted in `ledger`, for as long as `watch` lets it be.
    #[must_use]
    pub fn new(ends: Ends, pulse: Arc<Pulse>, ledger: Ledger, watch: Option<Watch>) -> Self {
        Self { ends, pulse, ledger, watch }
    }

    /// Joins the two connections until the end.
    pub async fn run(mut self, patience: &Patience, phase: watch::Receiver<Phase>) {
        let Ends { client, backend, idle } = self.ends.clone();
        let both = async { tokio::try_join!(client, backend) };
        let (client, backend) = match timeout(HANDOVER, both).await {
            Ok(Ok(both)) => both,
            Ok(Err(why)) => return debug!("a tunnel did not open: {why}"),
            Err(_) => return debug!("a tunnel did not open in time"),
        };
        let (client_says, to_client) = split(TokioIo::new(client));
        let (backend_says, to_backend) = split(TokioIo::new(backend));
        let moved = AtomicBool::new(true);
        let mut up = Lane::new(client_says, to_backend);
        let mut down = Lane::new(backend_says, to_client);

        let farewell = tokio::select! {
            () = join(&mut up, &mut down, &moved) => None,
            farewell = self.watch(patience, phase, idle, &moved) => farewell,
        };
        self.ledger.passed(up.passed, down.passed);
        drop(up);
        let Some(Farewell { code, reason }) = farewell else { return };
        // What the client has sent meanwhile stays unread, and must not cost it the reason.
        self.pulse.leaves_unread();
        match timeout(GOODBYE, down.say_goodbye(code, reason)).await {
            Ok(Ok(())) => {
                let _ = down.to.shutdown().await;
            }
            Ok(Err(_)) | Err(_) => debug!("a tunnel was cut within a frame"),
        }
    }

    /// Waits for a reason to end the tunnel; `None` where it is to be cut.
    async fn watch(
        &self,
        patience: &Patience,
        mut phase: watch::Receiver<Phase>,
        idle: Duration,
        moved: &AtomicBool,
    ) -> Option<Farewell> {
        let mut looks = interval(TICK.min(patience.look));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    if self.pulse.verdict(patience) == Verdict::Cut {
                        return None;
                    }
                    if let Some(watch) = &self.watch
                        && let Err(refusal) = watch.check().await
                    {
                        self.ledger.withdrawn(refusal.reason());
                        return Some(Farewell::of(&refusal));
                    }
                    if moved.swap(false, Ordering::Relaxed) {
                        last = Instant::now();
                    } else if last.elapsed() > idle {
                        return Some(Farewell { code: GOING_AWAY, reason: "idle for too long" });
                    }
                }
                cut = stops(&mut phase) => {
                    return (!cut).then_some(Farewell { code: GOING_AWAY, reason: "the gateway stops" });
                }
            }
        }
    }
}

/// Waits for the gateway to stop; whether everything is to be cut.
async fn stops(phase: &mut watch::Receiver<Phase>) -> bool {
    let stopping = phase.wait_for(|phase| *phase != Phase::Serving).await;
    stopping.map_or(true, |phase| *phase == Phase::Cutting)
}

/// Runs both directions until both have ended. A WebSocket needs both: where one ends, the other gets time to say what
/// it has to say, no more.
async fn join(up: &mut Lane, down: &mut Lane, moved: &AtomicBool) {
    let mut up = pin!(up.run(moved));
    let mut down = pin!(down.run(moved));
    let ended = tokio::select! {
        ended = up.as_mut() => { let _ = timeout(GRACE, down).await; ended }
        ended = down.as_mut() => { let _ = timeout(GRACE, up).await; ended }
    };
    if let Err(why) = ended {
        debug!("a tunnel broke: {why}");
    }
}

/// One direction.
struct Lane {
    from: Reader,
    to: Writer,
    piece: Box<[u8]>,
    /// What of the piece is not written yet.
    start: usize,
    end: usize,
    /// Bytes that were written.
    passed: u64,
    /// Follows what was written.
    frames: Frames,
}

impl Lane {
    fn new(from: Reader, to: Writer) -> Self {
        Self {
            from,
            to,
            piece: vec![0; PIECE].into(),
            start: 0,
            end: 0,
            passed: 0,
            frames: Frames::default(),
        }
    }

    async fn run(&mut self, moved: &AtomicBool) -> io::Result<()> {
        while self.step(usize::MAX).await? {
            moved.store(true, Ordering::Relaxed);
        }
        self.to.shutdown().await
    }

    /// Reads a piece or writes some of it, at most `most`; false at the end. May be dropped at any time: nothing is
    /// lost and nothing passes twice.
    async fn step(&mut self, most: usize) -> io::Result<bool> {
        if self.waiting().is_empty() {
            self.start = 0;
            self.end = 0;
            self.end = self.from.read(&mut self.piece).await?;
            return Ok(self.end > 0);
        }
        let last = self.end.min(self.start.saturating_add(most));
        let written = self.to.write(self.piece.get(self.start..last).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let passed = self.piece.get(self.start..self.start + written).unwrap_or_default();
        self.frames.pass(passed);
        self.start += written;
        self.passed = self.passed.saturating_add(u64::try_from(written).unwrap_or(0));
        if self.start == self.end {
            self.to.flush().await?;
        }
        Ok(true)
    }

    fn waiting(&self) -> &[u8] {
        self.piece.get(self.start..self.end).unwrap_or_default()
    }

    /// Lets the frame that has begun pass to its end, and ends the WebSocket after it. Control frames may stand between
    /// the frames of one message (RFC 6455, section 5.4).
    async fn say_goodbye(&mut self, code: u16, reason: &str) -> io::Result<()> {
        while !self.frames.is_between() {
            let rest = self.frames.rest_of_frame(self.waiting());
            if !self.step(rest).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if !self.frames.is_closed() {
            self.to.write_all(&frames::close(code, reason)).await?;
        }
        self.to.flush().await
    }
}
