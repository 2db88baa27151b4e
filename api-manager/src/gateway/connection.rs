//! One client's connection: what it is doing, how long it may take over it, and how it is closed.

mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use log::warn;
use shared_claims::secret::Digest;
use tokio::time::Instant;

use super::onward::Arrival;
pub use socket::Socket;

/// How long a client may take over things.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request's head to its last; also from the connection to the end of the first head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For taking a piece of an answer.
    pub write: Duration,
    /// Between two pieces of a body.
    pub upload: Duration,
    /// How often these are looked at.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(60),
            upload: Duration::from_secs(60),
            look: Duration::from_secs(2),
        }
    }
}

/// What a connection is doing. The socket and the requests note it; whoever drives the connection looks at it.
pub struct Pulse {
    /// The address of the other end.
    pub peer: IpAddr,
    /// What backends hear of it.
    pub arrival: Arrival,
    /// SHA-256 of the certificate whose key the client has proved to hold.
    pub certificate: Option<Digest>,
    started: Instant,
    in_flight: AtomicUsize,
    /// Milliseconds after `started`, plus one; 0 for not at all.
    idle_since: AtomicU64,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    multiplexed: AtomicBool,
    begun: AtomicUsize,
    /// Requests that the client gave up before it was answered.
    abandoned: AtomicUsize,
    /// Wakes whoever drives the connection.
    driver: AtomicWaker,
    /// What that one has not heard yet; a [`Verdict`].
    news: AtomicU8,
    /// As `idle_since`: when it was first said that the connection is to end.
    retired_at: AtomicU64,
    /// The rest of a request's body is still on its way to us when we close.
    unread: AtomicBool,
}

/// A client may give up so many requests before it matters how many it waits for.
const MOST_ABANDONED: usize = 100;

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Nothing.
    Keep = 0,
    /// It may finish what it does and is then closed.
    Retire = 1,
    /// It is cut.
    Cut = 2,
}

impl Pulse {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(
        peer: SocketAddr,
        local: SocketAddr,
        scheme: &'static str,
        certificate: Option<Digest>,
    ) -> Arc<Self> {
        Arc::new(Self {
            peer: peer.ip(),
            arrival: Arrival::new(peer.ip(), scheme, local.port()),
            certificate,
            started: Instant::now(),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(1),
            blocked_since: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            driver: AtomicWaker::new(),
            news: AtomicU8::new(Verdict::Keep as u8),
            retired_at: AtomicU64::new(0),
            unread: AtomicBool::new(false),
        })
    }

    /// A request's head is complete; `multiplexed` says whether others may be on the way beside it.
    pub fn begin(self: &Arc<Self>, multiplexed: bool) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.head_since.store(0, Ordering::Relaxed);
        self.multiplexed.store(multiplexed, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        InFlight { pulse: Arc::clone(self), answered: false, ended: None }
    }

    /// Whether a request has come over it.
    #[must_use]
    pub fn has_served(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > 0
    }

    /// A client that gives up most of what it asks for is cut: each request costs it a few bytes, and us a call to a backend
    /// (CVE-2023-44487).
    fn gives_up(&self) {
        let abandoned = self.abandoned.fetch_add(1, Ordering::Relaxed) + 1;
        if abandoned >= MOST_ABANDONED && abandoned * 2 > self.begun.load(Ordering::Relaxed) {
            // Once: what it has under way is given up with it.
            if self.tell(Verdict::Cut) {
                warn!(peer = self.peer.to_string().as_str(); "a client gives up its requests and is cut");
            }
        }
    }

    /// Tells whoever drives the connection what is to be done with it; whether that is news.
    pub fn tell(&self, verdict: Verdict) -> bool {
        if verdict == Verdict::Keep {
            return false;
        }
        if self.retired_at.load(Ordering::Relaxed) == 0 {
            self.retired_at.store(self.now(), Ordering::Relaxed);
        }
        let before = self.news.fetch_max(verdict as u8, Ordering::Release);
        self.driver.wake();
        before < verdict as u8
    }

