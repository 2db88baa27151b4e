//! Live connections end when what let them begin no longer holds.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::other_clients::{PEER, PYTHON, Peer, is_there};
use super::{Inside, Outside, read_and_write};

const TEST: &str = "a_websocket_hears_1008_within_a_second_of_its_tokens_revocation";

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_hears_1008_within_a_second_of_its_tokens_revocation() {
    if !is_there(TEST, PYTHON, &["-c", "import websockets"], "python3-websockets") {
        return;
    }
    let peer = Peer::start();
    let outside =
        Outside::with_api("chat", &format!("http://127.0.0.1:{}", peer.port), &read_and_write()).await;
    let url = outside.application.gateway("/chat/1.0/room").replace("https://", "wss://");
    let mut command = Command::new(PYTHON);
    command.args([PEER, "hold", &url, &outside.token]).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    let (line, mut lines) = super::other_clients::first_line(&mut holder);
    assert_eq!(line, "open");

    outside.application.revokes(&outside.token).await;
    let revoked = Instant::now();

    let ended = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
    let took = revoked.elapsed();
    assert!(ended.starts_with("closed 1008"), "{ended}");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    holder.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_breaks_off_when_its_subscription_is_blocked() {
    let inside = Inside::with_api("prices", &json!({})).await;
    let endless = inside.application.gateway("/prices/1.0/endless");
    let call = e2e::client::Call::get(endless).bearer(&inside.token);
    let http = inside.world.http.clone();
    let listening = tokio::spawn(async move { http.try_send(call).await });
    while inside.world.backend.reached() == 0 {
        tokio::task::yield_now().await;
    }

    let _ = inside
        .world
        .developer()
        .posts(&format!("subscriptions/{}/block", inside.subscription), &json!({}))
        .await;
    let blocked = Instant::now();

    let ended = tokio::time::timeout(Duration::from_secs(10), listening).await.unwrap().unwrap();
    let took = blocked.elapsed();
    assert!(ended.is_err(), "it came to an end as if all had been said");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}
