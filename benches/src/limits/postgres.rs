//! A PostgreSQL of our own for as long as a scenario lasts, and what `pgbench` says of durable commits on it.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Process, free_addresses};
use crate::run::{Run, workspace};

/// The two rows of an exchange, as `pgbench` writes them: in a transaction of two statements.
const TWO: &str = "BEGIN;
INSERT INTO grants (id, access_digest, consumer_key, application_id, key_type, subject, issuer, identity_provider_id,
    key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, family)
SELECT id, sha256(id::bytea), 'f8d0b3a67c7b4b0e9c3fd8a0e1d2c3b4', '01933333-0000-7000-8000-000000000000', 'production',
    'person-' || right(id, 4), 'https://idp.example', '01933333-0000-7000-8000-000000000001',
    'mJ0aOPfBWJ0N2Z4Sz1R4OWnQAwHkbk1SvcQrGxJmB2s', id, sha256(id::bytea), 'default', 1, 4102444800, id
FROM (SELECT gen_random_uuid()::text AS id) AS fresh;
INSERT INTO used_assertions (issuer, replay_key, expires_at)
SELECT 'https://idp.example', sha256(gen_random_uuid()::text::bytea), 4102444800;
COMMIT;
";

/// The same in one statement, which takes one round trip, as an exchange does.
const ONE: &str = "WITH fresh AS (SELECT gen_random_uuid()::text AS id),
used AS (INSERT INTO used_assertions (issuer, replay_key, expires_at)
    SELECT 'https://idp.example', sha256(id::bytea), 4102444800 FROM fresh)
INSERT INTO grants (id, access_digest, consumer_key, application_id, key_type, subject, issuer, identity_provider_id,
    key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, family)
SELECT id, sha256(id::bytea), 'f8d0b3a67c7b4b0e9c3fd8a0e1d2c3b4', '01933333-0000-7000-8000-000000000000', 'production',
    'person-' || right(id, 4), 'https://idp.example', '01933333-0000-7000-8000-000000000001',
    'mJ0aOPfBWJ0N2Z4Sz1R4OWnQAwHkbk1SvcQrGxJmB2s', id, sha256(id::bytea), 'default', 1, 4102444800, id
FROM fresh;
";

/// How `pgbench` commits the two rows.
#[derive(Clone, Copy, Debug)]
pub enum Commit {
    /// By two statements between `BEGIN` and `COMMIT`.
    OfTwoStatements,
    /// By one statement that commits itself.
    OfOneStatement,
}

impl Commit {
    fn file(self) -> &'static str {
        match self {
            Self::OfTwoStatements => "two-statements.sql",
            Self::OfOneStatement => "one-statement.sql",
        }
    }
}

/// The server. It ends, and its files go, when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    /// What is accounted.
    pub process: Process,
    /// How many connections whoever is compared has.
    pub connections: u32,
    port: u16,
    programs: PathBuf,
    scripts: PathBuf,
    _folder: TempDir,
}

