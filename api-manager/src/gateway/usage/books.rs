//! Counts on their way to the database: added up here, written in batches, kept where that fails.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use foldhash::fast::RandomState;
use log::warn;
use shared_claims::clock::UnixTime;
use shared_server::database::Database;

use super::lines::Lines;
use crate::domain::usage::{Count, Line, Totals};
use crate::storage::usage_counts;

/// How long after a write the next one comes: so long a line, that the share of a thread which writes lines is bounded, and
/// within these. Every call goes into a line for its minute, so that fewer writes are less work.
const SOONEST: Duration = Duration::from_secs(5);
const LATEST: Duration = Duration::from_secs(30);
const A_LINE: Duration = Duration::from_millis(4);
/// The most lines that wait to be written.
const MOST: usize = 20_000;
/// With so many they are not left to wait for the latest write: they would meet the bound before.
const MANY: usize = MOST / 4 * 3;
/// Lines that one transaction writes, so that no other writer waits long.
const BATCH: usize = 250;

/// When the next write comes after one of so many lines.
#[must_use]
pub fn pause(lines: usize) -> Duration {
    let lines = u32::try_from(lines).unwrap_or(u32::MAX);
    A_LINE.saturating_mul(lines).clamp(SOONEST, LATEST)
}

/// What is counted by: for the minute, and by which line.
pub type ByLine = (UnixTime, Line);

/// Says of which key fewer are expected.
pub trait Wider {
    /// The same without application and operation.
    #[must_use]
    fn wider(self) -> Self;
}

impl Wider for ByLine {
    fn wider(self) -> Self {
        let (minute, line) = self;
        (minute, Line { application: None, operation: String::new(), ..line })
    }
}

/// What is added up and not handed on yet.
pub struct Books<K> {
    lines: Lines<K>,
    hasher: RandomState,
}

/// A key with its hash, which is computed once.
pub struct Hashed<K> {
    /// The key.
    pub key: K,
    hash: u64,
}

impl<K> Default for Books<K> {
    fn default() -> Self {
        Self { lines: Lines::default(), hasher: RandomState::default() }
    }
}

impl<K: Eq + Hash + Wider> Books<K> {
    /// Adds to a line; false where it is lost. Where there are too many lines, application and operation are given up
    /// first: what an API is called is still counted.
    pub fn enter(&mut self, mut line: Hashed<K>, totals: &Totals) -> bool {
        if self.add(&line, totals) {
            return true;
        }
        if self.lines.len() >= MOST {
            line = self.hashed(line.key.wider());
            if self.add(&line, totals) {
                return true;
            }
        }
        // As many again, for APIs and statuses.
        if self.lines.len() >= 2 * MOST {
            return false;
        }
        let mut sum = Totals::default();
        sum.add(totals);
        self.lines.insert((line.hash, line.key), sum, |key| self.hasher.hash_one(key));
        true
    }

    /// Adds to a line that is there; false where there is none.
    fn add(&mut self, Hashed { key, hash }: &Hashed<K>, totals: &Totals) -> bool {
        let sum = self.lines.get_mut(*hash, key);
        sum.map(|sum| sum.add(totals)).is_some()
    }

    /// Ready to be entered in these books.
    pub fn hashed(&self, key: K) -> Hashed<K> {
        Hashed { hash: self.hasher.hash_one(&key), key }
    }

    /// Has fetched a line that will be added to.
    pub fn fetch(&self, line: &Hashed<K>) {
        self.lines.fetch(line.hash);
    }

    /// Whether there are so many lines that some will soon be given up.
    pub fn is_filling(&self) -> bool {
        self.lines.len() >= MANY
    }

    /// Hands out everything, which is none afterwards.
    pub fn drain(&mut self, each: impl FnMut(K, Totals)) {
        self.lines.drain(each);
    }
}

impl Books<ByLine> {
    /// Everything, by minute and line, so that those are written together that are neighbours in the database.
    pub fn take(&mut self) -> Vec<Count> {
        let mut counts = Vec::with_capacity(self.lines.len());
        self.drain(|(minute, line), totals| counts.push(Count { minute, line, totals }));
        counts.sort_by(|a, b| (a.minute, &a.line).cmp(&(b.minute, &b.line)));
        counts
    }

    /// Takes in what could not be written; says how many calls are lost.
    pub fn put_in(&mut self, counts: Vec<Count>) -> u64 {
        counts.into_iter().map(|Count { minute, line, totals }| self.collect((minute, line), &totals)).sum()
    }

    /// Takes in what was counted of one line; says how many calls are lost.
    pub fn collect(&mut self, line: ByLine, totals: &Totals) -> u64 {
        if self.enter(self.hashed(line), totals) {
            0
        } else {
            u64::try_from(totals.calls).unwrap_or_default()
        }
    }
}

/// Writes counts, and returns those that could not be written.
pub async fn write(database: &Database, mut counts: Vec<Count>) -> Vec<Count> {
    while !counts.is_empty() {
        let rest = counts.split_off(counts.len().min(BATCH));
        let batch = counts.clone();
        let written = database.write(move |connection| usage_counts::add(connection, &batch)).await;
        if let Err(why) = written {
            warn!(cause = why.to_string().as_str(); "usage could not be written; it is kept and tried again");
            counts.extend(rest);
            return counts;
        }
        counts = rest;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: UnixTime = UnixTime(60);

    fn line(operation: usize) -> Line {
        Line { api: None, application: None, operation: operation.to_string(), status: 200 }
    }

    fn one() -> Totals {
        Totals { calls: 1, ..Totals::default() }
    }

    #[test]
    fn many_lines_are_written_less_often_and_no_later_than_in_half_a_minute() {
        assert_eq!([0, 1_000, 5_000, 20_000].map(|lines| pause(lines).as_secs()), [5, 5, 20, 30]);
    }

    #[test]
    fn calls_of_one_line_are_added_up_and_survive_a_failed_write() {
        let mut books = Books::default();
        for _ in 0..3 {
            assert!(books.enter(books.hashed((MINUTE, line(1))), &one()));
        }
        let failed = books.take();
        assert!(books.enter(books.hashed((MINUTE, line(1))), &one()));
        assert_eq!(books.put_in(failed), 0);
        let counts = books.take();
        assert_eq!((counts.len(), counts[0].totals.calls), (1, 4));
    }

    #[test]
    fn too_many_lines_lose_their_operations_before_calls_are_lost() {
        let mut books = Books::default();
        for operation in 0..MOST + 1_000 {
            assert!(books.enter(books.hashed((MINUTE, line(operation))), &one()));
        }
        let counts = books.take();
        assert_eq!(counts.len(), MOST + 1);
        assert_eq!(counts.iter().map(|count| count.totals.calls).sum::<i64>(), 21_000);
        assert_eq!((&*counts[0].line.operation, counts[0].totals.calls), ("", 1_000));
    }
}
