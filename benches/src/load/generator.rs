//! Our own load: any requests, latency from the moment at which a request was meant to be sent. A server that falls behind is
//! not asked less often for it, as a closed loop would.

use std::fmt;
use std::io::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Origin;
use super::lanes::{Lanes, SILENCE};
use super::message::{get, pick};
use crate::sample::Sample;
use crate::statistics::percentile;

/// How much longer than planned a load may take before what is still unsent counts as failed.
const GRACE: Duration = Duration::from_secs(10);

/// A load of any requests.
#[derive(Clone)]
pub struct Flow {
    /// Scheme, host and port.
    pub origin: String,
    /// How many connections; a request waits for one that is free.
    pub connections: usize,
    /// How fast.
    pub pace: Pace,
    /// For how long.
    pub seconds: u64,
    requests: Arc<Supply>,
}

/// The bytes of the request of a number; `None` ends the load.
type Supply = dyn Fn(u64) -> Option<Vec<u8>> + Send + Sync;

/// How fast requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The next one as soon as a connection is free (closed loop).
    FlatOut,
    /// So many a second, evenly, whether or not answers come (open loop).
    PerSecond(f64),
}

impl Pace {
    /// When the request of a number is to be sent, counted from the start; `None` where that is whenever it can.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub fn due(self, number: u64) -> Option<Duration> {
        match self {
            Self::FlatOut => None,
            Self::PerSecond(rate) => Some(Duration::from_secs_f64(number as f64 / rate)),
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({}, {} connections, {:?})", self.origin, self.connections, self.pace)
    }
}

/// A request and when it is to be sent.
struct Planned {
    due: Option<Duration>,
    request: Vec<u8>,
}

/// What came of a load; latencies in microseconds.
#[derive(Default)]
struct Seen {
    latencies: Vec<u64>,
    failures: u64,
    lasted: Duration,
    /// The 99th percentile of each turn.
    tails: Vec<u64>,
}

impl Flow {
    /// A load by 64 connections. The requests are whole HTTP/1.1 messages, made by number, as
    /// [`get`](super::get) and [`post_form`](super::post_form) make them.
    pub fn new(pace: Pace, requests: impl Fn(u64) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { origin: String::new(), connections: 64, pace, seconds: 1, requests: Arc::new(requests) }
    }

    /// `GET` requests that each take one of the tokens and one of the paths.
    #[must_use]
    pub fn any_of(pace: Pace, tokens: Vec<String>, paths: Vec<String>) -> Self {
        Self::new(pace, move |number| {
            // The paths in another order than the tokens.
            let path = pick(&paths, number.wrapping_mul(0xbf58_476d_1ce4_e5b9))?;
            Some(get(path, "localhost", pick(&tokens, number)?))
        })
    }

    /// The same load on somebody.
    #[must_use]
    pub fn on(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    /// The same load for that long.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Self {
        Self { seconds, ..self }
    }

    /// The same load by so many connections.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Opens its connections: the handshakes are not part of the load.
    ///
    /// # Panics
    /// The origin is none, or the machine has no more descriptors.
    pub async fn open(self) -> Opened {
        let open = || {
            let lanes = Lanes::open(&Origin::parse(&self.origin), self.connections);
            let lanes = lanes.expect("the machine has descriptors");
            Opened { flow: self, lanes, sent: 0, seen: Seen::default() }
        };
        tokio::task::spawn_blocking(open).await.expect("opening does not panic")
    }

    /// The request of a number in a turn that others were before, with so many requests; `None` where the turn has ended
    /// before it.
    fn planned(&self, (before, number): (u64, u64), now: Duration, lasts: Duration) -> Option<Planned> {
        let due = self.pace.due(number);
        if due.unwrap_or(now) >= lasts {
            return None;
        }
        Some(Planned { due, request: (self.requests)(before + number)? })
    }
}

/// A load whose connections are open.
pub struct Opened {
    flow: Flow,
    lanes: Lanes<Duration>,
    /// Requests of earlier turns.
    sent: u64,
    /// What came of those whose sample was not taken yet.
    seen: Seen,
}

