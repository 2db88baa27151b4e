//! What is counted of each request, by a bounded channel that drops rather than waits.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, StatusCode};
use log::info;
use shared_server::telemetry::Metrics;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::InFlight;
use super::upstream::attempts::Lease;
use crate::domain::api::Api;

/// Requests that may wait to be counted.
const BACKLOG: usize = 16_384;
/// The most APIs that have numbers of their own in the metrics; the others share one.
const MOST_LABELS: usize = 2_000;
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Where the calls of one API are counted.
#[derive(Clone, Debug)]
pub struct Tally(Arc<str>);

impl Tally {
    /// For an API, by context and version.
    #[must_use]
    pub fn of(api: &Api) -> Self {
        Self(format!("{}/{}", api.context.trim_matches('/'), api.version).into())
    }

    /// For requests that reach no API.
    #[must_use]
    pub fn none() -> Self {
        Self("none".into())
    }
}

struct Record {
    api: Tally,
    status: StatusCode,
    seconds: f64,
}

/// The sending side.
#[derive(Clone)]
pub struct Usage {
    sender: mpsc::Sender<Record>,
    dropped: Arc<AtomicU64>,
}

impl Usage {
    /// Starts the task that counts into `metrics`; it ends when the last sender is gone.
    #[must_use]
    pub fn start(metrics: &Metrics) -> Self {
        let requests =
            metrics.counter("gateway_requests_total", "Requests at the gateway.", &["api", "status"]);
        let seconds = metrics.histogram(
            "gateway_request_seconds",
            "Time from the head of a request to the end of its answer.",
            &["api"],
            &BUCKETS,
        );
        let lost = metrics.counter("gateway_usage_dropped_total", "Requests that were not counted.", &[]);
        let (sender, mut records) = mpsc::channel::<Record>(BACKLOG);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        tokio::spawn(async move {
            let mut labels: HashSet<Arc<str>> = HashSet::new();
            while let Some(Record { api, status, seconds: took }) = records.recv().await {
                let known = labels.contains(&api.0)
                    || labels.len() < MOST_LABELS && labels.insert(Arc::clone(&api.0));
                let api = if known { &*api.0 } else { "other" };
                // A backend may answer with any number up to 999; those of no class share one.
                let status = if status.as_u16() < 600 { status.as_str() } else { "other" };
                requests.with_label_values(&[api, status]).inc();
                seconds.with_label_values(&[api]).observe(took);
                lost.with_label_values::<&str>(&[]).inc_by(counted.swap(0, Ordering::Relaxed));
            }
        });
        Self { sender, dropped }
    }

    fn record(&self, record: Record) {
        if self.sender.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One request's entry in the books, closed when it is dropped: when its answer has gone out, or was given up.
pub struct Ledger {
    usage: Usage,
    api: Tally,
    status: StatusCode,
    started: Instant,
    request_id: HeaderValue,
    _in_flight: InFlight,
    _held: Option<Arc<Lease>>,
}

impl Ledger {
    /// Opens an entry for an answer whose head is known.
    #[must_use]
    pub fn open(
        usage: Usage,
        api: Tally,
        status: StatusCode,
        started: Instant,
        request_id: HeaderValue,
        in_flight: InFlight,
    ) -> Self {
        Self { usage, api, status, started, request_id, _in_flight: in_flight, _held: None }
    }

    /// Keeps the request's place at its backend until the entry is closed.
    #[must_use]
    pub fn holding(mut self, held: Option<Arc<Lease>>) -> Self {
        self._held = held;
        self
    }

    /// Notes that the answer ended before its end.
    pub fn broke_off(&mut self, reason: &str) {
        let request_id = self.request_id.to_str().unwrap_or_default();
        info!(api = &*self.api.0, request_id = request_id, reason = reason; "an answer broke off");
    }

    /// Notes that the answer would no longer be given and was ended.
    pub fn withdrawn(&self, reason: &str) {
        let request_id = self.request_id.to_str().unwrap_or_default();
        info!(api = &*self.api.0, request_id = request_id, reason = reason; "a live connection was ended");
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.usage.record(Record { api: self.api.clone(), status: self.status, seconds });
    }
}
