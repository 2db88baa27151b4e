//! Ten thousand connections that say nothing cost those who do nothing.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use test_support::leave_out;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Outside, read_and_write};
use crate::process::free_addresses;

const IDLE: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_are_held_while_others_are_served() {
    if open_files() < IDLE + 1_000 {
        let test = "ten_thousand_idle_connections_are_held_while_others_are_served";
        return leave_out(test, "too few files may be open; see `ulimit -n`");
    }
    let backend = e2e::backend::Backend::start().await.unwrap();
    let mut outside = Outside::with_api("pets", &backend.url(), &read_and_write()).await;
    let [plain] = free_addresses();
    outside.manager.is_killed();
    outside.manager.starts_again_with("API_MANAGER_GATEWAY_HTTP_LISTEN", &plain.to_string()).await;
    let before = outside.manager.resident();

    let idle: Vec<TcpStream> = stream::iter(0..IDLE)
        .map(|_| async move {
            let mut stream = TcpStream::connect(plain).await.unwrap();
            // After its first answer a connection may be idle for longer.
            stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: gateway\r\n\r\n").await.unwrap();
            let mut answer = [0; 1_024];
            let length = stream.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 404"));
            stream
        })
        .buffer_unordered(64)
        .collect()
        .await;

    let began = Instant::now();
    for _ in 0..20 {
        let _ = outside.application.calls("/pets/1.0/cats", &outside.token).await.expect(200);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "twenty calls took {took:?}");
    for stream in &idle {
        let held = stream.try_read(&mut [0; 64]);
        assert!(held.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock), "one was closed");
    }
    let kibibytes = outside.manager.resident().saturating_sub(before);
    assert!(kibibytes < 48 * 10_000, "they cost {kibibytes} KiB");
}

/// How many files this process, and those that it starts, may have open.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
