//! What one thread has counted since it was last collected.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::StatusCode;
use shared_claims::clock::UnixTime;

use super::books::{Books, Wider};
use super::meters::{Local, Meters};
use super::{Account, Tally};
use crate::domain::api::Operation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::{Count, Line, Totals};

/// The most parts of the metrics that a thread has, and the most APIs of which it knows at hand which is theirs. APIs that
/// are gone make more of either than there are labels.
const MOST_LOCALS: usize = 4_096;
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
struct Key {
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

/// The counts.
pub struct Till {
    meters: Arc<Meters>,
    /// This thread's parts of the metrics.
    locals: Vec<Local>,
    /// Which of them is an API's.
    places: HashMap<Option<ApiId>, usize, RandomState>,
    /// That of all the APIs without numbers of their own.
    shared: Option<usize>,
    books: Books<Key>,
    lost: u64,
}

impl Till {
    /// Nothing yet.
    pub fn new(meters: Arc<Meters>) -> Self {
        Self {
            meters,
            locals: Vec::new(),
            places: HashMap::default(),
            shared: None,
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
        if let Some(local) = self.locals.get_mut(place) {
            local.count(&record);
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

    /// Finds the part of an API that was not counted yet.
    fn place_of(&mut self, api: &Tally) -> usize {
        if self.locals.len() >= MOST_LOCALS || self.places.len() >= MOST_PLACES {
            self.flush();
            (self.locals, self.shared) = (Vec::new(), None);
            self.places.clear();
        }
        let own = self.meters.own_label(&api.label);
        let place = match (&own, self.shared) {
            (None, Some(shared)) => shared,
            _ => {
                self.locals.push(self.meters.local(own.as_ref()));
                self.locals.len() - 1
            }
        };
        if own.is_none() {
            self.shared = Some(place);
        }
        self.places.insert(api.api, place);
        place
    }

    fn flush(&self) {
        self.locals.iter().for_each(Local::flush);
    }

    /// Everything since the last time: the lines, and how many calls are on none.
    pub fn take(&mut self) -> (Vec<Count>, u64) {
        self.flush();
        let count = |(key, totals): (Key, Totals)| {
            let Key { minute, api, application, operation, status } = key;
            let operation = operation.map(|Place(one)| format!("{} {}", one.method, one.path));
            let line = Line { api, application, operation: operation.unwrap_or_default(), status };
            Count { minute, line, totals }
        };
        (self.books.drain().map(count).collect(), std::mem::take(&mut self.lost))
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
    use shared_server::telemetry::Metrics;

    use super::*;

    #[test]
    fn apis_beyond_those_with_numbers_of_their_own_are_counted_together_and_stay_at_hand() {
        let metrics = Metrics::new();
        let mut till = Till::new(Arc::new(Meters::new(&metrics)));
        let account = Account::default();
        let record = |api| Record {
            api,
            account: &account,
            status: StatusCode::OK,
            whole: Duration::ZERO,
            own: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            broke_off: false,
        };
        let tallies: Vec<Tally> = (0..5_000)
            .map(|n| Tally { label: format!("api{n}/1.0").into(), api: Some(ApiId::generate()) })
            .collect();
        for _ in 0..2 {
            tallies.iter().for_each(|api| till.enter(UnixTime(60), record(api)));
            let (counts, lost) = till.take();
            assert_eq!((counts.len(), lost), (5_000, 0));
            assert_eq!((till.locals.len(), till.places.len()), (2_001, 5_000));
        }
        let shown = metrics.render();
        assert!(shown.contains(r#"gateway_requests_total{api="api7/1.0",status="200"} 2"#));
        assert!(shown.contains(r#"gateway_requests_total{api="other",status="200"} 6000"#));
    }
}
