//! What the gateway remembers of credentials: facts, never verdicts. A hit touches no lock and no database.

mod asking;
mod known;

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use seize::Collector;
use shared_claims::clock::UnixTime;
use tokio::time::Instant;

use super::credentials::Credential;
use super::lookups::{Lookups, Waiting};
use crate::ahead;
use crate::domain::by_grant::Terms;
use crate::domain::principal::Principal;
use crate::domain::revocation::Revocation;
use crate::domain::scheme::Scheme;
use known::Known;

/// Bounds of the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// The most callers that are remembered.
    pub grants: usize,
    /// The most unknown credentials that are remembered.
    pub unknown: usize,
    /// How long a credential stays unknown.
    pub unknown_for: Duration,
    /// The most look-ups at once.
    pub lookups: usize,
    /// How long hits count after the revocation feed was last read.
    pub trust: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            grants: 1_000_000,
            unknown: 262_144,
            unknown_for: Duration::from_secs(1),
            lookups: 16_384,
            trust: Duration::from_secs(5),
        }
    }
}

/// Revocations that a look-up in flight is held against.
const RECENT: usize = 1_024;

/// A remembered caller.
pub struct Entry {
    /// The facts.
    pub principal: Principal,
    /// The sweep before which it was last used.
    used: AtomicU32,
    /// Whose facts they are.
    place: Place,
}

impl Entry {
    /// Has fetched what every call reads of it.
    fn fetch(&self) {
        ahead::fetch(self);
        ahead::fetch(&self.used);
    }
}

/// What the cache says of a credential.
pub enum Cached {
    /// It stands for this.
    Known(Arc<Entry>),
    /// The database did not know it a moment ago.
    Unknown,
    /// Only the database can tell.
    Miss,
}

/// A caller that is remembered from now on, and those who were waiting for it.
struct Kept {
    entry: Arc<Entry>,
    waiting: Waiting,
}

/// The database could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential cannot be looked up now")]
pub struct CannotLookUp;

/// What comes of a look-up.
pub type Answer = Result<Option<Arc<Entry>>, CannotLookUp>;

/// What a credential is kept by: half of its digest, turned into another for each scheme but the first, so that none of
/// these takes the place of another. Eight bytes more would be eight more of memory, a million times. No shorter: whom it
/// stands for must not be a guess, and it takes 2^108 of them to meet one of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place([u8; 16]);

impl From<&Credential> for Place {
    fn from(Credential { scheme, digest }: &Credential) -> Self {
        let turn = match scheme {
            Scheme::Token => 0x00,
            Scheme::ApiKey => 0x55,
            Scheme::Jwt => 0xaa,
            Scheme::ClientCertificate => 0xff,
        };
        let mut place = [0; 16];
        place.iter_mut().zip(digest.as_bytes()).for_each(|(into, byte)| *into = byte ^ turn);
        Self(place)
    }
}

