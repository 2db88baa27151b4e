//! What one thread has counted: for the metrics since it began, for the database since it was last collected.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use shared_claims::clock::UnixTime;

use super::books::{Books, ByLine, Hashed, Wider};
use super::meters::{Numbers, Timed, Times};
use super::{Account, Counted};
use crate::ahead::fetch;
use crate::domain::api::Operation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::{Line, Totals};

/// A call that is over.
pub struct Record {
    pub counted: Counted,
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

/// So many calls are entered at a time. Where there are thousands of APIs, each goes to lines of memory that are not at hand;
/// those of several are waited for together.
const TOGETHER: usize = 32;

/// A call that is to be entered.
struct Entry {
    key: Hashed<Key>,
    totals: Totals,
    slot: usize,
    timed: Timed,
}

/// What a line counts, in what costs nothing to compare.
#[derive(PartialEq, Eq, Hash)]
pub struct Key {
    minute: UnixTime,
    api: Option<ApiId>,
    application: Option<ApplicationId>,
    operation: Option<Place>,
    status: u16,
}

/// An operation, told from others by where it is: nothing else takes its place while this holds it.
struct Place(Arc<Operation>);

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Key {
    fn fetch(&self) {
        if let Some(Place(operation)) = &self.operation {
            fetch(&**operation);
        }
    }
}

impl Wider for Key {
    fn wider(self) -> Self {
        Self { application: None, operation: None, ..self }
    }
}

impl From<Key> for ByLine {
    fn from(Key { minute, api, application, operation, status }: Key) -> Self {
        let operation = operation.map(|Place(one)| format!("{} {}", one.method, one.path));
        (minute, Line { api, application, operation: operation.unwrap_or_default(), status })
    }
}

/// The counts.
#[derive(Default)]
pub struct Till {
    /// This thread's part of the metrics, each label's in its slot.
    numbers: Vec<Numbers>,
    books: Books<Key>,
    lost: u64,
    /// Not entered yet. Hashed for `books`: entered before these are given away.
    waiting: Vec<Entry>,
}

impl Till {
    /// Counts a call.
    pub fn enter(&mut self, minute: UnixTime, record: Record) {
        let Counted { api, slot } = record.counted;
        let totals = totals(&record);
        let timed =
            Timed::of(&Times { whole: record.whole, own: record.own, backend: record.account.backend });
        let key = Key {
            minute,
            api,
            application: record.account.application,
            operation: record.account.operation.map(Place),
            status: record.status.as_u16(),
        };
        let key = self.books.hashed(key);
        self.waiting.push(Entry { key, totals, slot: slot.index(), timed });
        if self.waiting.len() >= TOGETHER {
            self.enter_all();
        }
    }

    fn enter_all(&mut self) {
        for entry in &self.waiting {
            if let Some(numbers) = self.numbers.get(entry.slot) {
                numbers.fetch(&entry.timed);
            }
            entry.key.key.fetch();
            self.books.fetch(&entry.key);
        }
        for Entry { key, totals, slot, timed } in self.waiting.drain(..) {
            if self.numbers.len() <= slot {
                self.numbers.resize_with(slot + 1, Numbers::default);
            }
            if let Some(numbers) = self.numbers.get_mut(slot) {
                numbers.count(key.key.status, &timed);
            }
            if !self.books.enter(key, &totals) {
                self.lost += 1;
            }
        }
    }

    /// All that was ever counted, by slot.
    pub fn numbers(&mut self) -> &[Numbers] {
        self.enter_all();
        &self.numbers
    }

    /// Whether the lines should not wait for their turn to be written.
    pub fn is_filling(&self) -> bool {
        self.books.is_filling()
    }

