//! HAProxy with the tokens in a map.

use std::process::Command;

use super::Peer;
use crate::backend::Backend;
use crate::process::{Process, free_addresses};
use crate::run::Run;

/// HAProxy that looks each token up in a map.
pub const HAPROXY: &str = "HAProxy + map";

/// Starts it with these tokens.
pub async fn haproxy(run: &Run, backend: &Backend, tokens: &[String]) -> Peer {
    let [plain, secure] = free_addresses();
    let map: String = tokens.iter().map(|token| format!("{token} 1\n")).collect();
    let map = run.file("haproxy.map", map);
    let configuration = format!(
        "global
           nbthread 1
           maxconn 4000
           ssl-default-bind-options ssl-min-ver TLSv1.3
         defaults
           mode http
           http-reuse always
           timeout connect 5s
           timeout client 75s
           timeout server 60s
           timeout http-keep-alive 75s
         frontend guarded
           bind {plain} backlog 4096
           bind {secure} backlog 4096 ssl crt {both}
           http-request return status 401 hdr WWW-Authenticate Bearer unless {{ http_auth_bearer,map_str({map}) -m found }}
           default_backend backend
         backend backend
           server one {backend}\n",
        both = run.certificate.both.display(),
        map = map.display(),
        backend = backend.address,
    );
    let file = run.file("haproxy.cfg", configuration);
    let mut process =
        Process::start("haproxy", Command::new("haproxy").args(["-db", "-f"]).arg(file), run.work());
    process.listens(plain).await;
    Peer {
        name: HAPROXY,
        process,
        http: format!("http://{plain}"),
        https: format!("https://{secure}"),
        tokens: None,
    }
}
