//! What one thread has counted: for the metrics since it began, for the database since it was last collected.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::StatusCode;
use shared_claims::clock::UnixTime;

use super::books::{Books, ByLine, Wider};
use super::meters::{Labels, Numbers};
use super::{Account, Tally};
use crate::domain::api::Operation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::{Line, Totals};

/// The most APIs of which a thread knows at hand where their numbers are; those that are gone are among them.
const MOST_PLACES: usize = 65_536;

/// A call that is over.
pub struct Record<'a> {
    pub api: &'a Tally,
    pub account: &'a Account,
    pub status: StatusCode,
    /// From the head of the request to the end of the answer.
    pub whole: Duration,
    /// The gateway's own part, until the head of the answer.
    pub own: Duration,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub broke_off: bool,
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
pub struct Till {
    labels: Arc<Labels>,
    /// This thread's part of the metrics.
    numbers: Vec<(Arc<str>, Numbers)>,
    /// Which of it has which label, and which is an API's.
    labelled: HashMap<Arc<str>, usize, RandomState>,
    places: HashMap<Option<ApiId>, usize, RandomState>,
    books: Books<Key>,
    lost: u64,
}

impl Till {
    /// Nothing yet.
    pub fn new(labels: Arc<Labels>) -> Self {
        Self {
            labels,
            numbers: Vec::new(),
            labelled: HashMap::default(),
            places: HashMap::default(),
            books: Books::default(),
            lost: 0,
        }
    }

    /// Counts a call.
    pub fn enter(&mut self, minute: UnixTime, record: Record<'_>) {
        let Record { api, account, .. } = &record;
        let place = match self.places.get(&api.api) {
            Some(place) => *place,
            None => self.place_of(api),
        };
        if let Some((_, numbers)) = self.numbers.get_mut(place) {
            numbers.count(&record);
        }
        let key = Key {
            minute,
            api: api.api,
            application: account.application,
            operation: account.operation.clone().map(Place),
            status: record.status.as_u16(),
        };
        if !self.books.enter(key, &totals(&record)) {
            self.lost += 1;
        }
    }

    /// Finds the numbers of an API that was not counted yet.
    fn place_of(&mut self, api: &Tally) -> usize {
        if self.places.len() >= MOST_PLACES {
            self.places.clear();
        }
        let label = self.labels.own_or_shared(&api.label);
        let place = match self.labelled.get(&label) {
            Some(place) => *place,
            None => {
                self.numbers.push((Arc::clone(&label), Numbers::default()));
                let place = self.numbers.len() - 1;
                self.labelled.insert(label, place);
                place
            }
        };
        self.places.insert(api.api, place);
        place
    }

    /// All that was ever counted, by label.
    pub fn numbers(&self) -> impl Iterator<Item = (&Arc<str>, &Numbers)> {
        self.numbers.iter().map(|(label, numbers)| (label, numbers))
    }

    /// Whether the lines should not wait for their turn to be written.
    pub fn is_filling(&self) -> bool {
        self.books.is_filling()
    }

    /// Gives the lines since the last time for `empty` ones: what is done with thousands of them does not hold up the thread.
    /// Says how many calls are on none.
    pub fn take(&mut self, empty: &mut Books<Key>) -> u64 {
        std::mem::swap(&mut self.books, empty);
        std::mem::take(&mut self.lost)
    }
}

fn totals(record: &Record<'_>) -> Totals {
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
    use crate::gateway::usage::meters::Meters;

    #[test]
    fn apis_beyond_those_with_numbers_of_their_own_are_counted_together_and_stay_at_hand() {
        let metrics = Metrics::new();
        let labels = Arc::<Labels>::default();
        let tills = Arc::new(PerCore::new(2, || Mutex::new(Till::new(Arc::clone(&labels)))));
        Meters::show(&tills, &metrics);
        let account = Account { backend: Some(Duration::from_millis(3)), ..Account::default() };
        let record = |api| Record {
            api,
            account: &account,
            status: StatusCode::OK,
            whole: Duration::from_millis(4),
            own: Duration::from_millis(1),
            bytes_in: 0,
            bytes_out: 0,
            broke_off: false,
        };
        let tallies: Vec<Tally> = (0..5_000)
            .map(|n| Tally { label: format!("api{n}/1.0").into(), api: Some(ApiId::generate()) })
            .collect();
        let mut lines = Books::default();
        for till in tills.each() {
            let mut till = till.lock().unwrap();
            tallies.iter().for_each(|api| till.enter(UnixTime(60), record(api)));
            assert_eq!((till.take(&mut lines), lines.drain().count()), (0, 5_000));
            assert_eq!((till.numbers.len(), till.places.len()), (2_001, 5_000));
        }
        let shown = metrics.render();
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
}
