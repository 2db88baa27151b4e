//! The metrics of the calls. Each thread has its own copy of those it adds to, which is emptied into the whole now and then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use http::StatusCode;
use prometheus::local::{LocalHistogram, LocalIntCounter};
use prometheus::{HistogramVec, IntCounter, IntCounterVec};
use shared_server::telemetry::Metrics;

use super::till::Record;

/// The most APIs that have numbers of their own in the metrics; the others share one.
const MOST_LABELS: usize = 2_000;
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// The gateway's own part is far shorter.
const OWN_BUCKETS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// The metrics.
pub struct Meters {
    requests: IntCounterVec,
    seconds: HistogramVec,
    backend: HistogramVec,
    own: HistogramVec,
    /// Calls that were counted nowhere.
    pub lost: IntCounter,
    labels: Mutex<HashSet<Arc<str>>>,
}

/// What one thread adds to them for one API.
pub struct Local {
    meters: Arc<Meters>,
    label: Arc<str>,
    requests: HashMap<StatusCode, LocalIntCounter, RandomState>,
    seconds: LocalHistogram,
    backend: LocalHistogram,
    own: LocalHistogram,
}

impl Meters {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let histogram = |name, help, buckets: &[f64]| metrics.histogram(name, help, &["api"], buckets);
        Self {
            requests: metrics.counter(
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
            lost: metrics
                .counter("gateway_usage_dropped_total", "Requests that were not counted.", &[])
                .with_label_values::<&str>(&[]),
            labels: Mutex::default(),
        }
    }

    /// The label under which an API is counted; none where there are too many APIs.
    pub fn own_label(&self, label: &Arc<str>) -> Option<Arc<str>> {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let known = labels.contains(label) || labels.len() < MOST_LABELS && labels.insert(Arc::clone(label));
        known.then(|| Arc::clone(label))
    }

    /// A thread's copy for the API with this label, or for all APIs that have none.
    pub fn local(self: &Arc<Self>, label: Option<&Arc<str>>) -> Local {
        let label = label.map_or_else(|| Arc::from("other"), Arc::clone);
        let local = |all: &HistogramVec| all.with_label_values(&[&*label]).local();
        let (seconds, backend, own) = (local(&self.seconds), local(&self.backend), local(&self.own));
        Local { meters: Arc::clone(self), requests: HashMap::default(), seconds, backend, own, label }
    }
}

impl Local {
    /// Counts a call.
    pub fn count(&mut self, record: &Record<'_>) {
        let Self { meters, label, requests, .. } = self;
        let counter = requests.entry(record.status).or_insert_with_key(|status| {
            // A backend may answer with any number up to 999; those of no class share one.
            let status = if status.as_u16() < 600 { status.as_str() } else { "other" };
            meters.requests.with_label_values(&[&**label, status]).local()
        });
        counter.inc();
        self.seconds.observe(record.whole.as_secs_f64());
        self.own.observe(record.own.as_secs_f64());
        if let Some(backend) = record.account.backend {
            self.backend.observe(backend.as_secs_f64());
        }
    }

    /// Empties it into the whole.
    pub fn flush(&self) {
        self.requests.values().for_each(LocalIntCounter::flush);
        self.seconds.flush();
        self.backend.flush();
        self.own.flush();
    }
}
