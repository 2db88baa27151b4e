//! What one thread has counted since it was last collected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use shared_claims::clock::UnixTime;

use super::meters::{Local, Meters};
use super::{Account, Tally};
use crate::domain::api::Operation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::{Count, Line, Totals};

/// The most lines of one thread; beyond them, application and operation are given up before calls are.
const MOST: usize = 20_000;

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

/// What a line counts. Operations are told apart by where they are: the line holds its own, so that no other takes its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    minute: UnixTime,
    api: Option<ApiId>,
    application: Option<ApplicationId>,
    operation: usize,
    status: u16,
}

/// The counts.
pub struct Till {
    meters: Arc<Meters>,
    locals: HashMap<Option<ApiId>, Local>,
    lines: HashMap<Key, (Option<Arc<Operation>>, Totals)>,
    lost: u64,
}

impl Till {
    /// Nothing yet.
    pub fn new(meters: Arc<Meters>) -> Self {
        Self { meters, locals: HashMap::new(), lines: HashMap::new(), lost: 0 }
    }

    /// Counts a call.
    pub fn enter(&mut self, minute: UnixTime, record: Record<'_>) {
        let Record { api, account, .. } = &record;
        let local = self.locals.entry(api.api).or_insert_with(|| self.meters.local(&api.label));
        local.count(&record);

        let operation = account.operation.as_ref();
        let mut key = Key {
            minute,
            api: api.api,
            application: account.application,
            operation: operation.map_or(0, |operation| Arc::as_ptr(operation).addr()),
            status: record.status.as_u16(),
        };
        let totals = totals(&record);
        if let Some((_, sum)) = self.lines.get_mut(&key) {
            return sum.add(&totals);
        }
        let mut operation = operation.map(Arc::clone);
        if self.lines.len() >= MOST {
            key = Key { application: None, operation: 0, ..key };
            operation = None;
        }
        // As many again, for APIs and statuses.
        if self.lines.len() < 2 * MOST || self.lines.contains_key(&key) {
            self.lines.entry(key).or_insert((operation, Totals::default())).1.add(&totals);
        } else {
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
        let count = |(key, (operation, totals)): (Key, (Option<Arc<Operation>>, Totals))| {
            let operation = operation.map(|one| format!("{} {}", one.method, one.path)).unwrap_or_default();
            let Key { minute, api, application, status, .. } = key;
            Count { minute, line: Line { api, application, operation, status }, totals }
        };
        (self.lines.drain().map(count).collect(), std::mem::take(&mut self.lost))
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