impl Hash for Place {
    /// The bytes of a digest are as good as random.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// The cache.
pub struct GrantCache {
    limits: CacheLimits,
    known: Known,
    /// Until when, in milliseconds since `started`.
    unknown: papaya::HashMap<Place, u64, RandomState>,
    /// What grants share.
    terms: Mutex<HashSet<Arc<Terms>>>,
    lookups: Lookups,
    feed: Mutex<Feed>,
    /// When the revocation feed was last read to its end, in milliseconds since `started`.
    fed_at: AtomicU64,
    started: Instant,
    sweeps: AtomicU32,
    asked: AtomicU64,
}

/// The revocations heard, counted.
#[derive(Default)]
struct Feed {
    heard: u64,
    recent: VecDeque<Revocation>,
}

impl GrantCache {
    /// An empty cache that has just read the feed.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            known: Known::default(),
            unknown: table(),
            terms: Mutex::default(),
            lookups: Lookups::new(limits.lookups),
            feed: Mutex::default(),
            fed_at: AtomicU64::new(0),
            started: Instant::now(),
            sweeps: AtomicU32::new(0),
            asked: AtomicU64::new(0),
        }
    }

    /// Has fetched where is looked first for what is remembered of a credential.
    pub fn fetch_slot(&self, credential: &Credential) {
        self.known.fetch_slot(&credential.into());
    }

    /// Has fetched what is remembered of a credential.
    pub fn fetch_entry(&self, credential: &Credential) {
        self.known.fetch_entry(&credential.into());
    }

    /// What is remembered of a credential.
    #[must_use]
    pub fn get(&self, credential: &Credential, now: Instant) -> Cached {
        let now = self.milliseconds(now);
        // Without the feed, a revocation made elsewhere would go unheard: the database has to be asked each time.
        if !self.is_fed(now) {
            return Cached::Miss;
        }
        let place = Place::from(credential);
        if let Some(entry) = self.known.get(&place) {
            let sweep = self.sweeps.load(Ordering::Relaxed);
            if entry.used.load(Ordering::Relaxed) != sweep {
                entry.used.store(sweep, Ordering::Relaxed);
            }
            return Cached::Known(entry);
        }
        match self.unknown.pin().get(&place) {
            Some(until) if now < *until => Cached::Unknown,
            _ => Cached::Miss,
        }
    }

    /// Remembers a caller that was read when `heard` revocations had been heard, for those to hear who wait for it by now;
    /// `None` where one that came since may speak of this caller, who must then be read again: the late insert would undo it.
    fn keep(&self, credential: &Credential, mut principal: Principal, heard: u64) -> Option<Kept> {
        if let Principal::Grant(caller) = &mut principal {
            caller.share(&mut lock(&self.terms));
        }
        let feed = lock(&self.feed);
        let missed = usize::try_from(feed.heard.saturating_sub(heard)).unwrap_or(usize::MAX);
        let overtaken = missed > feed.recent.len()
            || feed
                .recent
                .iter()
                .rev()
                .take(missed)
                .any(|revocation| speaks_of(revocation, credential, &principal));
        if overtaken {
            return None;
        }
        let used = AtomicU32::new(self.sweeps.load(Ordering::Relaxed));
        let entry = Arc::new(Entry { principal, used, place: credential.into() });
        // A full cache serves whom it has; the sweep makes room within a second.
        if self.known.len() < self.limits.grants + self.limits.grants / 8 {
            self.known.insert(Arc::clone(&entry));
        }
        // Whoever asks after a revocation that comes from now on must not hear of what was read before it.
        let waiting = self.lookups.take(credential);
        // Held until here, so that a revocation is either in `recent` above or finds the entry and nobody who waits for it.
        drop(feed);
        Some(Kept { entry, waiting })
    }

    fn remember_unknown(&self, credential: &Credential) {
        if self.unknown.len() < self.limits.unknown {
            let bound = u64::try_from(self.limits.unknown_for.as_millis()).unwrap_or(u64::MAX);
            let until = self.milliseconds(Instant::now()).saturating_add(bound);
            self.unknown.pin().insert(credential.into(), until);
        }
    }

    /// Forgets what a revocation speaks of. Walks the whole cache unless it names one token.
    pub fn forget(&self, revocation: &Revocation) {
        {
            let mut feed = lock(&self.feed);
            feed.heard += 1;
            feed.recent.push_back(revocation.clone());
            if feed.recent.len() > RECENT {
                feed.recent.pop_front();
            }
        }
        if let Revocation::Token(digest) = revocation {
            self.known.remove(&Place::from(&Credential { scheme: Scheme::Token, digest: *digest }));
            return;
        }
        self.known.retain(|entry| !entry.principal.is_taken_back_by(revocation));
    }

    /// Forgets one credential, of which more has become known.
    pub fn forget_one(&self, credential: &Credential) {
        self.known.remove(&Place::from(credential));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        {
            let mut feed = lock(&self.feed);
            // More than any look-up in flight can have heard: none of them is kept.
            feed.heard += 1;
            feed.recent.clear();
        }
        self.known.clear();
        self.unknown.pin().clear();
    }

    /// The revocation feed was read to its end, by a read that began at `then`.
    pub fn fed(&self, then: Instant) {
        self.fed_at.fetch_max(self.milliseconds(then), Ordering::Relaxed);
    }

    /// How long ago the feed was last read to its end.
    #[must_use]
    pub fn unfed_for(&self) -> Duration {
        Duration::from_millis(
            self.milliseconds(Instant::now()).saturating_sub(self.fed_at.load(Ordering::Relaxed)),
        )
    }

    /// Makes room: what has expired, and of what is too much, that which was unused for longest. Once a second.
    pub fn sweep(&self, now: UnixTime) {
        let sweep = self.sweeps.fetch_add(1, Ordering::Relaxed);
        let moment = self.milliseconds(Instant::now());
        if !self.unknown.is_empty() {
            self.unknown.pin().retain(|_, until| moment < *until);
        }

        let full = self.known.len() > self.limits.grants;
        if full || sweep % 30 == 29 {
            self.known.retain(|entry| !entry.principal.has_expired(now));
            lock(&self.terms).retain(|terms| Arc::strong_count(terms) > 1);
        }
        let excess = self.known.len().saturating_sub(self.limits.grants);
        if excess > 0 {
            let mut used = Vec::new();
            self.known.each(|entry| used.push(entry.used.load(Ordering::Relaxed)));
            // Some more than the excess, so that this is not needed again at once.
            let last = (excess + self.limits.grants / 16).min(used.len().saturating_sub(1));
            let (_, oldest_kept, _) = used.select_nth_unstable(last);
            let (oldest_kept, mut room) = (*oldest_kept, last);
            self.known.retain(|entry| {
                let goes = room > 0 && entry.used.load(Ordering::Relaxed) <= oldest_kept;
                room -= usize::from(goes);
                !goes
            });
        }
    }

    /// The number of callers that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no caller is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.len() == 0
    }

    /// How often the database was asked.
    #[must_use]
    pub fn times_asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn count(&self, lookups: u64) {
        self.asked.fetch_add(lookups, Ordering::Relaxed);
    }

    fn is_fed(&self, now: u64) -> bool {
        let ago = now.saturating_sub(self.fed_at.load(Ordering::Relaxed));
        Duration::from_millis(ago) <= self.limits.trust
    }

    fn milliseconds(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.started);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An empty table. What is taken out of it is freed when a thread has taken out four, not thirty-two: these may be whole
/// tables that were outgrown.
fn table() -> papaya::HashMap<Place, u64, RandomState> {
    let collector = Collector::new().batch_size(4);
    papaya::HashMap::builder().hasher(RandomState::default()).collector(collector).build()
}

/// Whether the caller is taken back: one by a token also by its digest.
fn speaks_of(revocation: &Revocation, credential: &Credential, principal: &Principal) -> bool {
    match revocation {
        Revocation::Token(digest) => credential.scheme == Scheme::Token && credential.digest == *digest,
        other => principal.is_taken_back_by(other),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
