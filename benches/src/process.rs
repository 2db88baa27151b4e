//! A process that is measured: what the kernel accounts to it and to its children.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// How long a process may take until it listens, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running process; it ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a command with its output in `<name>.log` of a folder.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap_or_else(|why| panic!("{}: {why}", log.display()));
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let child = command.spawn().unwrap_or_else(|why| panic!("{name} does not start: {why}"));
        Self { child, name: name.to_owned(), log }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// CPU time of it and its children so far, in user and kernel, over all threads, ended ones included: the clocks of
    /// the processes, in nanoseconds, where `/proc/PID/stat` counts in hundredths of a second.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.family().into_iter().filter_map(cpu_of).sum()
    }

    /// As [`Process::cpu`] with the children that have ended and were waited for, these in hundredths of a second: of a
    /// process that makes another one for each connection.
    #[must_use]
    pub fn cpu_with_ended(&self) -> Duration {
        self.cpu() + ended_children_of(self.pid())
    }

    /// Waits until it has ended by itself; its CPU time then, in hundredths of a second.
    ///
    /// # Panics
    /// It takes longer than two minutes.
    pub async fn ends(&self) -> Duration {
        let deadline = Instant::now() + PATIENCE;
        // Not waited for before its times are read: they go with it.
        while stat(self.pid()).first().is_some_and(|state| state != "Z") {
            assert!(Instant::now() < deadline, "{} does not end:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hundredths(&stat(self.pid()), 11..13)
    }

    /// Resident memory of it and its children now, in bytes. What they share is counted for each.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.family().into_iter().map(resident_of).sum()
    }

    /// The same in MiB.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    pub fn resident_mib(&self) -> f64 {
        self.resident() as f64 / f64::from(1 << 20)
    }

    /// It and its children: a master process and its workers.
    fn family(&self) -> Vec<u32> {
        let pid = self.pid();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        std::iter::once(pid).chain(children).collect()
    }

    /// Waits until something accepts connections there.
    ///
    /// # Panics
    /// The process ends, or takes too long.
    pub async fn listens(&mut self, address: SocketAddr) {
        self.until(|| TcpStream::connect(address).is_ok()).await;
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    /// The process ends, or takes too long.
    pub async fn until(&mut self, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            self.is_alive();
            assert!(Instant::now() < deadline, "{} takes too long:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes sure that it has not ended.
    ///
    /// # Panics
    /// It has.
    pub fn is_alive(&mut self) {
        let ended = self.child.try_wait().expect("the process is ours");
        assert!(ended.is_none(), "{} ended, {ended:?}:\n{}", self.name, self.log());
    }

    /// Keeps it from running until it [goes on](Process::goes_on).
    ///
    /// # Panics
    /// It has ended.
    pub fn holds_still(&self) {
        kill(self.nix_pid(), Signal::SIGSTOP).expect("the process is ours and runs");
    }

    /// Lets it run again.
    ///
    /// # Panics
    /// As [`Process::holds_still`].
    pub fn goes_on(&self) {
        kill(self.nix_pid(), Signal::SIGCONT).expect("the process is ours and was held");
    }

    /// Tells it to end (SIGTERM) and waits until it has; kills it where it does not.
    pub fn stop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let _ = kill(self.nix_pid(), Signal::SIGTERM);
        // What is held does not hear that it is to end.
        let _ = kill(self.nix_pid(), Signal::SIGCONT);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid()).expect("process ids are small"))
    }
}

impl Drop for Process {
    /// By SIGTERM first: a master process that is killed leaves its workers behind.
    fn drop(&mut self) {
        self.stop();
    }
}

/// Addresses on loopback that were free a moment ago.
///
/// # Panics
/// There are none.
#[must_use]
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port on loopback"));
    listeners.map(|listener| listener.local_addr().expect("a listener has an address"))
}

fn cpu_of(pid: u32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    clock_gettime(clock).ok().map(Duration::from)
}

/// The fields of `/proc/PID/stat` from the state on, the third of proc(5).
fn stat(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().map(str::to_owned).collect()
}

fn ended_children_of(pid: u32) -> Duration {
    hundredths(&stat(pid), 13..15)
}

fn hundredths(fields: &[String], which: std::ops::Range<usize>) -> Duration {
    let ticks: u64 =
        fields.get(which).unwrap_or_default().iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn resident_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: Option<u64> = line.split_whitespace().next().and_then(|number| number.parse().ok());
    kib.unwrap_or_default() * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_accounted_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        // The shell waits for its child, which does the work.
        let work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let script = format!("(({work}); touch done; sleep 60) & wait");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(folder.path());
        let mut process = Process::start("worker", &mut command, folder.path());

        process.until(|| folder.path().join("done").exists()).await;

        assert!(process.cpu() > Duration::ZERO);
        assert!(process.resident() > resident_of(process.pid()), "the child counts too");
        for pid in process.family().into_iter().skip(1) {
            kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        }
    }

    #[test]
    fn what_is_held_takes_no_cpu_until_it_goes_on_and_ends_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let mut process = Process::start("busy", command.args(["-c", "while :; do :; done"]), folder.path());
        let state = |process: &Process| stat(process.pid()).first().cloned().unwrap_or_default();
        let is_held = |process: &Process| state(process) == "T";

        process.holds_still();
        while !is_held(&process) {
            std::thread::yield_now();
        }
        let spent = process.cpu();
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(process.cpu(), spent);

        process.goes_on();
        while process.cpu() == spent {
            std::thread::yield_now();
        }
        process.holds_still();
        process.stop();
        assert!(matches!(process.child.try_wait(), Ok(Some(_))));
    }

    #[tokio::test]
    async fn the_work_of_what_has_ended_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let mut command = Command::new("sh");
        command.args(["-c", work]);
        let process = Process::start("worker", &mut command, folder.path());
        assert!(process.ends().await > Duration::ZERO);

        let mut command = Command::new("sh");
        command.args(["-c", &format!("({work}); touch done; sleep 60")]).current_dir(folder.path());
        let mut parent = Process::start("parent", &mut command, folder.path());
        parent.until(|| folder.path().join("done").exists()).await;
        assert!(parent.cpu_with_ended() > parent.cpu());
        for pid in parent.family().into_iter().skip(1) {
            kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        }
    }

    #[test]
    fn what_is_not_there_costs_nothing() {
        assert_eq!((cpu_of(u32::MAX), resident_of(u32::MAX)), (None, 0));
        assert_eq!(ended_children_of(u32::MAX), Duration::ZERO);
    }
}
