//! Passwords: Argon2id in a pool that is bounded in threads, memory and queue, so that a login storm starves nothing else.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use shared_claims::secret::{Secret, random};
use tokio::sync::oneshot;

/// OWASP's Argon2id cost: 19 MiB of memory, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Passwords that may wait a thread; one more is told to come back.
const QUEUE_PER_THREAD: usize = 32;

/// The longest password that is hashed, in bytes.
pub const LONGEST_PASSWORD: usize = 1_024;

/// Why a password was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashingError {
    /// The queue is full: 503 with `Retry-After`.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// Argon2 or the random source failed, or a stored hash cannot be read.
    #[error("hashing failed")]
    Failed,
}

type Job = Box<dyn FnOnce(&Argon2<'static>) + Send>;

/// The hashing threads. Each holds 19 MiB while it works and nothing while it waits.
#[derive(Clone)]
pub struct HashingPool {
    jobs: SyncSender<Job>,
    /// What an unknown user's password is compared with, so that it takes as long as a known one's.
    dummy: Arc<str>,
}

impl HashingPool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// [`HashingError::Failed`] where no thread or no random bytes are to be had.
    pub fn start(threads: usize) -> Result<Self, HashingError> {
        let threads = threads.max(1);
        let (jobs, queue) = sync_channel::<Job>(threads * QUEUE_PER_THREAD);
        let queue = Arc::new(Mutex::new(queue));
        for place in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("hashing-{place}"))
                .spawn(move || work(&queue))
                .map_err(|_| HashingError::Failed)?;
        }
        Ok(Self { jobs, dummy: dummy_hash()?.into() })
    }

    /// Hashes a password; the result is a PHC string with its own parameters and salt.
    ///
    /// # Errors
    /// [`HashingError::Busy`] past the queue.
    pub async fn hash(&self, password: Secret) -> Result<String, HashingError> {
        self.run(move |argon2| {
            let salt = random::<16>().map_err(|_| HashingError::Failed)?;
            let hash = argon2.hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|h| h.to_string()).map_err(|_| HashingError::Failed)
        })
        .await
    }

    /// Whether the password is the one that was hashed; `None` costs the same and is never right.
    ///
    /// # Errors
    /// [`HashingError::Busy`] past the queue.
    pub async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, HashingError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.to_string());
        self.run(move |argon2| {
            let hash = PasswordHash::new(&hash).map_err(|_| HashingError::Failed)?;
            let matches = argon2.verify_password(password.expose().as_bytes(), &hash).is_ok();
            Ok(matches && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |argon2| {
            // The caller may have gone; then nobody wants the answer, and the work is not worth doing either.
            if !answer.is_closed() {
                let _ = answer.send(work(argon2));
            }
        });
        self.jobs.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => HashingError::Busy,
            TrySendError::Disconnected(_) => HashingError::Failed,
        })?;
        answered.await.map_err(|_| HashingError::Failed)?
    }
}

fn argon2() -> Result<Argon2<'static>, HashingError> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashingError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

/// A well-formed hash with the pool's own cost that no password matches in practice.
fn dummy_hash() -> Result<String, HashingError> {
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    let (salt, output) = (random::<16>(), random::<32>());
    let (Ok(salt), Ok(output)) = (salt, output) else { return Err(HashingError::Failed) };
    let cost = format!("m={MEMORY_KIB},t={PASSES},p={LANES}");
    Ok(format!("$argon2id$v=19${cost}${}${}", encode(&salt), encode(&output)))
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let Ok(argon2) = argon2() else { return };
    loop {
        // The lock is held while waiting, not while hashing.
        let next = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(poisoned) => poisoned.into_inner().recv(),
        };
        let Ok(job) = next else { return };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&argon2)));
        if done.is_err() {
            log::error!("a hashing job panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let pool = HashingPool::start(1).unwrap();
        let hash = pool.hash(Secret::new("correct")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(pool.verify(Secret::new("correct"), Some(hash.clone())).await, Ok(true));
        assert_eq!(pool.verify(Secret::new("wrong"), Some(hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn an_unknown_user_is_compared_and_never_right() {
        let pool = HashingPool::start(1).unwrap();
        assert_eq!(pool.verify(Secret::new("anything"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let pool = HashingPool::start(1).unwrap();
        let waiting: Vec<_> = (0..200)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.verify(Secret::new("x"), None).await })
            })
            .collect();
        let mut busy = 0;
        for one in waiting {
            busy += usize::from(one.await.unwrap() == Err(HashingError::Busy));
        }
        assert!(busy > 0);
    }
}
