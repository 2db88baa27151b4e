//! The kept answers. Reading one touches no lock; keeping, forgetting and making room take one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use shared_claims::secret::Digest;

use crate::domain::ids::ApiId;

/// The most that all kept answers take, in bytes, and the most that answers take while they are copied.
pub const MOST_BYTES: usize = 64 * 1_024 * 1_024;
/// What an answer takes besides its headers and body, roughly.
const OVERHEAD: usize = 1_024;
/// Answers to the same request that differ by what `Vary` names.
const MOST_VARIANTS: usize = 16;
/// Counters of what was forgotten; several targets may share one, which costs a kept answer and nothing else.
const COUNTERS: usize = 1_024;

/// A kept answer.
pub struct Stored {
    /// To which requests it is one.
    pub key: Digest,
    /// What it is an answer about.
    pub target: Digest,
    /// Whose.
    pub api: ApiId,
    /// The revision of the API by which it was made.
    pub revision: i64,
    /// The headers of the client's that it depends on.
    pub vary: Vec<HeaderName>,
    /// What they said.
    pub selected: Digest,
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of one exchange.
    pub headers: HeaderMap,
    /// Its whole body; empty once it is taken out, for the map that holds it frees what is removed when it likes.
    pub body: ArcSwapOption<Bytes>,
    /// When it came.
    pub stored_at: i64,
    /// How old it was then.
    pub initial_age: i64,
    /// For how long it is fresh, from its making.
    pub lifetime: i64,
    /// Whether it was used since room was last looked for.
    pub used: AtomicBool,
    /// The bytes that it takes; told by the store.
    pub size: usize,
}

impl Stored {
    /// Its age in seconds.
    #[must_use]
    pub fn age(&self, now: i64) -> i64 {
        self.initial_age.saturating_add(now.saturating_sub(self.stored_at).max(0))
    }

    fn measure(&self) -> usize {
        let lines = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64);
        OVERHEAD + self.body.load().as_ref().map_or(0, |body| body.len()) + lines.sum::<usize>()
    }
}

type Shelf = Arc<[Arc<Stored>]>;

/// All kept answers.
pub struct Store {
    most: usize,
    /// By key; the latest answer first.
    shelves: papaya::HashMap<Digest, Shelf>,
    books: Mutex<Books>,
    forgotten: Box<[AtomicU64]>,
    copying: AtomicUsize,
    kept: AtomicUsize,
}

#[derive(Default)]
struct Books {
    /// In the order in which room is made.
    order: VecDeque<Weak<Stored>>,
    keys_of: HashMap<Digest, HashSet<Digest>>,
}

