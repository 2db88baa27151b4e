//! The servers as they are deployed where speed counts: built so that they count what they do, put to
//! [work](crate::training), and built again by what was counted (profile-guided optimisation). The compiler then lays out what
//! every request runs through in one piece, and puts aside what hardly any does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::run::{Run, SERVERS, building, workspace};
use crate::training::train;

/// Seconds of each kind of work.
const SECONDS: u64 = 3;
/// The oldest and the newest LLVM whose tools are looked for under their version's name, as distributions install them.
const OLDEST: u32 = 19;
const NEWEST: u32 = 30;
/// Where Cargo takes flags of the compiler from first of all, and what is between two of them.
const ENCODED: &str = "CARGO_ENCODED_RUSTFLAGS";
const BETWEEN: &str = "\x1f";

/// Where the servers are put.
#[must_use]
pub fn folder() -> PathBuf {
    workspace().join("target/optimised")
}

/// Builds both servers into [`folder`]. Takes twice as long as a release, and half a minute.
///
/// # Errors
/// What is missing or does not build, and what to do about it.
///
/// # Panics
/// A server does not do its work.
pub async fn build() -> Result<PathBuf, String> {
    let target = folder();
    let (counts, profile) = (target.join("counts"), target.join("profile"));
    let failed = |why: std::io::Error| format!("{}: {why}", target.display());
    std::fs::create_dir_all(&target).map_err(failed)?;
    // First of all: half an hour later would be late to say that there is none.
    let merger = Merger::find(TempDir::new_in(&target).map_err(failed)?.path())?;

    eprintln!("building the servers so that they count what they do");
    let built = cargo(&target, &format!("-Cprofile-generate={}", counts.display()))?;
    // What was counted of older servers has no place in it.
    let _ = std::fs::remove_dir_all(&counts);
    train(&Run::prepare(1, SECONDS, built)).await;
    let counted = std::fs::read_dir(&counts).map_or(0, Iterator::count);
    if counted < SERVERS.len() {
        return Err(format!("{counted} of {} servers have counted what they did", SERVERS.len()));
    }
    merger.merge(&counts, &profile)?;

    eprintln!("building the servers by what was counted");
    let built = cargo(&target, &format!("-Cprofile-use={}", profile.display()))?;
    for server in SERVERS {
        let (from, to) = (built.join(server), target.join(server));
        std::fs::copy(&from, &to).map_err(|why| format!("{}: {why}", from.display()))?;
    }
    Ok(target)
}

/// Builds both in release with one more flag; where they are then. Build scripts and macros do without the flag.
fn cargo(target: &Path, flag: &str) -> Result<PathBuf, String> {
    let host = host()?;
    let mut command = building();
    command.args(["--target", &host]).arg("--target-dir").arg(target.join("build"));
    #[expect(clippy::disallowed_methods, reason = "what is Cargo's own is passed on to Cargo")]
    let given = |name: &str| std::env::var(name).ok();
    command.env(ENCODED, flags(given(ENCODED), given("RUSTFLAGS"), flag));
    let built = command.status().is_ok_and(|status| status.success());
    if !built {
        return Err("the servers do not build: see above".to_owned());
    }
    Ok(target.join("build").join(host).join("release"))
}

/// The flags of whoever started this, as Cargo takes them, and one more.
fn flags(encoded: Option<String>, plain: Option<String>, more: &str) -> String {
    let plain = || Some(plain?.split_whitespace().collect::<Vec<_>>().join(BETWEEN));
    match encoded.or_else(plain).filter(|flags| !flags.is_empty()) {
        Some(flags) => [flags.as_str(), more].join(BETWEEN),
        None => more.to_owned(),
    }
}

/// The platform that the compiler builds for by itself.
fn host() -> Result<String, String> {
    let version = said_by(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

fn said_by(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().map_err(|why| format!("{program}: {why}"))?;
    if !output.status.success() {
        return Err(format!("{program} failed: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The tool that makes one profile of the counts of several processes.
struct Merger(PathBuf);

impl Merger {
    /// The first that reads what this compiler has written: a tool that is older than the compiler may not.
    fn find(work: &Path) -> Result<Self, String> {
        let (source, program, counts) = (work.join("probe.rs"), work.join("probe"), work.join("probed"));
        std::fs::write(&source, "fn main() {}").map_err(|why| format!("{}: {why}", source.display()))?;
        let mut compile = Command::new("rustc");
        compile.arg(format!("-Cprofile-generate={}", counts.display())).arg("-o").arg(&program).arg(&source);
        said_by(&mut compile)?;
        said_by(&mut Command::new(&program))?;
        Self::first_of(candidates(), &counts, &work.join("probed.profile")).ok_or_else(|| {
            "no llvm-profdata reads the profiles of this compiler: `rustup component add llvm-tools` or, on Debian, \
             `apt-get install llvm-19` brings one"
                .to_owned()
        })
    }

    fn first_of(candidates: impl Iterator<Item = PathBuf>, counts: &Path, profile: &Path) -> Option<Self> {
        candidates.map(Self).find(|tool| tool.merge(counts, profile).is_ok())
    }

    fn merge(&self, counts: &Path, profile: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.0);
        // Those who are no good are passed over in silence.
        let merged = command.arg("merge").arg("-o").arg(profile).arg(counts).stderr(Stdio::piped()).output();
        let merged = merged.map_err(|why| format!("{}: {why}", self.0.display()))?;
        if merged.status.success() {
            return Ok(());
        }
        Err(format!("{}: {}", self.0.display(), String::from_utf8_lossy(&merged.stderr)))
    }
}

/// Where such a tool may be.
fn candidates() -> impl Iterator<Item = PathBuf> {
    // The toolchain's own, which rustup calls llvm-tools.
    let own = said_by(Command::new("rustc").args(["--print", "target-libdir"])).ok();
    let own = own.and_then(|libraries| Some(Path::new(&libraries).parent()?.join("bin/llvm-profdata")));
    let plain = Some(PathBuf::from("llvm-profdata"));
    let versions = (OLDEST..=NEWEST).rev().map(|version| PathBuf::from(format!("llvm-profdata-{version}")));
    own.into_iter().chain(plain).chain(versions)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_flags_of_whoever_builds_are_kept() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(flags(None, None, "-Cnew"), "-Cnew");
        assert_eq!(flags(None, some(""), "-Cnew"), "-Cnew");
        assert_eq!(flags(None, some(" -Cone  -Cother"), "-Cnew"), "-Cone\x1f-Cother\x1f-Cnew");
        // As Cargo has it: the encoded ones alone.
        assert_eq!(flags(some("-Ca b\x1f-Cc"), some("-Cone"), "-Cnew"), "-Ca b\x1f-Cc\x1f-Cnew");
    }

    #[test]
    fn a_tool_that_is_missing_or_cannot_read_is_passed_over() {
        let folder = TempDir::new().unwrap();
        let tool = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            path
        };
        let (old, good) = (tool("old", "echo unsupported version >&2; exit 1"), tool("good", "exit 0"));
        let first = |tools: &[&Path]| {
            let tools = tools.iter().map(|path| path.to_path_buf());
            Merger::first_of(tools, folder.path(), folder.path()).map(|merger| merger.0)
        };
        let missing = folder.path().join("missing");
        assert_eq!(first(&[&missing, &old, &good]), Some(good.clone()));
        assert_eq!(first(&[&missing, &old]), None);
        let why = Merger(old).merge(folder.path(), folder.path()).unwrap_err();
        assert!(why.ends_with("old: unsupported version\n"), "{why}");
    }
}