    /// Gives the lines since the last time for `empty` ones: what is done with thousands of them does not hold up the thread.
    /// Says how many calls are on none.
    pub fn take(&mut self, empty: &mut Books<Key>) -> u64 {
        self.enter_all();
        std::mem::swap(&mut self.books, empty);
        std::mem::take(&mut self.lost)
    }
}

fn totals(record: &Record) -> Totals {
    let is_error = record.broke_off || record.status.as_u16() >= 400;
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let microseconds = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Totals {
        calls: 1,
        errors: i64::from(is_error),
        backend_us: microseconds(record.account.backend.unwrap_or_default()),
        gateway_us: microseconds(record.own),
        bytes_in: number(record.bytes_in),
        bytes_out: number(record.bytes_out),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use shared_server::telemetry::Metrics;

    use super::*;
    use crate::gateway::cores::PerCore;
    use crate::gateway::usage::meters::{Labels, Meters, Slot};

    /// The tills of so many threads, and what shows them.
    fn shown(cores: usize) -> (Arc<PerCore<Mutex<Till>>>, Arc<Labels>, Metrics) {
        let (metrics, labels) = (Metrics::new(), Arc::<Labels>::default());
        let tills = Arc::new(PerCore::new(cores, Mutex::<Till>::default));
        Meters::show(&tills, &labels, &metrics);
        (tills, labels, metrics)
    }

    fn record(counted: Counted) -> Record {
        Record {
            counted,
            account: Account { backend: Some(Duration::from_millis(3)), ..Account::default() },
            status: StatusCode::OK,
            whole: Duration::from_millis(4),
            own: Duration::from_millis(1),
            bytes_in: 0,
            bytes_out: 0,
            broke_off: false,
        }
    }

    #[test]
    fn apis_beyond_those_with_numbers_of_their_own_are_counted_together() {
        let (tills, labels, metrics) = shown(2);
        let apis: Vec<Counted> = (0..5_000)
            .map(|n| Counted {
                api: Some(ApiId::generate()),
                slot: labels.slot_of(&format!("api{n}/1.0").into()),
            })
            .collect();
        let mut lines = Books::default();
        for till in tills.each() {
            let mut till = till.lock().unwrap();
            apis.iter().for_each(|api| till.enter(UnixTime(60), record(*api)));
            let (lost, mut taken) = (till.take(&mut lines), 0);
            lines.drain(|_, _| taken += 1);
            assert_eq!((lost, taken), (0, 5_000));
            assert_eq!(till.numbers.len(), 2_002);
        }
        let shown = metrics.render();
        assert!(!shown.contains(r#"api="none""#), "what was not counted is not shown");
        for line in [
            r#"gateway_requests_total{api="api7/1.0",status="200"} 2"#,
            r#"gateway_requests_total{api="other",status="200"} 6000"#,
            r#"gateway_request_seconds_bucket{api="api7/1.0",le="0.0025"} 0"#,
            r#"gateway_request_seconds_bucket{api="api7/1.0",le="0.005"} 2"#,
            r#"gateway_backend_seconds_sum{api="api7/1.0"} 0.006"#,
            r#"gateway_own_seconds_bucket{api="api7/1.0",le="0.001"} 2"#,
            r#"gateway_own_seconds_count{api="other"} 6000"#,
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}");
        }
    }

    #[test]
    fn calls_that_wait_are_shown_and_taken_too() {
        let (tills, labels, metrics) = shown(1);
        let counted = Counted { api: Some(ApiId::generate()), slot: labels.slot_of(&"a/1".into()) };
        let enter = |times: usize| {
            for _ in 0..times {
                tills.here().lock().unwrap().enter(UnixTime(60), record(counted));
            }
        };
        let mut books = Books::default();
        let mut taken = || {
            tills.here().lock().unwrap().take(&mut books);
            let mut calls = Vec::new();
            books.drain(|_, totals| calls.push(totals.calls));
            calls
        };
        enter(3);
        let shown = metrics.render();
        assert!(shown.contains(r#"gateway_requests_total{api="a/1",status="200"} 3"#), "{shown}");
        assert_eq!(taken(), [3]);
        enter(TOGETHER + 2);
        let many = i64::try_from(TOGETHER).unwrap() + 2;
        assert_eq!(taken(), [many]);
        assert!(taken().is_empty());
    }

    #[test]
    fn a_label_keeps_its_slot() {
        let labels = Labels::default();
        let [a, b] = ["a/1", "b/1"].map(|label| labels.slot_of(&label.into()));
        assert_ne!(a, b);
        assert_eq!(labels.slot_of(&"a/1".into()), a);
        assert_eq!(labels.slot_of(&"none".into()), Slot::NONE);
    }
}