/// Whom PostgreSQL runs as, where we are root: it refuses to be that.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Starts one with `fsync` on and nothing else changed, as an unprivileged user.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn start(run: &Run, connections: u32) -> Result<Self, String> {
        let programs = programs().ok_or("PostgreSQL with pgbench: not installed")?;
        let user = if id(&["-u"]) == Some(0) { Some(User::unprivileged()?) } else { None };
        // Not in the work folder, which is ours alone.
        let folder = TempDir::with_prefix_in("benches-postgres-", workspace().join("target"));
        let folder = folder.map_err(|why| why.to_string())?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.uid), Some(user.gid)).map_err(|why| why.to_string())?;
        }
        let data = folder.path().join("data");
        let made = user_command(user, &programs.join("initdb"), folder.path())
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .map_err(|why| why.to_string())?;
        if !made.status.success() {
            return Err(format!("PostgreSQL: no cluster: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let [address] = free_addresses();
        let mut command = user_command(user, &programs.join("postgres"), folder.path());
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
        for setting in ["unix_socket_directories=", "fsync=on", "synchronous_commit=on"] {
            command.args(["-c", setting]);
        }
        let mut process = Process::start("postgres", &mut command, run.work());
        process.listens(address).await;
        run.file(Commit::OfTwoStatements.file(), TWO);
        run.file(Commit::OfOneStatement.file(), ONE);
        let scripts = run.work().to_owned();
        let mut postgres =
            Self { process, connections, port: address.port(), programs, scripts, _folder: folder };
        postgres.is_ready().await;
        Ok(postgres)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The command that measures commits for so many seconds.
    #[must_use]
    pub fn command(&self, commit: Commit, seconds: u64) -> String {
        format!("pgbench -n -M prepared -c {} -j 1 -T {seconds} -f $WORK/{}", self.connections, commit.file())
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> String {
        let said = Command::new(self.programs.join("postgres")).arg("--version").output();
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        said.unwrap_or_default()
    }

    /// Commits of two rows for so many seconds on the schema that is there: CPU microseconds each, of the database and of
    /// `pgbench`, and commits a second.
    ///
    /// # Panics
    /// `pgbench` says nothing that can be read.
    pub async fn commits(&self, run: &Run, commit: Commit, seconds: u64) -> (f64, f64) {
        let before = self.process.cpu_with_ended();
        let mut command = Command::new(self.programs.join("pgbench"));
        let port = self.port.to_string();
        let (clients, seconds) = (self.connections.to_string(), seconds.to_string());
        command.args(["-n", "-M", "prepared", "-j", "1", "-c", &clients, "-T", &seconds, "-f"]);
        command.arg(self.scripts.join(commit.file())).args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "postgres",
        ]);
        let pgbench = Process::start("pgbench", &mut command, run.work());
        let spent = pgbench.ends().await + self.process.cpu_with_ended().saturating_sub(before);
        let said = pgbench.log();
        let (commits, rate) = parse(&said).unwrap_or_else(|| panic!("pgbench: {said}"));
        (spent.as_secs_f64() * 1e6 / commits, rate)
    }

    /// Waits until it takes queries, which is later than that it listens.
    async fn is_ready(&mut self) {
        let (program, port) = (self.programs.join("pg_isready"), self.port.to_string());
        let asked = || Command::new(&program).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
        self.process.until(|| asked().is_ok_and(|status| status.success())).await;
    }
}

impl User {
    /// The one that Debian makes for PostgreSQL, or else the one who owns nothing.
    fn unprivileged() -> Result<Self, String> {
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Some(Self { uid: id(&["-u", name])?, gid: id(&["-g", name])? }))
            .ok_or_else(|| "PostgreSQL: there is no unprivileged user".to_owned())
    }
}

/// A program as that user, in its own process: what is started is what is accounted.
fn user_command(user: Option<User>, program: &Path, folder: &Path) -> Command {
    let mut command = match user {
        None => Command::new(program),
        Some(User { uid, gid }) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
            command.arg(program);
            command
        }
    };
    command.current_dir(folder);
    command
}

/// The newest version's folder of programs that has all that is needed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    folders.sort_unstable();
    let needed = ["initdb", "postgres", "pg_isready", "pgbench"];
    let mut folders = folders.into_iter().rev().map(|(_, folder)| folder);
    folders.find(|folder| needed.iter().all(|program| folder.join(program).is_file()))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// How many transactions were made, and how many a second.
fn parse(said: &str) -> Option<(f64, f64)> {
    let after = |start: &str| {
        let rest = said.lines().find_map(|line| line.strip_prefix(start))?;
        rest.split([' ', '/']).find_map(|word| word.parse::<f64>().ok())
    };
    let made = after("number of transactions actually processed: ")?;
    Some((made, after("tps = ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_pgbench_are_read() {
        let said = "number of clients: 8\nnumber of transactions actually processed: 2680\n\
                    latency average = 5.9 ms\ntps = 1340.250000 (without initial connection time)\n";
        assert_eq!(parse(said), Some((2_680.0, 1_340.25)));
        assert_eq!(parse("pgbench: error"), None);
    }
}
