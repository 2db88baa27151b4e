//! The real binaries as processes of their own: killed where a test kills them, and in any case with the test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::client::{Call, Http};
use e2e::world::Places;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    binary: &'static str,
    settings: Vec<(String, String)>,
    /// `https://…` of its REST.
    pub(crate) url: String,
    /// `https://…` of its gateway; empty where it has none.
    pub(crate) gateway: String,
    data: TempDir,
}

impl Server {
    /// The identity server, ready to serve.
    pub(crate) async fn identity_server(database: &str) -> Self {
        let [listen] = free_addresses();
        let url = format!("https://{listen}");
        let settings =
            settings("IDENTITY_SERVER", database, &[("LISTEN", &listen.to_string()), ("PUBLIC_URL", &url)]);
        Self::start("identity-server", settings, url, String::new()).await
    }

    /// The API manager, ready to serve, with private backends allowed.
    pub(crate) async fn api_manager(database: &str) -> Self {
        let [listen, gateway] = free_addresses();
        let url = format!("https://{listen}");
        let settings = settings(
            "API_MANAGER",
            database,
            &[
                ("LISTEN", &listen.to_string()),
                ("GATEWAY_LISTEN", &gateway.to_string()),
                ("PUBLIC_URL", &url),
                ("ALLOW_PRIVATE_BACKENDS", "true"),
            ],
        );
        Self::start("api-manager", settings, url, format!("https://{gateway}")).await
    }

    async fn start(
        binary: &'static str,
        mut settings: Vec<(String, String)>,
        url: String,
        gateway: String,
    ) -> Self {
        let data = TempDir::new().unwrap();
        let prefix = if binary == "api-manager" { "API_MANAGER" } else { "IDENTITY_SERVER" };
        settings.push((format!("{prefix}_DATA_DIR"), data.path().display().to_string()));
        let child = spawn(binary, &settings, data.path());
        let mut server = Self { child, binary, settings, url, gateway, data };
        server.wait_until_ready().await;
        server
    }

    /// Where it answers, for actors; there is no identity server beside it.
    pub(crate) fn places(&self) -> Arc<Places> {
        let (manager, gateway) = (self.url.clone(), self.gateway.clone());
        Arc::new(Places { identity: String::new(), manager, gateway })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it holds now, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.pid())
    }

    /// SIGKILL: no farewell, no flush.
    pub(crate) fn is_killed(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same data and ports.
    pub(crate) async fn starts_again(&mut self) {
        self.child = spawn(self.binary, &self.settings, self.data.path());
        self.wait_until_ready().await;
    }

    /// The same with another value of a setting.
    pub(crate) async fn starts_again_with(&mut self, key: &str, value: &str) {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_owned()));
        self.starts_again().await;
    }

    async fn wait_until_ready(&mut self) {
        let (http, deadline) = (Http::new(), Instant::now() + PATIENCE);
        loop {
            let seen = http.try_send(Call::get(format!("{}/health/ready", self.url))).await;
            if seen.as_ref().is_ok_and(|answer| answer.status == 200) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "{} ended, {ended:?}:\n{}", self.binary, log());
            assert!(Instant::now() < deadline, "{} is not ready, {seen:?}:\n{}", self.binary, log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The memory that a process holds now, in KiB; 0 where there is none such.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// A built binary of this workspace. Cargo builds those of packages that have integration tests, as the servers do.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(found.is_file(), "{} is missing; run `cargo build --workspace` first", found.display());
    found
}

/// Addresses on loopback that were free a moment ago.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn settings(prefix: &str, database: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let common =
        [("DATABASE_URL", database), ("ADMIN_PASSWORD", e2e::world::ADMIN_PASSWORD), ("LOG", "warn")];
    common.iter().chain(more).map(|(key, value)| (format!("{prefix}_{key}"), (*value).to_owned())).collect()
}

fn spawn(name: &str, settings: &[(String, String)], data: &Path) -> Child {
    let log = std::fs::File::create(data.join("log")).unwrap();
    let mut command = Command::new(binary(name));
    command.envs(settings.iter().cloned()).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

#[test]
fn both_servers_take_their_memory_from_mimalloc() {
    for name in ["api-manager", "identity-server"] {
        let mut command = Command::new(binary(name));
        let output = command.arg("--version").env("MIMALLOC_SHOW_STATS", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let pages = said.lines().find_map(|line| line.trim_start().strip_prefix("pages     :"));
        let taken = pages.and_then(|pages| pages.split_whitespace().nth(1)?.parse::<u32>().ok());
        assert!(taken.is_some_and(|taken| taken > 0), "{name}: {said}");
    }
}