impl Store {
    /// An empty one for so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            shelves: papaya::HashMap::new(),
            books: Mutex::default(),
            forgotten: std::iter::repeat_with(AtomicU64::default).take(COUNTERS).collect(),
            copying: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
        }
    }

    /// The answers to requests of this key; the latest first.
    #[must_use]
    pub fn find(&self, key: &Digest) -> Option<Shelf> {
        self.shelves.pin().get(key).cloned()
    }

    /// The bytes that kept answers take.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// Takes room for a piece of an answer that is being copied, if there is any.
    #[must_use]
    pub fn take_room(&self, bytes: usize) -> bool {
        let taken = self.copying.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken > self.most {
            self.give_room(bytes);
        }
        taken <= self.most
    }

    /// Gives room back.
    pub fn give_room(&self, bytes: usize) {
        self.copying.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How often a target was forgotten: an answer that was asked for before the last time must not be kept.
    #[must_use]
    pub fn times_forgotten(&self, target: &Digest) -> u64 {
        self.counter(target).map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    fn counter(&self, target: &Digest) -> Option<&AtomicU64> {
        let [one, two, ..] = target.as_bytes();
        self.forgotten.get(usize::from(u16::from_be_bytes([*one, *two])) % COUNTERS)
    }

    /// Keeps an answer in the place of the one that it replaces, unless its target was forgotten since `times`.
    pub fn keep(&self, mut stored: Stored, times: u64) {
        stored.size = stored.measure();
        if stored.size > self.most {
            return;
        }
        let mut books = self.lock();
        if self.times_forgotten(&stored.target) != times {
            return;
        }
        let stored = Arc::new(stored);
        let shelf = self.find(&stored.key).unwrap_or_default();
        let others =
            shelf.iter().filter(|other| other.vary != stored.vary || other.selected != stored.selected);
        let shelf = std::iter::once(&stored).chain(others).take(MOST_VARIANTS).cloned().collect();
        books.keys_of.entry(stored.target).or_default().insert(stored.key);
        books.order.push_back(Arc::downgrade(&stored));
        self.put(&mut books, stored.key, stored.target, shelf);
        self.make_room(&mut books);
    }

    /// Puts a shelf in the place of another, an empty one nowhere.
    fn put(&self, books: &mut Books, key: Digest, target: Digest, shelf: Shelf) {
        let shelves = self.shelves.pin();
        let after: usize = shelf.iter().map(|one| one.size).sum();
        let still: Shelf = Arc::clone(&shelf);
        let take_down = |before: &Shelf| {
            for gone in before.iter().filter(|one| !still.iter().any(|other| Arc::ptr_eq(one, other))) {
                gone.body.store(None);
            }
            before.iter().map(|one| one.size).sum::<usize>()
        };
        let before = if shelf.is_empty() {
            if let Some(keys) = books.keys_of.get_mut(&target) {
                keys.remove(&key);
                if keys.is_empty() {
                    books.keys_of.remove(&target);
                }
            }
            shelves.remove(&key).map_or(0, take_down)
        } else {
            shelves.insert(key, shelf).map_or(0, take_down)
        };
        self.kept.fetch_add(after, Ordering::Relaxed);
        self.kept.fetch_sub(before, Ordering::Relaxed);
    }

    /// Takes out what was not used since it was last looked at, until the rest fits.
    fn make_room(&self, books: &mut Books) {
        while self.kept() > self.most {
            let Some(next) = books.order.pop_front() else { return };
            let Some(stored) = next.upgrade() else { continue };
            if stored.used.swap(false, Ordering::Relaxed) {
                books.order.push_back(next);
            } else {
                self.take_out(books, &stored);
            }
        }
        if books.order.len() > 2 * self.shelves.len() * MOST_VARIANTS + 64 {
            books.order.retain(|one| one.strong_count() > 0);
        }
    }

    fn take_out(&self, books: &mut Books, stored: &Arc<Stored>) {
        let Some(shelf) = self.find(&stored.key) else { return };
        let rest: Shelf = shelf.iter().filter(|other| !Arc::ptr_eq(other, stored)).cloned().collect();
        self.put(books, stored.key, stored.target, rest);
    }

    /// Forgets every answer about a target, whoever it was for (RFC 9111, section 4.4).
    pub fn forget(&self, target: &Digest) {
        if let Some(counter) = self.counter(target) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        let mut books = self.lock();
        for key in books.keys_of.remove(target).unwrap_or_default() {
            self.put(&mut books, key, *target, Shelf::default());
        }
    }

    /// Forgets every answer of an API of which `is_current` does not say that it is still the same.
    pub fn keep_only(&self, is_current: impl Fn(ApiId, i64) -> bool) {
        let mut books = self.lock();
        let all: Vec<Arc<Stored>> = books.order.iter().filter_map(Weak::upgrade).collect();
        for stored in all.iter().filter(|stored| !is_current(stored.api, stored.revision)) {
            self.take_out(&mut books, stored);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(key: u8, target: u8, length: usize) -> Stored {
        Stored {
            key: Digest::of(&[key]),
            target: Digest::of(&[target]),
            api: ApiId::generate(),
            revision: 1,
            vary: Vec::new(),
            selected: Digest::of(b""),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Some(Arc::new(Bytes::from(vec![0; length]))).into(),
            size: 0,
            stored_at: 0,
            initial_age: 0,
            lifetime: 60,
            used: AtomicBool::new(false),
        }
    }

    fn has(store: &Store, key: u8) -> bool {
        store.find(&Digest::of(&[key])).is_some()
    }

    #[test]
    fn what_was_not_used_goes_first_when_there_is_no_room() {
        let store = Store::new(4 * (OVERHEAD + 1_000));
        for key in 0..4 {
            store.keep(stored(key, key, 1_000), 0);
        }
        store.find(&Digest::of(&[0])).unwrap()[0].used.store(true, Ordering::Relaxed);
        store.keep(stored(4, 4, 1_000), 0);

        assert_eq!([0, 1, 2, 3, 4].map(|key| has(&store, key)), [true, false, true, true, true]);
        store.keep(stored(5, 5, 5 * (OVERHEAD + 1_000)), 0);
        assert!(!has(&store, 5) && has(&store, 4));
    }

    #[test]
    fn the_books_balance_when_everything_is_gone() {
        let store = Store::new(MOST_BYTES);
        for round in 0..50 {
            let (key, target) = (round % 6, round % 2);
            store.keep(stored(key, target, 100), store.times_forgotten(&Digest::of(&[target])));
        }
        store.forget(&Digest::of(&[0]));
        store.keep_only(|_, _| false);

        assert_eq!(store.kept(), 0);
        assert!(store.shelves.is_empty() && store.lock().keys_of.is_empty());
        let left = store.lock().order.iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        assert!(left.iter().all(|stored| stored.body.load().is_none()));
    }

    #[test]
    fn an_answer_that_was_asked_for_before_its_target_changed_is_not_kept() {
        let store = Store::new(MOST_BYTES);
        let asked = store.times_forgotten(&Digest::of(&[1]));
        store.forget(&Digest::of(&[1]));
        store.keep(stored(1, 1, 10), asked);
        assert!(!has(&store, 1));
    }

    #[test]
    fn room_for_copies_has_an_end() {
        let store = Store::new(10);
        assert!(store.take_room(10) && !store.take_room(1));
        store.give_room(10);
        assert!(store.take_room(1));
    }
}
