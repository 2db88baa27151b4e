//! Clients that are not ours: `h2load` of nghttp2, and Python's `websockets`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use e2e::backend::Backend;
use serde_json::json;
use test_support::leave_out;

use super::{Outside, read_and_write};

pub(super) const PYTHON: &str = "/usr/bin/python3";
pub(super) const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/websocket_peer.py");

#[tokio::test(flavor = "multi_thread")]
async fn h2load_passes_over_http_2_and_http_1() {
    if !is_there("h2load_passes_over_http_2_and_http_1", "h2load", &["--version"], "nghttp2-client") {
        return;
    }
    let backend = Backend::start().await.unwrap();
    let outside = Outside::with_api("pets", &backend.url(), &read_and_write()).await;
    let url = outside.application.gateway("/pets/1.0/cats");
    let authorization = format!("authorization: Bearer {}", outside.token);

    for protocol in [["-m", "10"], ["--h1", "-m1"]] {
        let before = backend.reached();
        let mut command = Command::new("h2load");
        command.args(["-n", "2000", "-c", "10"]).args(protocol).args(["-H", &authorization, &url]);
        let said = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("2000 succeeded, 0 failed, 0 errored"), "{protocol:?}: {said}");
        assert!(said.contains("status codes: 2000 2xx"), "{protocol:?}: {said}");
        assert_eq!(backend.reached() - before, 2_000, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_client_passes_with_everything_it_can_do() {
    if !is_there(
        "a_websocket_client_passes_with_everything_it_can_do",
        PYTHON,
        &["-c", "import websockets"],
        "python3-websockets",
    ) {
        return;
    }
    let peer = Peer::start();
    let members = json!({ "operations": [{ "method": "GET", "path": "/*" }] });
    let outside = Outside::with_api("chat", &format!("http://127.0.0.1:{}", peer.port), &members).await;
    let url = outside.application.gateway("/chat/1.0/room").replace("https://", "wss://");

    let mut command = Command::new(PYTHON);
    command.args([PEER, "call", &url, &outside.token]);
    let said = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(out.trim(), "all came back", "{err}");
}

/// Whether another's program is there; what is missing on a developer's machine may not be missing in CI.
pub(super) fn is_there(test: &str, program: &str, arguments: &[&str], package: &str) -> bool {
    let found = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        leave_out(test, &format!("{program} cannot do it: install {package}"));
    }
    is_there
}

/// The first line that a program says, and those that are still to come.
pub(super) fn first_line(child: &mut Child) -> (String, Lines<BufReader<ChildStdout>>) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (lines.next().unwrap().unwrap(), lines)
}

/// The echoing end; ends with the test.
pub(super) struct Peer {
    child: Child,
    pub(super) port: u16,
}

impl Peer {
    pub(super) fn start() -> Self {
        let mut command = Command::new(PYTHON);
        let mut child = command.args([PEER, "serve"]).stdout(Stdio::piped()).spawn().unwrap();
        let (line, _) = first_line(&mut child);
        Self { port: line.parse().unwrap(), child }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
