//! What one thread has counted since it was last collected.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use shared_claims::clock::UnixTime;

use super::books::{Books, Wider};
use super::meters::{Local, Meters};
use super::{Account, Tally};
use crate::domain::api::Operation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::{Count, Line, Totals};
use crate::gateway::fold::Fold;

/// The most APIs whose part in the metrics a thread keeps at hand.
const MOST_LOCALS: usize = 4_096;

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
    locals: HashMap<Option<ApiId>, Local, Fold>,
    books: Books<Key>,
    lost: u64,
}

impl Till {
    /// Nothing yet.
    pub fn new(meters: Arc<Meters>) -> Self {
        Self { meters, locals: HashMap::default(), books: Books::default(), lost: 0 }
    }

    /// Counts a call.
    pub fn enter(&mut self, minute: UnixTime, record: Record<'_>) {
        let Record { api, account, .. } = &record;
        let local = self.locals.entry(api.api).or_insert_with(|| self.meters.local(&api.label));
        local.count(&record);
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

    /// Everything since the last time: the lines, and how many calls are on none.
    pub fn take(&mut self) -> (Vec<Count>, u64) {
        self.locals.values().for_each(Local::flush);
        if self.locals.len() > MOST_LOCALS {
            // Of APIs that are gone, most likely.
            self.locals.clear();
        }
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
