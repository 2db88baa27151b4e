//! HTTP/1.1 and HTTP/2 on either side, and answers that are passed on while they come.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::client::connector;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use shared_server::outbound::Connector;

use super::Inside;

fn client(http2: bool) -> Client<Connector, Empty<Bytes>> {
    let connector = if http2 { connector().with_http2_only() } else { connector() };
    Client::builder(TokioExecutor::new()).http2_only(http2).build(connector)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_version_of_http_reaches_a_backend_of_any_version() {
    for protocol in ["http1", "http2"] {
        let members = json!({ "backend_protocol": protocol });
        let inside = Inside::with_api("pets", &members).await;
        for (http2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
            let request = Request::builder()
                .uri(inside.application.gateway("/pets/1.0/cats"))
                .header("authorization", format!("Bearer {}", inside.token))
                .body(Empty::new())
                .unwrap();
            let answer = client(http2).request(request).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{protocol}");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(String::from_utf8_lossy(&body).contains("Hello"), "{protocol}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_passed_on_line_by_line() {
    let inside = Inside::with_api("prices", &json!({})).await;
    let request = Request::builder()
        .uri(inside.application.gateway("/prices/1.0/stream"))
        .header("authorization", format!("Bearer {}", inside.token))
        .body(Empty::new())
        .unwrap();
    let answer = client(false).request(request).await.unwrap();
    let (mut body, mut arrivals) = (answer.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        if frame.unwrap().is_data() {
            arrivals.push(Instant::now());
        }
    }
    // Ten lines, one every 20 ms: what is held back would arrive at once.
    let spread = arrivals.last().unwrap().duration_since(arrivals[0]);
    assert!(arrivals.len() >= 5 && spread >= Duration::from_millis(100), "{} in {spread:?}", arrivals.len());
}
