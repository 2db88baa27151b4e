//! Our servers as processes of their own, each with a data directory in the work folder and ports of the system's choice.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::client::{Call, Http};
use e2e::world::{ADMIN_PASSWORD, Places};

use crate::process::{Process, free_addresses};
use crate::run::Run;

const PATIENCE: Duration = Duration::from_secs(120);

/// A server of ours, ready to serve.
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    binary: &'static str,
    program: PathBuf,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    /// `https://…` of its REST and its token endpoint.
    pub rest: String,
    /// `https://…` of its gateway; empty where it has none.
    pub gateway: String,
    /// `http://…` of its gateway; empty where it has none.
    pub gateway_http: String,
    /// Its data directory.
    pub data: PathBuf,
}

impl Server {
    /// An API manager on SQLite whose gateway runs on one thread. `more` are settings as in
    /// `("WORKERS", "2")`; the later ones win.
    pub async fn api_manager(run: &Run, name: &str, more: &[(&str, &str)]) -> Self {
        let [listen, gateway, gateway_http] = free_addresses();
        let rest = format!("https://{listen}");
        let (listen, gateway, gateway_http) =
            (listen.to_string(), gateway.to_string(), gateway_http.to_string());
        let settings = [
            ("LISTEN", listen.as_str()),
            ("PUBLIC_URL", &rest),
            ("GATEWAY_LISTEN", &gateway),
            ("GATEWAY_HTTP_LISTEN", &gateway_http),
            ("ALLOW_PRIVATE_BACKENDS", "true"),
        ];
        let mut server = Self::new(run, "api-manager", name, &[&settings, more].concat());
        server.rest.clone_from(&rest);
        server.gateway = format!("https://{gateway}");
        server.gateway_http = format!("http://{gateway_http}");
        server.starts().await;
        server
    }

    /// An identity server on SQLite with one thread.
    pub async fn identity_server(run: &Run, name: &str, more: &[(&str, &str)]) -> Self {
        let [listen] = free_addresses();
        let rest = format!("https://{listen}");
        let listen = listen.to_string();
        let settings = [("LISTEN", listen.as_str()), ("PUBLIC_URL", &rest)];
        let mut server = Self::new(run, "identity-server", name, &[&settings, more].concat());
        server.rest.clone_from(&rest);
        server.starts().await;
        server
    }

    fn new(run: &Run, binary: &'static str, name: &str, settings: &[(&str, &str)]) -> Self {
        let prefix = if binary == "api-manager" { "API_MANAGER" } else { "IDENTITY_SERVER" };
        let data = run.work().join(name);
        let tls = &run.certificate;
        let data_dir = data.to_string_lossy();
        let (certificate, key) = (tls.certificate.to_string_lossy(), tls.key.to_string_lossy());
        let first = [
            ("DATA_DIR", &*data_dir),
            ("ADMIN_PASSWORD", ADMIN_PASSWORD),
            ("LOG", "warn"),
            ("WORKERS", "1"),
            ("TLS_CERTIFICATE", &*certificate),
            ("TLS_KEY", &*key),
        ];
        let settings = first.iter().chain(settings);
        let settings =
            settings.map(|(key, value)| (format!("{prefix}_{key}"), (*value).to_owned())).collect();
        Self {
            process: None,
            binary,
            program: run.built.join(binary),
            folder: run.work().to_owned(),
            settings,
            rest: String::new(),
            gateway: String::new(),
            gateway_http: String::new(),
            data,
        }
    }

    /// Its process.
    ///
    /// # Panics
    /// It has been stopped.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join(format!("{}.db", self.binary))
    }

    /// Where it answers, for actors; an API manager has no identity server beside it, nor the other way round.
    #[must_use]
    pub fn places(&self) -> Arc<Places> {
        let is_manager = self.binary == "api-manager";
        let only = |holds: bool| if holds { self.rest.clone() } else { String::new() };
        Arc::new(Places {
            identity: only(!is_manager),
            manager: only(is_manager),
            gateway: self.gateway.clone(),
        })
    }

    /// Ends it by SIGTERM, as an operator does.
    pub fn stops(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same data and ports, and waits until it is ready; how long that took.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn starts(&mut self) -> Duration {
        let name = self.data.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(&self.program);
        // Nothing of whoever runs this may configure it.
        command.env_clear().envs(self.settings.iter().cloned());
        let began = Instant::now();
        let mut process = Process::start(&name, &mut command, &self.folder);
        let http = Http::new();
        loop {
            let seen = http.try_send(Call::get(format!("{}/health/ready", self.rest))).await;
            if seen.is_ok_and(|answer| answer.status == 200) {
                break;
            }
            process.is_alive();
            assert!(began.elapsed() < PATIENCE, "{name} does not get ready:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.process = Some(process);
        began.elapsed()
    }

    /// How often its gateway asked its database so far; not a number where it does not say.
    pub async fn lookups(&self) -> f64 {
        let metrics = Http::new().send(Call::get(format!("{}/metrics", self.rest))).await.expect(200).text();
        let line = metrics.lines().find_map(|line| line.strip_prefix("gateway_lookups_total "));
        line.and_then(|count| count.parse().ok()).unwrap_or(f64::NAN)
    }

    /// How large its database is on disk, in bytes, without the write-ahead log.
    #[must_use]
    pub fn database_size(&self) -> u64 {
        std::fs::metadata(self.database()).map_or(0, |meta| meta.len())
    }
}
