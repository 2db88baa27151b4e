//! Backends that are spoken to in HTTP/2.

use api_manager::domain::api::transport::BackendTls;
use http::{Method, Response};

use super::backend::{Backend, full};
use super::frames::{self, END_HEADERS, END_STREAM, Peer};
use super::secure::{Pair, describes, with_http2, with_tls};
use super::{World, api};

fn trusting(pair: &Pair) -> BackendTls {
    BackendTls { ca: vec![pair.pem()], ..BackendTls::default() }
}

#[tokio::test]
async fn http2_is_negotiated_over_tls_and_known_beforehand_without() {
    let pair = Pair::self_signed("localhost");
    let secure = Backend::secure(&pair, "localhost", b"\x02h2\x08http/1.1", describes).await;
    let plain = Backend::either(describes).await;
    let world = World::start().await;
    let secure = world.publishes(with_http2(with_tls(api("secure", &secure.url), trusting(&pair)))).await;
    let plain = world.publishes(with_http2(api("plain", &plain.url))).await;

    for api in [secure, plain] {
        let token = world.subscribed(&api).await;
        let answer = world.calls(&format!("/{}/1.0/x", api.context), &token).await;
        assert!(answer.text.starts_with("HTTP/2.0 ") && answer.text.ends_with("path=/x"), "{answer:?}");
        assert!(answer.text.contains("host=none authority="), "{answer:?}");
        assert_eq!(answer.header("via"), "2.0 countersign");
    }
}

#[tokio::test]
async fn a_backend_that_does_not_offer_http2_is_502() {
    let pair = Pair::self_signed("localhost");
    let secure = Backend::secure(&pair, "localhost", b"\x08http/1.1", describes).await;
    let plain = Backend::raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let world = World::start().await;
    let secure = world.publishes(with_http2(with_tls(api("secure", &secure.url), trusting(&pair)))).await;
    let plain = world.publishes(with_http2(api("plain", &plain.url))).await;

    for (api, code) in [(secure, "101503"), (plain, "101500")] {
        let token = world.subscribed(&api).await;
        let answer = world.calls(&format!("/{}/1.0/x", api.context), &token).await;
        assert_eq!(answer.refusal(), (502, code.to_owned()), "{answer:?}");
    }
}

#[tokio::test]
async fn the_websockets_of_an_http2_api_begin_in_http1() {
    let backend = Backend::serving(|request| async move {
        let upgrade = request.headers().contains_key("sec-websocket-key");
        let text = format!("{:?} {upgrade}", request.version());
        Response::builder().status(426).body(full(text)).unwrap()
    })
    .await;
    let world = World::start().await;
    let chat = world.publishes(with_http2(api("chat", &backend.url))).await;
    let token = world.subscribed(&chat).await;

    let mut request = world.request(Method::GET, "/chat/1.0/", &token);
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(world.sends(request).await.text, "HTTP/1.1 true");
}

#[tokio::test]
async fn a_request_that_a_goaway_leaves_out_is_sent_again_and_one_it_may_have_seen_is_not() {
    for (last_stream, passes) in [(0, true), (1, false)] {
        let backend = Backend::frames(move |mut peer: Peer, connection| async move {
            let stream = peer.reads_until(frames::HEADERS).await;
            if connection == 0 {
                peer.sends(frames::GOAWAY, 0, 0, &frames::goaway(last_stream, 0)).await;
                return peer.leaves().await;
            }
            // ":status: 200" of HPACK's static table.
            peer.sends(frames::HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]).await;
            peer.reads_until(frames::GOAWAY).await;
        })
        .await;
        let world = World::start().await;
        let pets = world.publishes(with_http2(api("pets", &backend.url))).await;
        let token = world.subscribed(&pets).await;

        // Not idempotent: whether it has been seen decides.
        let answer = world.sends(world.request(Method::POST, "/pets/1.0/", &token)).await;

        if passes {
            assert_eq!((answer.status.as_u16(), backend.hits()), (200, 2), "{answer:?}");
        } else {
            assert_eq!((answer.refusal(), backend.hits()), ((502, "101500".to_owned()), 1));
        }
    }
}

#[tokio::test]
async fn a_connection_that_says_goaway_finishes_what_it_has_and_gets_nothing_new() {
    let backend = Backend::frames(|mut peer: Peer, _| async move {
        let stream = peer.reads_until(frames::HEADERS).await;
        peer.sends(frames::GOAWAY, 0, 0, &frames::goaway(stream, 0)).await;
        peer.sends(frames::HEADERS, END_HEADERS, stream, &[0x88]).await;
        peer.sends(frames::DATA, END_STREAM, stream, b"whole").await;
        peer.reads_until(frames::GOAWAY).await;
    })
    .await;
    let world = World::start().await;
    let pets = world.publishes(with_http2(api("pets", &backend.url))).await;
    let token = world.subscribed(&pets).await;

    for connections in 1..=3 {
        let answer = world.calls("/pets/1.0/", &token).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "whole"));
        assert_eq!(backend.hits(), connections);
    }
}

#[tokio::test]
async fn an_http2_backend_that_breaks_the_rules_is_502_or_breaks_off() {
    // A reset, a frame on stream 0, headers that do not read, and a connection that ends.
    for nonsense in ["reset", "stream 0", "headers", "end"] {
        let backend = Backend::frames(move |mut peer: Peer, _| async move {
            let stream = peer.reads_until(frames::HEADERS).await;
            match nonsense {
                "reset" => peer.sends(frames::RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await,
                "stream 0" => peer.sends(frames::DATA, 0, 0, b"x").await,
                "headers" => peer.sends(frames::HEADERS, END_HEADERS, stream, &[0xff; 9]).await,
                _ => peer.leaves().await,
            }
        })
        .await;
        let world = World::start().await;
        let pets = world.publishes(with_http2(api("pets", &backend.url))).await;
        let token = world.subscribed(&pets).await;
        let answer = world.calls("/pets/1.0/", &token).await;
        assert_eq!(answer.refusal(), (502, "101500".to_owned()), "{nonsense}");
    }
    let backend = Backend::frames(|mut peer: Peer, _| async move {
        let stream = peer.reads_until(frames::HEADERS).await;
        peer.sends(frames::HEADERS, END_HEADERS, stream, &[0x88]).await;
        peer.sends(frames::DATA, 0, stream, b"part").await;
        peer.sends(frames::RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await;
        peer.reads_until(frames::GOAWAY).await;
    })
    .await;
    let world = World::start().await;
    let pets = world.publishes(with_http2(api("pets", &backend.url))).await;
    let token = world.subscribed(&pets).await;
    assert!(world.tries(world.request(Method::GET, "/pets/1.0/", &token)).await.is_err());
}
