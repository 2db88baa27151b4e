//! One run of the comparison: how long, with which binaries, and where its files are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::idp::{Idp, KeyKind};
use shared_claims::clock::Clock;
use tempfile::TempDir;

use crate::load::{Flow, Load};
use crate::optimised;
use crate::process::Process;
use crate::sample::{Comparison, Sample};
use crate::turns::{self, Turns};

/// The servers' names, of packages and of binaries.
pub const SERVERS: [&str; 2] = ["identity-server", "api-manager"];

/// How the scenarios are run. Scenarios take it by reference and ask it for nothing else.
#[derive(Debug)]
pub struct Run {
    /// How many rounds; a ratio is the median over them.
    pub rounds: usize,
    /// Seconds of load a turn.
    pub seconds: u64,
    /// The folder of the servers' binaries.
    pub built: PathBuf,
    /// The folder of configurations, data directories and logs; it ends with the run. On the disk of the workspace, for
    /// commits to memory would cost nothing.
    work: TempDir,
    /// What everybody shows over TLS.
    pub certificate: Certificate,
}

/// A self-signed certificate with a key of P-256, as files.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// One after the other.
    pub both: PathBuf,
}

/// Somebody whose turn it is in a round.
#[derive(Clone, Copy, Debug)]
pub struct Contender<'a> {
    /// What the tables call it. The first one of a comparison is ours.
    pub name: &'a str,
    /// What is accounted.
    pub process: &'a Process,
    /// Where the load goes: scheme, host and port, without a slash at the end.
    pub origin: &'a str,
}

/// The workspace's folder.
///
/// # Panics
/// Never: the crate is in a folder of it.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a folder of the workspace")
}

impl Run {
    /// A run of the servers in the folder `built`.
    ///
    /// # Panics
    /// They are not there.
    #[must_use]
    pub fn prepare(rounds: usize, seconds: u64, built: PathBuf) -> Self {
        for binary in SERVERS {
            assert!(built.join(binary).is_file(), "{} has no {binary}", built.display());
        }
        let target = workspace().join("target");
        std::fs::create_dir_all(&target).expect("the target folder can be made");
        let work = TempDir::with_prefix_in("benches-", target).expect("a temporary directory");
        let certificate = Certificate::make(work.path());
        Self { rounds, seconds, built, work, certificate }
    }

    /// Where configurations, data directories and logs are.
    #[must_use]
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// Writes a file into the work folder.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::write(&path, content).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        path
    }

    /// Whether the servers are those of [`optimised`].
    #[must_use]
    pub fn is_optimised(&self) -> bool {
        let folder = |path: &Path| path.canonicalize().ok();
        folder(&self.built).is_some_and(|built| folder(&optimised::folder()).is_some_and(|of| of == built))
    }

    /// A command as it is shown: without the paths of this machine.
    #[must_use]
    pub fn shown(&self, command: &str) -> String {
        let built = self.built.to_string_lossy();
        command
            .replace(&*self.work().to_string_lossy(), "$WORK")
            .replace(&*built, "target/release")
            .replace(&*workspace().to_string_lossy(), ".")
    }

    /// Lets every contender have a turn a round, A B C, A B C, …, under a load made for it, after one turn each that
    /// does not count.
    pub async fn compare(
        &self,
        title: &str,
        contenders: &[Contender<'_>],
        load: impl Fn(&Contender<'_>) -> Load,
    ) -> Comparison {
        let mut comparison = Comparison::new(title);
        for contender in contenders {
            eprintln!("{title}: {} warms up", contender.name);
            let _ = load(contender).seconds(2).run().await;
        }
        for round in 1..=self.rounds {
            for contender in contenders {
                let sample = self.sample(contender.process, load(contender)).await;
                sample.shows(title, round, contender.name);
                comparison.add(contender.name, sample);
            }
        }
        comparison
    }

    /// As [`Run::compare`] for those who stand close together, in [short turns](crate::turns).
    pub async fn compare_closely(
        &self,
        title: &str,
        contenders: &[Contender<'_>],
        load: impl Fn(&Contender<'_>) -> Flow,
    ) -> Comparison {
        let mut comparison = Comparison::new(title);
        let mut turns = Turns::open((title, turns::TURN), contenders, load).await;
        for round in 1..=self.rounds {
            for _ in 0..self.turns(turns::TURN) {
                turns.next().await;
            }
            turns.samples(round, &mut comparison);
        }
        comparison
    }

    /// How many turns of that length each has in a round.
    #[must_use]
    pub fn turns(&self, lasts: Duration) -> u128 {
        Duration::from_secs(self.seconds).as_millis() / lasts.as_millis()
    }

    /// Puts load on a process once, for as long as a turn lasts, and accounts it from when our own connections are open.
    pub async fn sample(&self, process: &Process, load: Load) -> Sample {
        let load = load.seconds(self.seconds).open().await;
        let before = process.cpu();
        let mut sample = load.run().await;
        let spent = process.cpu().saturating_sub(before);
        (sample.cpu, sample.resident) = (sample.each(spent), process.resident_mib());
        sample
    }
}

impl Certificate {
    fn make(folder: &Path) -> Self {
        let idp = Idp::with_key("https://localhost", "tls", KeyKind::P256, &Clock::System);
        let (certificate, key) =
            (idp.certificate(), idp.key().private_key_to_pem_pkcs8().expect("a key is PEM"));
        let write = |name: &str, parts: &[&[u8]]| {
            let path = folder.join(name);
            std::fs::write(&path, parts.concat()).expect("the work folder can be written to");
            path
        };
        Self {
            certificate: write("tls.pem", &[certificate.as_bytes()]),
            both: write("tls-both.pem", &[certificate.as_bytes(), &key]),
            key: write("tls.key", &[&key]),
        }
    }
}

/// Builds the servers in release; the folder in which they are then.
///
/// # Panics
/// They do not build.
#[must_use]
pub fn build() -> PathBuf {
    eprintln!("building the servers in release");
    assert!(building().status().is_ok_and(|status| status.success()), "the servers do not build");
    workspace().join("target/release")
}

/// The command that builds them in release.
pub(crate) fn building() -> Command {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.current_dir(workspace()).args(["build", "--release", "--locked"]);
    SERVERS.iter().for_each(|server| _ = command.args(["-p", server]));
    command
}
