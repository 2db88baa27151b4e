//! The task that counts: into the metrics at once, into the database in batches.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use prometheus::{HistogramVec, IntCounterVec};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::books::{self, Books, FLUSH};
use super::{Account, Tally};
use crate::app::App;
use crate::domain::usage::{Count, Line, Period, Totals};

/// The most APIs that have numbers of their own in the metrics; the others share one.
const MOST_LABELS: usize = 2_000;
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// The gateway's own part is far shorter.
const OWN_BUCKETS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// What is sent to the task.
pub enum Message {
    /// A call that is over.
    Record(Record),
    /// Write everything, and say when that is done.
    Flush(oneshot::Sender<()>),
}

/// A call that is over.
pub struct Record {
    pub api: Tally,
    pub account: Account,
    pub status: StatusCode,
    /// From the head of the request to the end of the answer.
    pub whole: Duration,
    /// The gateway's own part, until the head of the answer.
    pub own: Duration,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub broke_off: bool,
}

/// What the task holds.
pub struct Keeper {
    app: Arc<App>,
    meters: Meters,
    books: Books,
    dropped: Arc<AtomicU64>,
}

impl Keeper {
    /// Ready to run; `dropped` counts what did not get as far as here.
    pub fn new(app: &Arc<App>, dropped: Arc<AtomicU64>) -> Self {
        Self { app: Arc::clone(app), meters: Meters::new(app), books: Books::default(), dropped }
    }

    /// Counts until the last sender is gone.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut ticks = interval(FLUSH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // One at a time, beside the counting: a slow database must not make the channel overflow.
        let mut writing: Option<JoinHandle<Vec<Count>>> = None;
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::Record(record)) => self.count(&record),
                    Some(Message::Flush(done)) => {
                        if let Some(writing) = writing.take() {
                            self.settle(writing.await.unwrap_or_default());
                        }
                        let left = books::write(&self.app.database, self.books.take()).await;
                        self.settle(left);
                        // Whoever asked may have stopped waiting.
                        let _ = done.send(());
                    }
                    None => break,
                },
                left = finished(&mut writing) => {
                    writing = None;
                    self.settle(left);
                }
                _ = ticks.tick(), if writing.is_none() => {
                    let (app, counts) = (Arc::clone(&self.app), self.books.take());
                    if !counts.is_empty() {
                        writing = Some(tokio::spawn(async move { books::write(&app.database, counts).await }));
                    }
                }
            }
        }
        books::write(&self.app.database, self.books.take()).await;
    }

    fn settle(&mut self, left: Vec<Count>) {
        let lost = self.books.put_back(left);
        self.meters.lost.with_label_values::<&str>(&[]).inc_by(lost);
    }

    fn count(&mut self, record: &Record) {
        self.meters.count(record);
        let minute = Period::Minute.start_of(self.app.clock.now());
        let operation = record.account.operation.as_deref();
        let line = Line {
            api: record.api.api,
            application: record.account.application,
            operation: operation.map(|one| format!("{} {}", one.method, one.path)).unwrap_or_default(),
            status: record.status.as_u16(),
        };
        let is_error = record.broke_off || record.status.as_u16() >= 400;
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let microseconds = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let totals = Totals {
            calls: 1,
            errors: i64::from(is_error),
            backend_us: microseconds(record.account.backend.unwrap_or_default()),
            gateway_us: microseconds(record.own),
            bytes_in: number(record.bytes_in),
            bytes_out: number(record.bytes_out),
        };
        let lost =
            u64::from(!self.books.enter(minute, line, &totals)) + self.dropped.swap(0, Ordering::Relaxed);
        self.meters.lost.with_label_values::<&str>(&[]).inc_by(lost);
    }
}

/// What a write under way leaves unwritten, once it ends; never where there is none.
async fn finished(writing: &mut Option<JoinHandle<Vec<Count>>>) -> Vec<Count> {
    match writing {
        Some(writing) => writing.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

struct Meters {
    requests: IntCounterVec,
    seconds: HistogramVec,
    backend: HistogramVec,
    own: HistogramVec,
    lost: IntCounterVec,
    labels: HashSet<Arc<str>>,
}

impl Meters {
    fn new(app: &App) -> Self {
        let histogram = |name, help, buckets: &[f64]| app.metrics.histogram(name, help, &["api"], buckets);
        Self {
            requests: app.metrics.counter(
                "gateway_requests_total",
                "Requests at the gateway.",
                &["api", "status"],
            ),
            seconds: histogram(
                "gateway_request_seconds",
                "Time from the head of a request to the end of its answer.",
                &BUCKETS,
            ),
            backend: histogram(
                "gateway_backend_seconds",
                "Time that backends took until the heads of their answers.",
                &BUCKETS,
            ),
            own: histogram(
                "gateway_own_seconds",
                "Time that the gateway itself took until the heads of the answers.",
                &OWN_BUCKETS,
            ),
            lost: app.metrics.counter("gateway_usage_dropped_total", "Requests that were not counted.", &[]),
            labels: HashSet::new(),
        }
    }

    fn count(&mut self, record: &Record) {
        let label = &record.api.label;
        let known = self.labels.contains(label)
            || self.labels.len() < MOST_LABELS && self.labels.insert(Arc::clone(label));
        let api = if known { &**label } else { "other" };
        // A backend may answer with any number up to 999; those of no class share one.
        let status = if record.status.as_u16() < 600 { record.status.as_str() } else { "other" };
        self.requests.with_label_values(&[api, status]).inc();
        self.seconds.with_label_values(&[api]).observe(record.whole.as_secs_f64());
        self.own.with_label_values(&[api]).observe(record.own.as_secs_f64());
        if let Some(backend) = record.account.backend {
            self.backend.with_label_values(&[api]).observe(backend.as_secs_f64());
        }
    }
}
