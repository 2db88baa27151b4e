//! The metrics of the calls. Each thread has numbers of its own for each API, close together in memory, and whoever reads the
//! metrics adds them up: while nobody does, nothing is copied.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use shared_server::telemetry::Metrics;
use smallvec::SmallVec;

use super::till::Till;
use crate::ahead::fetch;
use crate::gateway::cores::PerCore;

/// The most labels, with the two that are no API's; APIs beyond them share the numbers of one.
const MOST_LABELS: usize = 2_000 + 2;
const SHARED: &str = "other";
const NOWHERE: &str = "none";
const BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// The gateway's own part is far shorter.
const OWN_BOUNDS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// Names and helps of the metrics.
const REQUESTS: (&str, &str) = ("gateway_requests_total", "Requests at the gateway.");
const WHOLE: (&str, &str) =
    ("gateway_request_seconds", "Time from the head of a request to the end of its answer.");
const BACKEND: (&str, &str) =
    ("gateway_backend_seconds", "Time that backends took until the heads of their answers.");
const OWN: (&str, &str) =
    ("gateway_own_seconds", "Time that the gateway itself took until the heads of the answers.");

/// The labels under which calls are counted, each in its slot.
pub struct Labels(Mutex<HashMap<Arc<str>, Slot>>);

/// Where among a thread's numbers those of a label are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Of requests that reach no API.
    pub const NONE: Self = Self(0);
    const SHARED: Self = Self(1);

    /// As an index.
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or_default()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self(Mutex::new(HashMap::from([(NOWHERE.into(), Slot::NONE), (SHARED.into(), Slot::SHARED)])))
    }
}

impl Labels {
    /// The label's own slot, or the one that is shared where there are too many.
    pub fn slot_of(&self, label: &Arc<str>) -> Slot {
        let mut labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = labels.get(label) {
            return *slot;
        }
        if labels.len() >= MOST_LABELS {
            return Slot::SHARED;
        }
        let slot = Slot(u32::try_from(labels.len()).unwrap_or_default());
        labels.insert(Arc::clone(label), slot);
        slot
    }

    /// All of them, by name.
    fn all(&self) -> BTreeMap<Arc<str>, Slot> {
        let labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        labels.iter().map(|(label, slot)| (Arc::clone(label), *slot)).collect()
    }
}

/// What a call took.
pub struct Times {
    /// From the head of the request to the end of the answer.
    pub whole: Duration,
    /// The gateway's own part, until the head of the answer.
    pub own: Duration,
    /// The backend's, until the head of its answer.
    pub backend: Option<Duration>,
}

/// What a call took, and where that is counted: a place among the bounds, which is theirs to know before any line of memory is read.
pub struct Timed {
    whole: (usize, f64),
    own: (usize, f64),
    backend: Option<(usize, f64)>,
}

impl Timed {
    /// Of these times.
    pub fn of(times: &Times) -> Self {
        let among = |time: Duration, bounds: &[f64]| {
            let seconds = time.as_secs_f64();
            let within = bounds.iter().position(|bound| seconds <= *bound);
            (within.unwrap_or(bounds.len()), seconds)
        };
        Self {
            whole: among(times.whole, &BOUNDS),
            own: among(times.own, &OWN_BOUNDS),
            backend: times.backend.map(|backend| among(backend, &BOUNDS)),
        }
    }
}

/// How many calls took how long: by the first bound that is not exceeded, and last those that exceed all.
#[derive(Clone)]
struct Spread<const N: usize>([u64; N]);

impl<const N: usize> Default for Spread<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Spread<N> {
    fn fetch(&self, place: usize) {
        if let Some(count) = self.0.get(place) {
            fetch(count);
        }
    }

    fn count(&mut self, place: usize) {
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum += count);
    }

    fn shown(&self, seconds: f64, bounds: &[f64]) -> Histogram {
        let mut sum = 0;
        let bucket = |(count, bound): (&u64, &f64)| {
            sum += count;
            let mut bucket = Bucket::default();
            bucket.set_cumulative_count(sum);
            bucket.set_upper_bound(*bound);
            bucket
        };
        let buckets = self.0.iter().zip(bounds).map(bucket).collect();
        let mut shown = Histogram::default();
        shown.set_bucket(buckets);
        shown.set_sample_count(self.0.iter().sum());
        shown.set_sample_sum(seconds);
        shown
    }
}

/// What is counted under one label. In memory as written: what every call adds to first, in one line of it.
#[derive(Clone, Default)]
#[repr(C, align(64))]
pub struct Numbers {
    /// By status, and by 0 for those that are of no class: a backend may answer with any number up to 999. Nearly always few.
    requests: SmallVec<[(u16, u64); 1]>,
    seconds: Seconds,
    whole: Spread<{ BOUNDS.len() + 1 }>,
    backend: Spread<{ BOUNDS.len() + 1 }>,
    own: Spread<{ OWN_BOUNDS.len() + 1 }>,
}

