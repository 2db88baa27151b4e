//! However much passes through, the gateway holds no more of it than a few buffers.

use std::time::Duration;

use bytes::Bytes;
use e2e::backend::Backend;
use e2e::client::connector;
use futures_util::stream;
use http::Request;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shared_server::outbound::Connector;
use tokio::task::JoinHandle;

use super::{Outside, read_and_write};

const MEBIBYTES: u64 = 2_048;
/// In KiB.
const MOST_GROWTH: u64 = 20 * 1_024;

type Body = BoxBody<Bytes, std::io::Error>;

#[tokio::test(flavor = "multi_thread")]
async fn two_gibibytes_up_and_down_leave_resident_memory_flat() {
    let backend = Backend::start().await.unwrap();
    let outside = Outside::with_api("files", &backend.url(), &read_and_write()).await;
    // What a first call makes once is no growth.
    assert_eq!(download(&outside, 8).await, 8 << 20);
    assert_eq!(upload(&outside, 8).await, 8 << 20);
    let before = outside.manager.resident();

    let watch = watch_resident(outside.manager.pid());
    assert_eq!(download(&outside, MEBIBYTES).await, MEBIBYTES << 20);
    assert_eq!(upload(&outside, MEBIBYTES).await, MEBIBYTES << 20);

    watch.abort();
    let most = watch.await.err().map_or(0, |_| MOST_SEEN.load(std::sync::atomic::Ordering::SeqCst));
    assert!(most > 0, "nobody looked");
    assert!(most < before + MOST_GROWTH, "{before} KiB became {most} KiB");
}

static MOST_SEEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn watch_resident(pid: u32) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            MOST_SEEN.fetch_max(crate::process::resident(pid), std::sync::atomic::Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

fn client() -> Client<Connector, Body> {
    Client::builder(TokioExecutor::new()).build(connector())
}

fn request(outside: &Outside, method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(outside.application.gateway(path))
        .header("authorization", format!("Bearer {}", outside.token))
        .body(body)
        .unwrap()
}

async fn download(outside: &Outside, mebibytes: u64) -> u64 {
    let body = Empty::new().map_err(|never| match never {}).boxed();
    let path = format!("/files/1.0/bytes/{mebibytes}");
    let answer = client().request(request(outside, "GET", &path, body)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut body, mut length) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    length
}

async fn upload(outside: &Outside, mebibytes: u64) -> u64 {
    let piece = Bytes::from(vec![b'x'; 64 * 1_024]);
    let pieces = stream::iter((0..mebibytes * 16).map(move |_| Ok(Frame::data(piece.clone()))));
    let body = BodyExt::boxed(StreamBody::new(pieces));
    let answer = client().request(request(outside, "PUT", "/files/1.0/length", body)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let report = answer.into_body().collect().await.unwrap().to_bytes();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    report["length"].as_u64().unwrap()
}
