//! Physical limits: what the libraries can do without us, on one thread, in that thread's CPU time. Measured in each round
//! beside us, for the machine drifts.

mod hello;
mod inserts;
mod postgres;

use std::ops::AddAssign;
use std::process::Command;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use nix::time::{ClockId, clock_gettime};
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{Signer, Verifier};
use shared_claims::signature::{KeyKind, PrivateKey};

pub use hello::{Hello, serve};
pub use inserts::Inserts;
pub use postgres::{Commit, Postgres};

/// About as long as the signed part of a token.
const MESSAGE: [u8; 400] = [b'x'; 400];

/// What calls took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Of the CPU.
    spent: Duration,
    /// Of the clock.
    lasted: Duration,
    calls: usize,
}

impl Cost {
    /// Of the CPU, in microseconds a call.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub fn each(&self) -> f64 {
        self.spent.as_secs_f64() * 1e6 / self.calls as f64
    }

    /// Calls a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.lasted.as_secs_f64()
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.spent += other.spent;
        self.lasted += other.lasted;
        self.calls += other.calls;
    }
}

/// Calls again and again on this thread for that long, and accounts this thread.
fn per_call(lasts: Duration, mut call: impl FnMut()) -> Cost {
    let (began, spent, mut calls) = (Instant::now(), thread_cpu(), 0);
    while began.elapsed() < lasts {
        (0..8).for_each(|_| call());
        calls += 8;
    }
    Cost { spent: thread_cpu() - spent, lasted: began.elapsed(), calls }
}

fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread has a clock").into()
}

fn process_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a process has a clock").into()
}

fn key(kind: KeyKind) -> PKey<Private> {
    PrivateKey::generate(kind).expect("OpenSSL makes keys").pkey().clone()
}

/// RS256 verifications with one key that is parsed already.
pub struct Verifications {
    key: PKey<Private>,
    signature: Vec<u8>,
}

impl Verifications {
    /// With a new key.
    ///
    /// # Panics
    /// OpenSSL does not sign.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "another key each time is no default")]
    pub fn new() -> Self {
        let key = key(KeyKind::Rsa);
        let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
        let signature = signer.sign_oneshot_to_vec(&MESSAGE).expect("a signature");
        drop(signer);
        Self { key, signature }
    }

    /// For that long, one after the other.
    ///
    /// # Panics
    /// OpenSSL does not verify.
    #[must_use]
    pub fn turn(&self, lasts: Duration) -> Cost {
        per_call(lasts, || {
            let mut verifier = Verifier::new(MessageDigest::sha256(), &self.key).expect("a verifier");
            assert!(verifier.verify_oneshot(&self.signature, &MESSAGE).expect("a verdict"));
        })
    }
}

/// RSA-2048 signatures of one digest with one context, as `openssl speed` makes them, by the OpenSSL that the servers link.
pub struct Signatures {
    context: PkeyCtx<Private>,
}

impl Signatures {
    /// With a new key.
    ///
    /// # Panics
    /// OpenSSL does not sign.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "another key each time is no default")]
    pub fn new() -> Self {
        let mut context = PkeyCtx::new(&key(KeyKind::Rsa)).expect("a context");
        context.sign_init().expect("RSA signs");
        context.set_rsa_padding(Padding::PKCS1).expect("RSA pads");
        context.set_signature_md(Md::sha256()).expect("RSA takes SHA-256");
        Self { context }
    }

    /// For that long, one after the other.
    ///
    /// # Panics
    /// OpenSSL does not sign.
    pub fn turn(&mut self, lasts: Duration) -> Cost {
        let mut signature = [0; 256];
        per_call(lasts, || {
            self.context.sign(&[7; 32], Some(&mut signature)).expect("a signature");
        })
    }
}

/// What the system's `openssl speed` says of RSA-2048: its version, and microseconds a signature. `None` where there is
/// no such tool.
#[must_use]
pub fn openssl_speed() -> Option<(String, f64)> {
    let version = Command::new("openssl").arg("version").output().ok()?;
    let version = String::from_utf8(version.stdout).ok()?.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let said = Command::new("openssl").args(["speed", "-seconds", "1", "rsa2048"]).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let line = said.lines().find(|line| line.trim_start().starts_with("rsa"))?;
    let each = line.split_whitespace().find_map(|word| word.strip_suffix('s')?.parse::<f64>().ok())?;
    Some((version, each * 1e6))
}

/// Argon2id with the servers' cost on so many threads, each with memory of its own that it keeps: hashes a second, and
/// CPU time of one in milliseconds.
#[must_use]
pub fn hashes(threads: usize, turn: Duration) -> (f64, f64) {
    let (began, spent) = (Instant::now(), process_cpu());
    let hashed: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(move || hash_until(began + turn))).collect();
        threads.into_iter().map(|thread| thread.join().expect("hashing does not panic")).sum()
    });
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), process_cpu() - spent);
    (f64::from(hashed) / seconds, cpu.as_secs_f64() * 1e3 / f64::from(hashed))
}

fn hash_until(end: Instant) -> u32 {
    let parameters = Params::new(19_456, 2, 1, None).expect("the servers' own cost");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let (mut memory, mut output) = (vec![Block::default(); argon2.params().block_count()], [0; 32]);
    let mut hashed = 0;
    while Instant::now() < end {
        argon2
            .hash_password_into_with_memory(b"password", b"sixteen bytes...", &mut output, &mut memory)
            .expect("a hash");
        hashed += 1;
    }
    hashed
}