/// What all calls took together.
#[derive(Clone, Default)]
struct Seconds {
    whole: f64,
    backend: f64,
    own: f64,
}

impl Numbers {
    /// Has fetched what counting a call will read.
    pub fn fetch(&self, timed: &Timed) {
        fetch(&self.requests);
        self.whole.fetch(timed.whole.0);
        self.own.fetch(timed.own.0);
        if let Some((place, _)) = timed.backend {
            self.backend.fetch(place);
        }
    }

    /// Counts a call.
    pub fn count(&mut self, status: u16, timed: &Timed) {
        self.request(if status < 600 { status } else { 0 }, 1);
        self.whole.count(timed.whole.0);
        self.seconds.whole += timed.whole.1;
        self.own.count(timed.own.0);
        self.seconds.own += timed.own.1;
        if let Some((place, seconds)) = timed.backend {
            self.backend.count(place);
            self.seconds.backend += seconds;
        }
    }

    fn request(&mut self, status: u16, times: u64) {
        match self.requests.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += times,
            None => self.requests.push((status, times)),
        }
    }

    /// Adds what another thread has counted.
    pub fn add(&mut self, other: &Self) {
        other.requests.iter().for_each(|(status, count)| self.request(*status, *count));
        self.seconds.whole += other.seconds.whole;
        self.seconds.backend += other.seconds.backend;
        self.seconds.own += other.seconds.own;
        self.whole.add(&other.whole);
        self.backend.add(&other.backend);
        self.own.add(&other.own);
    }
}

/// What the threads have counted, for those who read the metrics.
#[derive(Clone)]
pub struct Meters {
    tills: Arc<PerCore<Mutex<Till>>>,
    labels: Arc<Labels>,
    described: Arc<[Desc]>,
}

impl Meters {
    /// Lets what is in `tills` be shown.
    pub fn show(tills: &Arc<PerCore<Mutex<Till>>>, labels: &Arc<Labels>, metrics: &Metrics) {
        let describe = |(name, help): (&str, &str), names: &[&str]| {
            let names = names.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new()).ok()
        };
        let times = [WHOLE, BACKEND, OWN].map(|named| describe(named, &["api"]));
        let requests = describe(REQUESTS, &["api", "status"]);
        let described = times.into_iter().chain([requests]).flatten().collect();
        let (tills, labels) = (Arc::clone(tills), Arc::clone(labels));
        metrics.collected(REQUESTS.0, &Self { tills, labels, described });
    }
}

impl Collector for Meters {
    fn desc(&self) -> Vec<&Desc> {
        self.described.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let labels = self.labels.all();
        let mut sums = vec![Numbers::default(); labels.len()];
        for till in self.tills.each() {
            let mut till = till.lock().unwrap_or_else(PoisonError::into_inner);
            sums.iter_mut().zip(till.numbers()).for_each(|(sum, numbers)| sum.add(numbers));
        }
        let numbers = |(label, slot): (Arc<str>, Slot)| Some((label, sums.get(slot.index())?));
        let all = labels.into_iter().filter_map(numbers).filter(|(_, numbers)| !numbers.requests.is_empty());
        let all: Vec<(Arc<str>, &Numbers)> = all.collect();
        let times = |named, shown: &dyn Fn(&Numbers) -> Histogram| {
            let metric = |(label, numbers): &(Arc<str>, &Numbers)| {
                let mut metric = Metric::from_label(vec![pair("api", label)]);
                metric.set_histogram(shown(numbers));
                metric
            };
            family(named, MetricType::HISTOGRAM, all.iter().map(metric).collect())
        };
        let requests = all.iter().flat_map(|(label, numbers)| {
            numbers.requests.iter().map(move |(status, count)| {
                let status = if *status == 0 { SHARED.to_owned() } else { status.to_string() };
                let mut metric = Metric::from_label(vec![pair("api", label), pair("status", &status)]);
                let mut counter = Counter::default();
                #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 calls")]
                counter.set_value(*count as f64);
                metric.set_counter(counter);
                metric
            })
        });
        vec![
            family(REQUESTS, MetricType::COUNTER, requests.collect()),
            times(WHOLE, &|numbers| numbers.whole.shown(numbers.seconds.whole, &BOUNDS)),
            times(BACKEND, &|numbers| numbers.backend.shown(numbers.seconds.backend, &BOUNDS)),
            times(OWN, &|numbers| numbers.own.shown(numbers.seconds.own, &OWN_BOUNDS)),
        ]
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn family((name, help): (&str, &str), kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