impl Opened {
    /// Runs the load.
    ///
    /// # Panics
    /// The machine does not wait for its connections, or the requests' function panics.
    pub async fn run(self) -> Sample {
        let lasts = Duration::from_secs(self.flow.seconds);
        self.turn(lasts).await.sample()
    }

    /// Puts the load on for that long, and after its last answer says nothing until the next turn. Requests go on where they
    /// were.
    ///
    /// # Panics
    /// As [`Opened::run`].
    pub async fn turn(mut self, lasts: Duration) -> Self {
        let turn = move || {
            let before = self.seen.latencies.len();
            self.put_on(lasts).expect("the machine waits for connections");
            self.seen.note_turn(before);
            self
        };
        tokio::task::spawn_blocking(turn).await.expect("the load does not panic")
    }

    /// What came of the turns since the last sample; CPU and memory are for others to fill in.
    pub fn sample(&mut self) -> Sample {
        std::mem::take(&mut self.seen).summary()
    }

    fn put_on(&mut self, lasts: Duration) -> Result<()> {
        let Self { flow, lanes, sent, seen } = self;
        let (started, before) = (Instant::now(), *sent);
        let mut plan = (0..).map_while(|number| {
            let planned = flow.planned((before, number), started.elapsed(), lasts)?;
            *sent = before + number + 1;
            Some(planned)
        });
        // Made before it is due, so that making it is not part of its latency.
        let mut next = plan.next();
        loop {
            while lanes.has_room()
                && let Some(planned) = next.take_if(|planned| planned.due_in(started.elapsed()).is_zero())
            {
                let now = started.elapsed();
                // Of what fails here nothing is under way.
                let is_sent = now <= lasts + GRACE
                    && lanes.send(&planned.request, 1, planned.due.unwrap_or(now)).is_ok();
                next = plan.next();
                if !is_sent {
                    seen.failures += 1;
                    // The answers of others do not wait for whoever cannot be reached.
                    break;
                }
            }
            if next.is_none() && lanes.is_idle() {
                seen.lasted += started.elapsed();
                return Ok(());
            }
            let sendable = next.as_ref().filter(|_| lanes.has_room());
            let patience = sendable.map_or(SILENCE, |planned| planned.due_in(started.elapsed()));
            let came = lanes.wait(patience, |meant, answer| seen.note(started.elapsed() - meant, answer))?;
            if !came && sendable.is_none() {
                seen.failures += u64::try_from(lanes.give_up()).unwrap_or(u64::MAX);
            }
        }
    }
}

impl Planned {
    /// How long it still has to wait; not at all where it is sent as soon as it can be.
    fn due_in(&self, now: Duration) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_sub(now))
    }
}

