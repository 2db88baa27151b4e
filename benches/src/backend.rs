//! What all proxies stand in front of: an nginx that answers everything with 1 KiB, in a process that nobody accounts.

use crate::peers::{NGINX, nginx};
use crate::process::{Process, free_addresses};
use crate::run::Run;

/// The backend.
#[derive(Debug)]
pub struct Backend {
    _process: Process,
    /// `127.0.0.1:…`
    pub address: String,
}

impl Backend {
    /// Starts it.
    ///
    /// # Panics
    /// There is no nginx, without which there is no comparison.
    pub async fn start(run: &Run) -> Self {
        assert!(crate::peers::is_installed(NGINX), "the backend is nginx: apt-get install nginx");
        let [address] = free_addresses();
        let body = "x".repeat(1_024);
        let http = format!(
            "server {{ listen {address} backlog=4096; location / {{ default_type text/plain; return 200 {body}; }} }}"
        );
        let process = nginx(run, "backend", "", &http, address).await;
        Self { _process: process, address: address.to_string() }
    }

    /// `http://…` without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
