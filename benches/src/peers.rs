//! The peers: what somebody would put in our place, each with one worker, keep-alive to both sides, no access log, and the
//! same certificate.

mod envoy;
mod haproxy;

use std::net::SocketAddr;
use std::process::Command;

use crate::backend::Backend;
use crate::process::{Process, free_addresses};
use crate::run::{Contender, Run};

pub use envoy::{ENVOY, envoy};
pub use haproxy::{HAPROXY, haproxy};

/// nginx as a plain reverse proxy, which checks nothing.
pub const NGINX: &str = "nginx";
/// nginx that looks each token up in a dictionary shared by its workers.
pub const NGINX_LUA: &str = "nginx + Lua";

/// A peer that runs.
#[derive(Debug)]
pub struct Peer {
    /// What the tables call it.
    pub name: &'static str,
    /// What is accounted.
    pub process: Process,
    /// Where it answers without TLS.
    pub http: String,
    /// Where it answers with TLS.
    pub https: String,
    /// The tokens that it takes, where those are not everybody's.
    pub tokens: Option<Vec<String>>,
}

impl Peer {
    /// It with its plain listener.
    #[must_use]
    pub fn plain(&self) -> Contender<'_> {
        Contender { name: self.name, process: &self.process, origin: &self.http }
    }

    /// It with its TLS listener.
    #[must_use]
    pub fn secure(&self) -> Contender<'_> {
        Contender { name: self.name, process: &self.process, origin: &self.https }
    }
}

/// Whether a program is there.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    // Each of them knows one of these and ends.
    ["-v", "--version"].iter().any(|flag| Command::new(program).arg(flag).output().is_ok())
}

/// All the peers that this machine has, holding the same tokens; and the names of those that it lacks.
pub async fn all(run: &Run, backend: &Backend, tokens: &[String]) -> (Vec<Peer>, Vec<String>) {
    let (mut peers, mut missing) = (Vec::new(), Vec::new());
    let list = run.file("peer-tokens", tokens.join("\n"));
    let check = format!("access_by_lua_block {{ {CHECK} }}", CHECK = include_str!("peers/check.lua"));
    if is_installed("nginx") {
        peers.push(nginx_proxy(run, NGINX, backend, "", "", "").await);
    }
    match modules() {
        Some(modules) => {
            let fill = format!(
                "lua_shared_dict tokens 64m;\ninit_by_lua_block {{ local tokens = ngx.shared.tokens\n\
                 for token in io.lines({list:?}) do assert(tokens:safe_set(token, true)) end }}"
            );
            peers.push(nginx_proxy(run, NGINX_LUA, backend, &modules, &fill, &check).await);
        }
        None => missing.push(NGINX_LUA.to_owned()),
    }
    if is_installed("haproxy") {
        peers.push(haproxy(run, backend, tokens).await);
    } else {
        missing.push(HAPROXY.to_owned());
    }
    if is_installed("envoy") {
        peers.push(envoy(run, backend, tokens.len()).await);
    } else {
        missing.push(ENVOY.to_owned());
    }
    (peers, missing)
}

/// The lines that load the Lua module, where the machine has it.
fn modules() -> Option<String> {
    let folder = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"]
        .into_iter()
        .find(|folder| std::path::Path::new(folder).join("ngx_http_lua_module.so").is_file())?;
    Some(format!("load_module {folder}/ndk_http_module.so;\nload_module {folder}/ngx_http_lua_module.so;"))
}

async fn nginx_proxy(
    run: &Run,
    name: &'static str,
    backend: &Backend,
    main: &str,
    http: &str,
    check: &str,
) -> Peer {
    let [plain, secure] = free_addresses();
    let (certificate, key) = (run.certificate.certificate.display(), run.certificate.key.display());
    let http = format!(
        "{http}
         upstream backend {{ server {backend}; keepalive 128; keepalive_requests 1000000000; }}
         server {{
           listen {plain} backlog=4096;
           listen {secure} ssl backlog=4096;
           ssl_certificate {certificate};
           ssl_certificate_key {key};
           ssl_protocols TLSv1.3;
           location / {{
             {check}
             proxy_pass http://backend;
             proxy_http_version 1.1;
             proxy_set_header Connection \"\";
           }}
         }}",
        backend = backend.address,
    );
    let file = name.replace(" + ", "-").to_lowercase();
    let process = nginx(run, &format!("peer-{file}"), main, &http, plain).await;
    Peer { name, process, http: format!("http://{plain}"), https: format!("https://{secure}"), tokens: None }
}

/// An nginx with one worker, and `http` in its http block; accepts connections at `address` when this returns.
pub async fn nginx(run: &Run, name: &str, main: &str, http: &str, address: SocketAddr) -> Process {
    let folder = run.work().join(name);
    std::fs::create_dir_all(&folder).expect("a folder in the work folder");
    let folder = folder.display();
    let configuration = format!(
        "{main}
         daemon off;
         user root;
         worker_processes 1;
         pid {folder}/pid;
         error_log stderr error;
         events {{ worker_connections 8192; }}
         http {{
           access_log off;
           keepalive_requests 1000000000;
           client_body_temp_path {folder}/body;
           proxy_temp_path {folder}/proxy;
           fastcgi_temp_path {folder}/fastcgi;
           uwsgi_temp_path {folder}/uwsgi;
           scgi_temp_path {folder}/scgi;
           {http}
         }}\n"
    );
    let file = run.file(&format!("{name}.conf"), configuration);
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p"]).arg(folder.to_string()).arg("-c").arg(file);
    let mut process = Process::start(name, &mut command, run.work());
    process.listens(address).await;
    process
}
