//! What the gateway remembers of credentials: facts, never verdicts. A hit touches no lock and no database.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared_claims::clock::UnixTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::credentials::Credential;
use super::resolve::{Wanted, resolve};
use crate::app::App;
use crate::domain::principal::Principal;
use crate::domain::revocation::Revocation;
use crate::domain::scheme::Scheme;

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
            grants: 200_000,
            unknown: 65_536,
            unknown_for: Duration::from_secs(1),
            lookups: 4_096,
            trust: Duration::from_secs(5),
        }
    }
}

/// Revocations that a look-up in flight is held against.
const RECENT: usize = 1_024;
/// How often a look-up starts again because a revocation overtook it.
const ATTEMPTS: usize = 3;

/// A remembered caller.
pub struct Entry {
    /// The facts.
    pub principal: Principal,
    /// The sweep before which it was last used.
    used: AtomicU64,
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

/// The database could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential cannot be looked up now")]
pub struct CannotLookUp;

type Answer = Result<Option<Arc<Entry>>, CannotLookUp>;

/// The cache.
pub struct GrantCache {
    limits: CacheLimits,
    known: papaya::HashMap<Credential, Arc<Entry>>,
    /// Until when, in milliseconds since `started`.
    unknown: papaya::HashMap<Credential, u64>,
    /// The look-ups in flight; touched by misses only.
    lookups: Mutex<HashMap<Credential, watch::Receiver<Option<Answer>>>>,
    feed: Mutex<Feed>,
    /// When the revocation feed was last read to its end, in milliseconds since `started`.
    fed_at: AtomicU64,
    started: Instant,
    sweeps: AtomicU64,
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
            known: papaya::HashMap::new(),
            unknown: papaya::HashMap::new(),
            lookups: Mutex::default(),
            feed: Mutex::default(),
            fed_at: AtomicU64::new(0),
            started: Instant::now(),
            sweeps: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        }
    }

    /// What is remembered of a credential.
    #[must_use]
    pub fn get(&self, credential: &Credential) -> Cached {
        let now = self.milliseconds();
        // Without the feed, a revocation made elsewhere would go unheard: the database has to be asked each time.
        if !self.is_fed(now) {
            return Cached::Miss;
        }
        if let Some(entry) = self.known.pin().get(credential) {
            let sweep = self.sweeps.load(Ordering::Relaxed);
            if entry.used.load(Ordering::Relaxed) != sweep {
                entry.used.store(sweep, Ordering::Relaxed);
            }
            return Cached::Known(Arc::clone(entry));
        }
        match self.unknown.pin().get(credential) {
            Some(until) if now < *until => Cached::Unknown,
            _ => Cached::Miss,
        }
    }

    /// Finds out, once for all who ask for the same credential at the same time.
    ///
    /// # Errors
    /// [`CannotLookUp`].
    pub async fn look_up(self: &Arc<Self>, app: &Arc<App>, wanted: Wanted) -> Answer {
        let credential = wanted.credential();
        let mut answer = {
            let mut lookups = lock(&self.lookups);
            // Another's look-up may have ended since the caller missed.
            match self.get(&credential) {
                Cached::Known(entry) => return Ok(Some(entry)),
                Cached::Unknown => return Ok(None),
                Cached::Miss => {}
            }
            if let Some(answer) = lookups.get(&credential) {
                answer.clone()
            } else if lookups.len() >= self.limits.lookups {
                return Err(CannotLookUp);
            } else {
                let (tell, answer) = watch::channel(None);
                lookups.insert(credential, answer.clone());
                // A task of its own: the one who asked first may hang up, and the others still want to know.
                let ends = EndsLookup { cache: Arc::clone(self), credential };
                let app = Arc::clone(app);
                tokio::spawn(async move {
                    let answer = ends.cache.ask(&app, &wanted).await;
                    drop(ends);
                    tell.send_replace(Some(answer));
                });
                answer
            }
        };
        match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Err(CannotLookUp)),
            Err(_) => Err(CannotLookUp),
        }
    }

    async fn ask(&self, app: &App, wanted: &Wanted) -> Answer {
        let credential = wanted.credential();
        for _ in 0..ATTEMPTS {
            let heard = lock(&self.feed).heard;
            self.asked.fetch_add(1, Ordering::Relaxed);
            let Some(principal) = resolve(app, wanted).await? else {
                self.remember_unknown(credential);
                return Ok(None);
            };
            if let Some(entry) = self.keep(credential, principal, heard) {
                return Ok(Some(entry));
            }
        }
        Err(CannotLookUp)
    }

    /// Remembers a caller that was read when `heard` revocations had been heard; `None` where one that came since may
    /// speak of this caller, who must then be read again: the late insert would undo it.
    fn keep(&self, credential: Credential, principal: Principal, heard: u64) -> Option<Arc<Entry>> {
        let feed = lock(&self.feed);
        let missed = usize::try_from(feed.heard.saturating_sub(heard)).unwrap_or(usize::MAX);
        let overtaken = missed > feed.recent.len()
            || feed.recent.iter().rev().take(missed).any(|revocation| principal.is_taken_back_by(revocation));
        if overtaken {
            return None;
        }
        let used = AtomicU64::new(self.sweeps.load(Ordering::Relaxed));
        let entry = Arc::new(Entry { principal, used });
        // A full cache serves whom it has; the sweep makes room within a second.
        if self.known.len() < self.limits.grants + self.limits.grants / 8 {
            self.known.pin().insert(credential, Arc::clone(&entry));
        }
        // Held until here, so that a revocation is either in `recent` above or finds the entry.
        drop(feed);
        Some(entry)
    }

    fn remember_unknown(&self, credential: Credential) {
        if self.unknown.len() < self.limits.unknown {
            let bound = u64::try_from(self.limits.unknown_for.as_millis()).unwrap_or(u64::MAX);
            self.unknown.pin().insert(credential, self.milliseconds().saturating_add(bound));
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
            self.known.pin().remove(&Credential { scheme: Scheme::Token, digest: *digest });
            return;
        }
        self.known.pin().retain(|_, entry| !entry.principal.is_taken_back_by(revocation));
    }

    /// Forgets one credential, of which more has become known.
    pub fn forget_one(&self, credential: &Credential) {
        self.known.pin().remove(credential);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        {
            let mut feed = lock(&self.feed);
            // More than any look-up in flight can have heard: none of them is kept.
            feed.heard += 1;
            feed.recent.clear();
        }
        self.known.pin().clear();
        self.unknown.pin().clear();
    }

    /// The revocation feed was read to its end, by a read that began at `then`.
    pub fn fed(&self, then: Instant) {
        let since =
            u64::try_from(then.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
        self.fed_at.fetch_max(since, Ordering::Relaxed);
    }

    /// How long ago the feed was last read to its end.
    #[must_use]
    pub fn unfed_for(&self) -> Duration {
        Duration::from_millis(self.milliseconds().saturating_sub(self.fed_at.load(Ordering::Relaxed)))
    }

    /// Makes room: what has expired, and of what is too much, that which was unused for longest. Once a second.
    pub fn sweep(&self, now: UnixTime) {
        let sweep = self.sweeps.fetch_add(1, Ordering::Relaxed);
        let moment = self.milliseconds();
        self.unknown.pin().retain(|_, until| moment < *until);

        let full = self.known.len() > self.limits.grants;
        if full || sweep % 30 == 29 {
            self.known.pin().retain(|_, entry| !entry.principal.has_expired(now));
        }
        let excess = self.known.len().saturating_sub(self.limits.grants);
        if excess > 0 {
            let mut used: Vec<u64> =
                self.known.pin().iter().map(|(_, entry)| entry.used.load(Ordering::Relaxed)).collect();
            // Some more than the excess, so that this is not needed again at once.
            let last = (excess + self.limits.grants / 16).min(used.len().saturating_sub(1));
            let (_, oldest_kept, _) = used.select_nth_unstable(last);
            let (oldest_kept, mut room) = (*oldest_kept, last);
            self.known.pin().retain(|_, entry| {
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
        self.known.is_empty()
    }

    /// How often the database was asked.
    #[must_use]
    pub fn times_asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn is_fed(&self, now: u64) -> bool {
        let ago = now.saturating_sub(self.fed_at.load(Ordering::Relaxed));
        Duration::from_millis(ago) <= self.limits.trust
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Ends a look-up even where it panics: nobody may wait for it for ever.
struct EndsLookup {
    cache: Arc<GrantCache>,
    credential: Credential,
}

impl Drop for EndsLookup {
    fn drop(&mut self) {
        lock(&self.cache.lookups).remove(&self.credential);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
