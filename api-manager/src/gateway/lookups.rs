//! Who waits for which credential to be looked up. All who ask for the same one wait for one look-up, and what is stored is
//! read many at a time: a flood of junk costs a probe of an index each, not a turn of the database.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::credentials::Credential;
use super::grant_cache::Answer;

/// The most that are read at once.
const BATCH: usize = 256;

/// The look-ups in flight; touched by misses only.
pub struct Lookups {
    state: Mutex<State>,
    queued: Notify,
    most: usize,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Credential, Vec<oneshot::Sender<Answer>>>,
    /// Those of them that are stored and that nobody reads yet.
    queue: VecDeque<Credential>,
}

/// What came of asking for a look-up.
pub enum Joined {
    /// It is known by now.
    Known(Answer),
    /// The first who asks has to see to it.
    First(oneshot::Receiver<Answer>),
    /// Somebody sees to it already.
    Waiting(oneshot::Receiver<Answer>),
    /// There are too many.
    Full,
}

/// Those who wait for one credential.
pub struct Waiting(Vec<oneshot::Sender<Answer>>);

impl Waiting {
    /// Tells them.
    pub fn tell(self, answer: &Answer) {
        for one in self.0 {
            // Whoever asked may have hung up.
            let _ = one.send(answer.clone());
        }
    }
}

impl Lookups {
    /// None yet, and never more than `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { state: Mutex::default(), queued: Notify::new(), most }
    }

    /// Waits for a credential, unless `known` says that a look-up ended meanwhile.
    pub fn join(&self, credential: Credential, known: impl FnOnce() -> Option<Answer>) -> Joined {
        let mut state = self.lock();
        if let Some(answer) = known() {
            return Joined::Known(answer);
        }
        let is_full = state.waiting.len() >= self.most;
        let (tell, answer) = oneshot::channel();
        match state.waiting.get_mut(&credential) {
            Some(others) => {
                others.push(tell);
                Joined::Waiting(answer)
            }
            None if is_full => Joined::Full,
            None => {
                state.waiting.insert(credential, vec![tell]);
                Joined::First(answer)
            }
        }
    }

    /// Lets a credential be read with others.
    pub fn queue(&self, credential: Credential) {
        self.lock().queue.push_back(credential);
        self.queued.notify_one();
    }

    /// The next that are to be read, in the order in which they were asked for.
    pub async fn next(&self) -> Vec<Credential> {
        loop {
            let queued = self.queued.notified();
            {
                let mut state = self.lock();
                let many = state.queue.len().min(BATCH);
                let batch: Vec<Credential> = state.queue.drain(..many).collect();
                if !state.queue.is_empty() {
                    self.queued.notify_one();
                }
                if !batch.is_empty() {
                    return batch;
                }
            }
            queued.await;
        }
    }

    /// Takes out those who wait for a credential: who asks for it from now on begins another look-up.
    #[must_use]
    pub fn take(&self, credential: &Credential) -> Waiting {
        Waiting(self.lock().waiting.remove(credential).unwrap_or_default())
    }

    /// Tells those who wait for a credential.
    pub fn tell(&self, credential: &Credential, answer: &Answer) {
        self.take(credential).tell(answer);
    }

    /// Nobody will tell those who wait for these: each hears that nothing could be found out.
    pub fn give_up(&self, credentials: &[Credential]) {
        let mut state = self.lock();
        let waiting: Vec<_> = credentials.iter().filter_map(|one| state.waiting.remove(one)).collect();
        drop(state);
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
