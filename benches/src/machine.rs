//! Where and when a scenario ran: the machine, its load, the versions.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use shared_claims::clock::Clock;

/// The circumstances of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Circumstances {
    /// RFC 3339, when it was done.
    pub taken_at: String,
    /// The commit of the working tree, with `+` where that had changes.
    pub commit: String,
    /// Rounds.
    pub rounds: usize,
    /// Seconds of load a turn.
    pub seconds: u64,
    /// Whether the servers were built by [`optimised`](crate::optimised).
    #[serde(default)]
    pub optimised: bool,
    /// The processor's name.
    pub cpu: String,
    /// Its cores, as far as this process may use them.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Memory in GiB.
    pub memory: u64,
    /// What the data directories are on, such as `ext4`.
    pub filesystem: String,
    /// The load average of the last minute before it began: what else was going on.
    pub load_before: String,
    /// Programs and their versions.
    pub versions: Vec<(String, String)>,
}

impl Circumstances {
    /// Looks around.
    #[must_use]
    pub fn of_now(root: &Path, work: &Path) -> Self {
        let processor = read("/proc/cpuinfo");
        let memory = read("/proc/meminfo");
        Self {
            taken_at: Clock::System.now().rfc3339(),
            commit: commit(root),
            rounds: 0,
            seconds: 0,
            optimised: false,
            cpu: field(&processor, "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory: field(&memory, "MemTotal")
                .split_whitespace()
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .map_or(0, |kib| kib.div_ceil(1 << 20)),
            filesystem: said(Command::new("stat").args(["-f", "-c", "%T"]).arg(work)),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            versions: versions(),
        }
    }
}

fn versions() -> Vec<(String, String)> {
    let of = |name: &str, flag: &str| (name.to_owned(), version(&said(Command::new(name).arg(flag))));
    let mut versions = vec![
        of("nginx", "-v"),
        of("haproxy", "-v"),
        of("envoy", "--version"),
        of("wrk", "-v"),
        of("openssl", "version"),
        of("rustc", "--version"),
    ];
    versions.retain(|(_, version)| !version.is_empty());
    versions.push(("OpenSSL of the servers".to_owned(), version(openssl::version::version())));
    versions
}

/// The first word of a program's answer that begins with a digit, or holds one after a slash.
fn version(text: &str) -> String {
    let word = text.split_whitespace().find_map(|word| {
        let word = word.rsplit('/').find(|part| part.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(word.trim_end_matches(',').to_owned())
    });
    word.unwrap_or_default()
}

fn commit(root: &Path) -> String {
    let git = |args: &[&str]| said(Command::new("git").current_dir(root).args(args));
    // Results and what is rendered of them change with every run.
    let changed = git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        ":!benches/results",
        ":!BENCHMARKS.md",
    ]);
    let mark = if changed.is_empty() { "" } else { "+" };
    format!("{}{mark}", git(&["rev-parse", "--short=10", "HEAD"]))
}

/// What a command writes, on whichever of the two channels; empty where it cannot be run.
fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let out = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&out).trim().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (text, found) in [
            ("nginx version: nginx/1.22.1", "1.22.1"),
            ("HAProxy version 2.6.12-1+deb12u4 2026/01/01 - https://haproxy.org/", "2.6.12-1+deb12u4"),
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright", "4.1.0-3+b2"),
            ("envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
            ("OpenSSL 3.0.19 27 Jan 2026 (Library: …)", "3.0.19"),
            ("rustc 1.95.0 (1 2026-01-01)", "1.95.0"),
            ("sh: nothing", ""),
        ] {
            assert_eq!(version(text), found, "{text}");
        }
    }

    #[test]
    fn fields_of_proc_are_read_by_name() {
        assert_eq!(field("a\t: 1\nmodel name\t: A Processor: fast\n", "model name"), "A Processor: fast");
        assert_eq!(field("", "model name"), "");
    }
}
