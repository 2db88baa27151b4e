//! gRPC through the gateway, in real HTTP/2 frames from end to end; messages are framed by hand.

use std::time::Duration;

use api_manager::domain::lifecycle::State;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backend::{Backend, Body, full};
use super::secure::with_http2;
use super::{World, api};

impl World {
    /// A client that has its own connection in HTTP/2, without TLS.
    pub async fn http2_client(&self) -> SendRequest<Body> {
        let (client, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(self.connects().await)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A call of gRPC.
    pub fn grpc(&self, path: &str, token: &str, body: Body) -> Request<Body> {
        let request = Request::post(format!("{}{path}", self.base()))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .header("grpc-timeout", "5S");
        let request = match token {
            "" => request,
            token => request.header("authorization", format!("Bearer {token}")),
        };
        request.body(body).unwrap()
    }
}

/// A body of the pieces that come through the channel, with these trailers after the last.
pub fn streamed(receiver: mpsc::Receiver<Bytes>, trailers: Option<HeaderMap>) -> Body {
    let frames = futures_util::stream::unfold((receiver, trailers), |(mut receiver, mut trailers)| async {
        let frame = match receiver.recv().await {
            Some(piece) => Frame::data(piece),
            None => Frame::trailers(trailers.take()?),
        };
        Some((Ok(frame), (receiver, trailers)))
    });
    http_body_util::StreamBody::new(frames).boxed()
}

/// A message with its prefix: not compressed, and its length.
fn message(text: &str) -> Bytes {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[0], &length[..], text.as_bytes()].concat().into()
}

fn ok() -> HeaderMap {
    let fields = [("grpc-status", "0"), ("grpc-message", "fine"), ("x-cost", "7")];
    fields.into_iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

/// Says `te`, and sends every message back with a word before it.
async fn greets(request: Request<Incoming>) -> Response<Body> {
    let te = request.headers().get("te").cloned();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut body = request.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { return };
            let text = String::from_utf8_lossy(&data[5..]).into_owned();
            if sender.send(message(&format!("hello {text}"))).await.is_err() {
                return;
            }
        }
    });
    let response = Response::builder().header("content-type", "application/grpc+proto");
    let response = response.header("x-te", te.unwrap_or(HeaderValue::from_static("none")));
    response.body(streamed(receiver, Some(ok()))).unwrap()
}

async fn greeter() -> (World, String) {
    let backend = Backend::either(greets).await;
    let world = World::start().await;
    let shop = world.publishes(with_http2(api("shop", &backend.url))).await;
    let token = world.subscribed(&shop).await;
    (world, token)
}

#[tokio::test]
async fn a_unary_call_passes_with_its_status_in_the_trailers() {
    let (world, token) = greeter().await;
    let mut client = world.http2_client().await;

    let call = world.grpc("/shop/1.0/pets.Greeter/Greet", &token, full(message("you")));
    let response = client.send_request(call).await.unwrap();

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc+proto");
    assert_eq!(response.headers()["x-te"], "trailers");
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-cost"]),
        (&"0".parse().unwrap(), &"7".parse().unwrap())
    );
    assert_eq!(body.to_bytes(), message("hello you"));
}

#[tokio::test]
async fn both_sides_of_a_call_stream_at_once() {
    let (world, token) = greeter().await;
    let mut client = world.http2_client().await;
    let (sender, receiver) = mpsc::channel(1);

    let call = world.grpc("/shop/1.0/pets.Greeter/Chat", &token, streamed(receiver, None));
    let mut body = client.send_request(call).await.unwrap().into_body();
    for name in ["one", "two", "three"] {
        sender.send(message(name)).await.unwrap();
        let frame = timeout(Duration::from_secs(2), body.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), message(&format!("hello {name}")));
    }
    drop(sender);
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_backends_own_refusal_is_passed_on_as_trailers_alone() {
    let backend = Backend::either(|_| async {
        let response = Response::builder().header("content-type", "application/grpc");
        response.header("grpc-status", "5").header("grpc-message", "no such pet").body(full("")).unwrap()
    })
    .await;
    let world = World::start().await;
    let shop = world.publishes(with_http2(api("shop", &backend.url))).await;
    let token = world.subscribed(&shop).await;

    let call = world.grpc("/shop/1.0/pets.Greeter/Greet", &token, full(message("you")));
    let response = world.http2_client().await.send_request(call).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"5".parse().unwrap())
    );
}

#[tokio::test]
async fn what_the_gateway_refuses_is_said_as_grpc_says_it() {
    let (world, token) = greeter().await;
    let unsubscribed = world.publishes(with_http2(api("other", "http://127.0.0.1:1"))).await;
    let mut blocked = with_http2(api("blocked", "http://127.0.0.1:1"));
    blocked.state = State::Blocked;
    world.publishes(blocked).await;
    let gone = world.publishes(with_http2(api("gone", "http://127.0.0.1:1"))).await;
    let to_gone = world.subscribed(&gone).await;
    let _ = unsubscribed;
    let mut client = world.http2_client().await;

    for (path, token, status, code) in [
        ("/shop/1.0/x", "", "16", "900902"),
        ("/shop/1.0/x", "AAAAAAAAAAAAAAAAAAAAAA", "16", "900901"),
        ("/other/1.0/x", &token, "7", "900908"),
        ("/nowhere/1.0/x", &token, "12", "404"),
        ("/blocked/1.0/x", &token, "14", "700700"),
        ("/gone/1.0/x", &to_gone, "14", "101503"),
    ] {
        let call = world.grpc(path, token, full(message("you")));
        let response = client.send_request(call).await.unwrap();
        let headers = response.headers().clone();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(headers["content-type"], "application/grpc", "{path}");
        assert_eq!(headers["grpc-status"], status, "{path}");
        assert!(headers["grpc-message"].to_str().unwrap().starts_with(&format!("{code}: ")), "{headers:?}");
        assert!(headers.contains_key("x-request-id") && !headers.contains_key("www-authenticate"));
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    // The books and whoever speaks plain HTTP still hear HTTP's statuses.
    let answer = world.sends(world.request(Method::POST, "/shop/1.0/x", "")).await;
    assert_eq!(answer.refusal(), (401, "900902".to_owned()));
    world.gateway.flush_usage().await;
    let metrics = world.app.metrics.render();
    assert!(metrics.contains(r#"gateway_requests_total{api="gone/1.0",status="502"} 1"#), "{metrics}");
}
