//! Passwords: Argon2id in a pool that is bounded in threads, memory and queue, so that a login storm starves nothing else.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use shared_claims::secret::{Secret, random};
use tokio::sync::oneshot;

use crate::memory::in_huge_pages;
use queue::{Full, Queue, Work};

/// OWASP's Argon2id cost: 19 MiB of memory, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Passwords that may wait a thread; one more is told to come back.
const QUEUE_PER_THREAD: usize = 32;

/// How long a thread keeps its memory after a password, in case another one comes. Not given back at once either so that what a
/// starting server takes does not settle in the midst of it, where the allocator could not return it.
const KEPT: Duration = Duration::from_secs(2);

/// How much hashing yields to everything else on the machine: a login storm may take every idle cycle, and the threads
/// that serve requests still run the moment they have something to do. At this niceness the kernel leaves it a tenth of
/// a core that is wanted by others, so that people can sign in on a busy machine too.
const NICENESS: i32 = 10;

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

type Job = Box<dyn FnOnce(&mut Tools) + Send>;

/// What a thread hashes with. The memory is handed from one password to the next while there is a next one: having 19
/// MiB mapped and zeroed each time would be work that is no hashing.
struct Tools {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

/// The hashing threads. Each holds 19 MiB while it works, and nothing while it waits for long.
#[derive(Clone)]
pub struct HashingPool {
    jobs: Arc<Queue<Job>>,
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
        let (jobs, work) = Queue::bounded(threads * QUEUE_PER_THREAD);
        for place in 0..threads {
            let work = work.clone();
            std::thread::Builder::new()
                .name(format!("hashing-{place}"))
                .spawn(move || hash_for_all(&work))
                .map_err(|_| HashingError::Failed)?;
        }
        Ok(Self { jobs, dummy: dummy_hash()?.into() })
    }

    /// Hashes a password; the result is a PHC string with its own parameters and salt.
    ///
    /// # Errors
    /// [`HashingError::Busy`] past the queue.
    pub async fn hash(&self, password: Secret) -> Result<String, HashingError> {
        self.run(move |tools| {
            let salt = random::<16>().map_err(|_| HashingError::Failed)?;
            tools.phc_string(&password, &salt).ok_or(HashingError::Failed)
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
        self.run(move |tools| {
            let hash = PasswordHash::new(&hash).map_err(|_| HashingError::Failed)?;
            Ok(tools.matches(&password, &hash) && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tools) -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tools| {
            // The caller may have gone; then nobody wants the answer, and the work is not worth doing either.
            if !answer.is_closed() {
                let _ = answer.send(work(tools));
            }
        });
        self.jobs.add(job).map_err(|Full| HashingError::Busy)?;
        answered.await.map_err(|_| HashingError::Failed)?
    }
}

impl Tools {
    fn new() -> Result<Self, HashingError> {
        let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashingError::Failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        Ok(Self { argon2, memory: Vec::new() })
    }

    /// The password's hash with its own parameters and salt, as a PHC string.
    fn phc_string(&mut self, password: &Secret, salt: &[u8]) -> Option<String> {
        let output = digest(&self.argon2, &mut self.memory, password, salt, Params::DEFAULT_OUTPUT_LEN)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params()).ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(output),
        };
        Some(hash.to_string())
    }

    /// Whether the password has this hash, with whatever parameters that was made.
    fn matches(&mut self, password: &Secret, hash: &PasswordHash) -> bool {
        let mut computed = || {
            let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
            let version =
                hash.version.map_or(Some(Version::default()), |version| Version::try_from(version).ok())?;
            let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).ok()?);
            let length = hash.hash.as_ref()?.as_bytes().len();
            digest(&argon2, &mut self.memory, password, hash.salt.as_ref()?, length)
        };
        // Output compares in constant time.
        computed().is_some_and(|computed| Some(computed) == hash.hash)
    }
}

fn digest(
    argon2: &Argon2<'_>,
    memory: &mut Vec<Block>,
    password: &Secret,
    salt: &[u8],
    length: usize,
) -> Option<Output> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        // Allocated anew, not grown: what it held is of no use. Blocks are read all over it, so that with small pages the processor
        // looks for nearly each of them anew.
        *memory = in_huge_pages(|| vec![Block::default(); blocks]);
    }
    let mut buffer = [0; Output::MAX_LENGTH];
    let output = buffer.get_mut(..length)?;
    let hashed = argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, output, memory);
    hashed.ok()?;
    Output::new(output).ok()
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

fn hash_for_all(work: &Work<Job>) {
    let Ok(mut tools) = Tools::new() else { return };
    // Of this thread alone, as Linux has it; where it is refused, hashing competes like the rest.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("hashing threads keep their priority: {error}");
    }
    while let Some(job) = work.next(KEPT, || tools.memory = Vec::new()) {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut tools)));
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
    async fn a_hash_is_what_everybody_else_makes_of_the_password() {
        use argon2::{PasswordHasher, PasswordVerifier};
        let pool = HashingPool::start(1).unwrap();
        let ours = pool.hash(Secret::new("correct")).await.unwrap();
        let reader = PasswordHash::new(&ours).unwrap();
        assert!(Argon2::default().verify_password(b"correct", &reader).is_ok());
        let cheaper = Argon2::from(Params::new(8_192, 1, 1, Some(24)).unwrap());
        let theirs = cheaper.hash_password_with_salt(b"correct", b"another salt").unwrap().to_string();
        assert_eq!(pool.verify(Secret::new("correct"), Some(theirs)).await, Ok(true));
    }

    #[test]
    fn memory_that_was_used_before_changes_no_hash() {
        let mut tools = Tools::new().unwrap();
        let first = tools.phc_string(&Secret::new("correct"), b"some salt").unwrap();
        let larger = "$argon2id$v=19$m=24576,t=1,p=1$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA";
        assert!(!tools.matches(&Secret::new("correct"), &PasswordHash::new(larger).unwrap()));
        let again = tools.phc_string(&Secret::new("correct"), b"some salt").unwrap();
        assert_eq!(first, again);
        assert_eq!(first, Tools::new().unwrap().phc_string(&Secret::new("correct"), b"some salt").unwrap());
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
