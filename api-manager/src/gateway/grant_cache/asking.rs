//! Misses: what the cache does not know is looked up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use log::error;
use tokio::time::Instant;

use super::{Answer, Cached, CannotLookUp, GrantCache, Kept, lock};
use crate::app::App;
use crate::gateway::credentials::Credential;
use crate::gateway::lookups::Joined;
use crate::gateway::resolve::{self, Wanted};

/// How often a look-up starts again because a revocation overtook it.
const ATTEMPTS: usize = 3;

impl GrantCache {
    /// Finds out, once for all who ask for the same credential at the same time. What is stored is read by
    /// [`GrantCache::read_for_all`], which has to run.
    ///
    /// # Errors
    /// [`CannotLookUp`].
    pub async fn look_up(self: &Arc<Self>, app: &Arc<App>, wanted: Wanted) -> Answer {
        let credential = wanted.credential();
        let joined = self.lookups.join(credential, || match self.get(&credential, Instant::now()) {
            Cached::Known(entry) => Some(Ok(Some(entry))),
            Cached::Unknown => Some(Ok(None)),
            Cached::Miss => None,
        });
        let answer = match joined {
            Joined::Known(answer) => return answer,
            Joined::Full => return Err(CannotLookUp),
            Joined::Waiting(answer) => answer,
            Joined::First(answer) => {
                match wanted {
                    Wanted::Stored(credential) => self.lookups.queue(credential),
                    Wanted::Jwt(..) => self.begin(app, wanted),
                }
                answer
            }
        };
        answer.await.unwrap_or(Err(CannotLookUp))
    }

    /// A task of its own: the one who asked first may hang up, and the others still want to know.
    fn begin(self: &Arc<Self>, app: &Arc<App>, wanted: Wanted) {
        let credential = wanted.credential();
        let ends = EndsLookups { cache: Arc::clone(self), of: vec![credential] };
        let app = Arc::clone(app);
        tokio::spawn(async move {
            ends.cache.ask(&app, &wanted).await;
            ends.all_are_told();
        });
    }

    /// Finds out, and tells those who wait.
    async fn ask(&self, app: &App, wanted: &Wanted) {
        let credential = wanted.credential();
        for _ in 0..ATTEMPTS {
            let heard = lock(&self.feed).heard;
            self.count(1);
            let principal = match resolve::resolve(app, wanted).await {
                Ok(Some(principal)) => principal,
                Ok(None) => return self.tell_unknown(&credential),
                Err(CannotLookUp) => break,
            };
            if let Some(Kept { entry, waiting }) = self.keep(&credential, principal, heard) {
                return waiting.tell(&Ok(Some(entry)));
            }
        }
        self.lookups.tell(&credential, &Err(CannotLookUp));
    }

    fn tell_unknown(&self, credential: &Credential) {
        self.remember_unknown(credential);
        self.lookups.tell(credential, &Ok(None));
    }

    /// Reads what is asked for, for as long as the gateway runs.
    pub async fn read_for_all(self: Arc<Self>, app: Arc<App>) {
        loop {
            let batch = self.lookups.next().await;
            let ends = EndsLookups { cache: Arc::clone(&self), of: batch };
            // Here, and not in a task of its own: each hand-over costs more than a look-up.
            let read = AssertUnwindSafe(self.read_batch(&app, ends.of.clone())).catch_unwind().await;
            match read {
                Ok(()) => ends.all_are_told(),
                Err(_) => error!("a look-up panicked"),
            }
        }
    }

    async fn read_batch(&self, app: &App, mut left: Vec<Credential>) {
        for _ in 0..ATTEMPTS {
            let heard = lock(&self.feed).heard;
            self.count(u64::try_from(left.len()).unwrap_or_default());
            let Ok(mut found) = resolve::read_all(app, left.clone()).await else { break };
            let mut again = Vec::new();
            for credential in left {
                let Some(principal) = found.remove(&credential) else {
                    self.tell_unknown(&credential);
                    continue;
                };
                match principal.map(|principal| self.keep(&credential, principal, heard)) {
                    Err(CannotLookUp) => self.lookups.tell(&credential, &Err(CannotLookUp)),
                    Ok(Some(Kept { entry, waiting })) => waiting.tell(&Ok(Some(entry))),
                    Ok(None) => again.push(credential),
                }
            }
            if again.is_empty() {
                return;
            }
            left = again;
        }
        left.iter().for_each(|credential| self.lookups.tell(credential, &Err(CannotLookUp)));
    }
}

/// Ends look-ups even where they panic: nobody may wait for them for ever.
struct EndsLookups {
    cache: Arc<GrantCache>,
    of: Vec<Credential>,
}

impl EndsLookups {
    /// Leaves those alone who have begun to wait for the same credentials since.
    fn all_are_told(mut self) {
        self.of.clear();
    }
}

impl Drop for EndsLookups {
    fn drop(&mut self) {
        self.cache.lookups.give_up(&self.of);
    }
}