    /// Whether the connection is to end with the request that it is with.
    #[must_use]
    pub fn retires(&self) -> bool {
        self.retired_at.load(Ordering::Relaxed) != 0
    }

    /// What is to be done with the connection, once that is something: to retire is heard once, to be cut for good.
    pub fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Verdict> {
        const KEEP: u8 = Verdict::Keep as u8;
        const RETIRE: u8 = Verdict::Retire as u8;
        self.driver.register(cx.waker());
        // Nearly always nothing: a look costs less than an exchange.
        if self.news.load(Ordering::Acquire) == KEEP {
            return Poll::Pending;
        }
        match self.news.compare_exchange(RETIRE, KEEP, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => Poll::Ready(Verdict::Retire),
            Err(KEEP) => Poll::Pending,
            Err(_) => Poll::Ready(Verdict::Cut),
        }
    }

    /// The request is answered before its body was read, so the connection is closed after the answer.
    pub fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether the client has used up its time.
    #[must_use]
    pub fn verdict(&self, patience: &Patience) -> Verdict {
        let now = self.now();
        let longer = |since: &AtomicU64, limit: Duration| match since.load(Ordering::Relaxed) {
            0 => false,
            since => Duration::from_millis(now.saturating_sub(since)) > limit,
        };
        if longer(&self.blocked_since, patience.write) {
            return Verdict::Cut;
        }
        if self.in_flight.load(Ordering::SeqCst) > 0 {
            return Verdict::Keep;
        }
        if longer(&self.head_since, patience.head) {
            return Verdict::Cut;
        }
        if !longer(&self.idle_since, patience.idle) {
            return Verdict::Keep;
        }
        // What it has still to take of its answers may stay untaken.
        if longer(&self.retired_at, patience.write) { Verdict::Cut } else { Verdict::Retire }
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Some of what may be a head has come.
    pub fn read_some(&self) {
        // With HTTP/2, bytes between requests are no head; there the idle limit alone holds.
        let idle = self.in_flight.load(Ordering::SeqCst) == 0 && !self.multiplexed.load(Ordering::Relaxed);
        if idle && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }
}

/// A request that is being served; dropped when its answer is out.
pub struct InFlight {
    pulse: Arc<Pulse>,
    answered: bool,
    /// When it ended, where somebody has looked.
    ended: Option<Instant>,
}

impl InFlight {
    /// The head of its answer is there.
    pub fn is_answered(&mut self) {
        self.answered = true;
    }

    /// It ends now: whoever has the time says it.
    pub fn ends(&mut self, now: Instant) {
        self.ended = Some(now);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.answered {
            self.pulse.gives_up();
        }
        let ended = self.ended.unwrap_or_else(Instant::now);
        self.pulse.idle_since.store(self.pulse.at(ended), Ordering::Relaxed);
        self.pulse.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn to_retire_is_heard_once_and_to_be_cut_is_news_once_and_stays() {
        let address = "127.0.0.1:1".parse().unwrap();
        let pulse = Pulse::new(address, address, "http", None);
        let hears = || pulse.poll_told(&mut Context::from_waker(Waker::noop()));
        assert!(hears().is_pending() && !pulse.tell(Verdict::Keep) && hears().is_pending());
        assert!(pulse.tell(Verdict::Retire) && !pulse.tell(Verdict::Retire));
        assert_eq!((hears(), hears()), (Poll::Ready(Verdict::Retire), Poll::Pending));
        assert!(pulse.tell(Verdict::Cut) && !pulse.tell(Verdict::Cut) && !pulse.tell(Verdict::Retire));
        assert_eq!((hears(), hears()), (Poll::Ready(Verdict::Cut), Poll::Ready(Verdict::Cut)));
        assert!(!pulse.tell(Verdict::Cut));
    }
}