impl Seen {
    fn note(&mut self, latency: Duration, answer: Result<usize>) {
        if answer.is_ok() {
            self.latencies.push(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
        self.failures += u64::from(!answer.is_ok_and(|fine| fine == 1));
    }

    /// Notes the tail of the turn that has ended, before which so many answers had come.
    fn note_turn(&mut self, before: usize) {
        let mut turn = self.latencies.get(before..).unwrap_or_default().to_vec();
        turn.sort_unstable();
        self.tails.push(percentile(&turn, 99.0));
    }

    fn summary(mut self) -> Sample {
        self.latencies.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^52")]
        let milliseconds = |latency: u64| latency as f64 / 1e3;
        let at = |percent: f64| milliseconds(percentile(&self.latencies, percent));
        Sample {
            requests: self.latencies.len() as u64,
            failures: self.failures,
            seconds: self.lasted.as_secs_f64(),
            p50: at(50.0),
            p99: at(99.0),
            p999: at(99.9),
            tails: self.tails.iter().copied().map(milliseconds).collect(),
            ..Sample::default()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_schedule_is_even_and_knows_nothing_of_answers() {
        let pace = Pace::PerSecond(200.0);
        assert_eq!([0, 1, 200].map(|number| pace.due(number).unwrap().as_millis()), [0, 5, 1_000]);
        assert_eq!(Pace::FlatOut.due(7), None);
    }

    /// Answers every request of every connection with this, after sleeping that long.
    pub(crate) fn server(text: &'static str, delay: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::spawn(move || answer(stream, text, delay));
            }
        });
        origin
    }

    fn answer(mut stream: TcpStream, text: &str, delay: Duration) {
        let mut buffer = [0; 4_096];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
            std::thread::sleep(delay);
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }

    pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[tokio::test]
    async fn a_rate_is_kept() {
        let flow = Flow::new(Pace::PerSecond(100.0), |_| Some(get("/", "x", "t")));
        let flow = flow.on(&server(HELLO, Duration::ZERO)).connections(4);
        // Never too fast; and not too slow, though a machine that others load may delay any one of the attempts.
        let mut lasted = Vec::new();
        while lasted.last().is_none_or(|seconds| *seconds > 1.5) {
            assert!(lasted.len() < 5, "the second lasted {lasted:?}");
            let sample = flow.clone().open().await.run().await;
            assert_eq!((sample.requests, sample.failures), (100, 0));
            assert!(sample.seconds > 0.9, "{}", sample.seconds);
            lasted.push(sample.seconds);
        }
    }

    #[tokio::test]
    async fn turns_go_on_where_they_were_and_are_one_sample_together() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let flow = Flow::new(Pace::FlatOut, {
            let asked = Arc::clone(&asked);
            move |number| {
                let mut asked = asked.lock().unwrap();
                asked.push(number);
                // The third of each turn ends it.
                (asked.len() % 3 != 0).then(|| get("/", "x", "t"))
            }
        });
        let mut opened = flow.on(&server(HELLO, Duration::ZERO)).connections(1).open().await;
        for _ in 0..2 {
            opened = opened.turn(Duration::from_secs(10)).await;
        }
        assert_eq!(*asked.lock().unwrap(), [0, 1, 2, 2, 3, 4]);
        let sample = opened.sample();
        assert_eq!((sample.requests, sample.failures), (4, 0));
        // The slowest answer of all is the slowest of one of them.
        assert_eq!(sample.tails.len(), 2);
        assert_eq!(sample.tails.iter().copied().fold(0.0, f64::max), sample.p99);
        let nothing = opened.sample();
        assert_eq!((nothing.requests, nothing.tails), (0, Vec::new()));
    }

    #[tokio::test]
    async fn waiting_for_a_slow_server_counts_from_when_a_request_was_meant_to_be_sent() {
        // One connection, 20 ms an answer, one request each 10 ms: the last one waits for half of a second.
        let flow = Flow::new(Pace::PerSecond(100.0), |number| (number < 50).then(|| get("/", "x", "t")));
        let sample =
            flow.on(&server(HELLO, Duration::from_millis(20))).connections(1).open().await.run().await;
        assert_eq!(sample.requests, 50);
        assert!(sample.p99 > 450.0 && sample.p50 > 200.0, "{sample:?}");
    }

    #[tokio::test]
    async fn refusals_and_broken_connections_are_failures() {
        let refused = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let once = |number: u64| (number < 10).then(|| get("/", "x", "t"));
        let sample = Flow::new(Pace::FlatOut, once)
            .on(&server(refused, Duration::ZERO))
            .connections(2)
            .open()
            .await
            .run()
            .await;
        assert_eq!((sample.requests, sample.failures), (10, 10));

        // Of two connections one is answered: it does not wait for the other to be opened.
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", one.local_addr().unwrap());
        std::thread::spawn(move || {
            let (stream, _) = one.accept().unwrap();
            drop(one);
            answer(stream, HELLO, Duration::ZERO);
        });
        let flow = Flow::new(Pace::FlatOut, |_| Some(get("/", "x", "t"))).on(&origin).connections(2);
        let sample = flow.open().await.run().await;
        assert!(sample.requests > 10 && sample.failures > 10, "{sample:?}");

        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let flow = Flow::new(Pace::FlatOut, once).on(&format!("http://{nobody}")).connections(2);
        let sample = flow.open().await.run().await;
        assert_eq!((sample.requests, sample.failures), (0, 10));
    }
}
