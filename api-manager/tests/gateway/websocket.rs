//! WebSockets through the gateway, end to end and as bytes (RFC 6455).

use std::time::Duration;

use api_manager::gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::backend::Backend;
use super::wire::hears;
use super::{World, api, operation};

/// As RFC 6455 has it in section 1.3.
pub const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Says 101 and then all that it hears.
pub async fn parrot() -> Backend {
    Backend::talking(|mut stream| async move {
        stream.write_all(ACCEPTED).await.unwrap();
        let (mut from, mut to) = stream.split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
    })
    .await
}

pub fn handshake(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{UPGRADE}{KEY}\r\n")
}

/// Reads the head of an answer.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = timeout(Duration::from_secs(3), stream.read_u8()).await;
        head.push(read.unwrap_or_else(|_| panic!("no head: {}", String::from_utf8_lossy(&head))).unwrap());
    }
    String::from_utf8(head).unwrap()
}

impl World {
    /// A WebSocket on the other side of which is the backend.
    pub async fn opens(&self, path: &str, token: &str) -> TcpStream {
        let mut stream = self.connects().await;
        stream.write_all(handshake(path, token).as_bytes()).await.unwrap();
        let head = head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream
    }
}

/// A frame as clients send it; the mask is all zeros, so that the parrot's echo can be compared.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..=125 => frame.push(0x80 | length as u8),
        length @ ..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

pub async fn says(stream: &mut TcpStream, bytes: &[u8]) {
    let (mut from, mut to) = stream.split();
    let mut heard = vec![0; bytes.len()];
    let both = async { tokio::join!(to.write_all(bytes), from.read_exact(&mut heard)) };
    let (said, read) = timeout(Duration::from_secs(5), both).await.unwrap();
    said.unwrap();
    read.unwrap();
    assert!(heard == bytes, "what came back is not what went in");
}

/// What comes until the end.
pub async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    rest
}

#[tokio::test]
async fn every_kind_of_frame_passes_as_it_is() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut socket = world.opens("/pets/1.0/chat", &token).await;

    says(&mut socket, &frame(0x81, "text, räksmörgås".as_bytes())).await;
    says(&mut socket, &frame(0x82, &[0, 255, 128])).await;
    says(&mut socket, &frame(0x89, b"ping")).await;
    says(&mut socket, &[frame(0x01, b"in "), frame(0x89, b""), frame(0x80, b"pieces")].concat()).await;
    // The first reserved bit: permessage-deflate (RFC 7692).
    says(&mut socket, &frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])).await;
    says(&mut socket, &frame(0x82, &vec![42; 1_024 * 1_024])).await;
    says(&mut socket, &frame(0x88, &[0x0f, 0xa1])).await;

    socket.shutdown().await.unwrap();
    assert_eq!(rest(&mut socket).await, b"");
}

#[tokio::test]
async fn the_101_is_the_backends_with_its_handshake_and_our_request_id() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut stream = world.connects().await;

    // The first frame comes with the handshake, before the answer.
    let first = frame(0x81, b"early");
    let bytes = [handshake("/pets/1.0/chat", &token).as_bytes(), &first].concat();
    stream.write_all(&bytes).await.unwrap();
    let head = head(&mut stream).await.to_ascii_lowercase();

    for line in [
        "http/1.1 101 ",
        "\r\nconnection: upgrade\r\n",
        "\r\nupgrade: websocket\r\n",
        "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
        "\r\nsec-websocket-extensions: permessage-deflate\r\n",
        "\r\nx-request-id: ",
        "\r\nvia: 1.1 countersign\r\n",
    ] {
        assert!(head.contains(line), "{line:?} is not in {head}");
    }
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    let mut heard = vec![0; first.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, first);
}

#[tokio::test]
async fn a_backend_that_declines_is_heard_and_sees_the_whole_handshake() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let heard = world.talks(&handshake("/pets/1.0/chat?room=1", &token)).await.to_ascii_lowercase();

    assert!(heard.starts_with("http/1.1 200 "), "{heard}");
    for line in [
        "get /chat?room=1\n",
        "\nconnection: upgrade\n",
        "\nupgrade: websocket\n",
        "\nsec-websocket-version: 13\n",
        "\nsec-websocket-key: dghlihnhbxbszsbub25jzq==\n",
    ] {
        assert!(heard.contains(line), "{line:?} is not in {heard}");
    }
    assert!(!heard.contains("authorization"), "{heard}");
}

#[tokio::test]
async fn a_handshake_is_admitted_like_any_request_before_any_101() {
    let backend = parrot().await;
    let (world, mut pets, token) = World::with_pets(&backend.url).await;
    let outsider = world.issues(super::grant(world.application().await)).await;

    for (path, token, status) in [
        ("/pets/1.0/chat", "", "401"),
        ("/pets/1.0/chat", "00000000-0000-4000-8000-000000000000", "401"),
        ("/pets/1.0/chat", &outsider, "403"),
        ("/dogs/1.0/chat", &token, "404"),
    ] {
        let heard = world.talks(&handshake(path, token)).await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {heard}");
    }
    pets.definition.operations = vec![operation("POST", "/chat")];
    let row = pets.clone();
    world.changes(move |c| api_manager::storage::apis::update(c, &row, row.revision)).await;
    let heard = world.talks(&handshake("/pets/1.0/chat", &token)).await;
    assert!(heard.starts_with("HTTP/1.1 405 "), "{heard}");
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn what_is_no_proper_handshake_never_becomes_a_101() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let get = "GET /pets/1.0/ HTTP/1.1";
    let old = KEY.replace("13", "7");
    let two = format!("{KEY}{KEY}");
    let body = format!("{KEY}Content-Length: 2\r\n");

    for (line, upgrade, key, status) in [
        // Refused by us, as the backend could not know better.
        (get, UPGRADE, old.as_str(), "426"),
        (get, UPGRADE, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "426"),
        (get, UPGRADE, two.as_str(), "426"),
        (get, UPGRADE, "Sec-WebSocket-Version: 13\r\n", "400"),
        (get, UPGRADE, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", "400"),
        (get, UPGRADE, body.as_str(), "400"),
        // No handshakes: this backend's 101 is then a broken answer.
        ("POST /pets/1.0/ HTTP/1.1", UPGRADE, KEY, "502"),
        ("GET /pets/1.0/ HTTP/1.0", UPGRADE, KEY, "502"),
        (get, "Upgrade: websocket\r\n", KEY, "502"),
        (get, "Connection: upgrade\r\n", KEY, "502"),
        (get, "Connection: upgrade\r\nUpgrade: h2c\r\n", KEY, "502"),
    ] {
        let body = if key.contains("Length") { "hi" } else { "" };
        let head = format!("{line}\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{upgrade}{key}\r\n{body}");
        let heard = world.talks(&head).await;
        assert!(heard.contains(&format!(" {status} ")), "{head}: {heard}");
        assert!(!heard.contains(" 101 "), "{head}: {heard}");
        if status == "426" {
            assert!(heard.contains("sec-websocket-version: 13\r\n"), "{heard}");
        }
    }
}

#[tokio::test]
async fn half_a_handshake_reaches_the_backend_as_a_plain_request() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let head = format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
    let heard = world.talks(&format!("{head}Connection: upgrade\r\nUpgrade: h2c\r\n{KEY}\r\n")).await;

    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    assert!(!heard.contains("\nupgrade") && !heard.contains("\nsec-websocket"), "{heard}");
}

#[tokio::test]
async fn a_101_to_another_protocol_is_a_broken_answer() {
    let backend =
        Backend::raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let heard = world.talks(&handshake("/pets/1.0/", &token)).await;
    assert!(heard.starts_with("HTTP/1.1 502 "), "{heard}");
}

#[tokio::test]
async fn where_one_side_goes_away_the_other_hears_of_it() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let backend = Backend::talking(move |mut stream| {
        let tell = tell.clone();
        async move {
            stream.write_all(ACCEPTED).await.unwrap();
            if stream.read_u8().await.unwrap_or(0) == b'q' {
                return;
            }
            let _ = tell.send(hears(&mut stream).await).await;
        }
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut left = world.opens("/pets/1.0/", &token).await;
    left.write_all(b"q").await.unwrap();
    assert_eq!(rest(&mut left).await, b"");

    let mut leaves = world.opens("/pets/1.0/", &token).await;
    leaves.write_all(b"x").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    drop(leaves);
    timeout(Duration::from_secs(2), told.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_silent_websocket_ends_after_the_apis_idle_time_and_a_talking_one_does_not() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets_as(&backend.url, |pets| pets.timeouts.idle = 700).await;

    let mut socket = world.opens("/pets/1.0/", &token).await;
    for _ in 0..5 {
        sleep(Duration::from_millis(300)).await;
        says(&mut socket, &frame(0x89, b"still here")).await;
    }
    let began = Instant::now();
    assert_eq!(rest(&mut socket).await[..4], [0x88, 19, 0x03, 0xe9]);
    assert!(began.elapsed() > Duration::from_millis(600), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_and_does_not_wait_for_websockets() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut socket = world.opens("/pets/1.0/", &token).await;
    says(&mut socket, &frame(0x81, b"hello")).await;

    let began = Instant::now();
    let stopping = tokio::spawn(world.gateway.stop());
    // 1001: going away.
    assert_eq!(rest(&mut socket).await, [&[0x88, 19, 0x03, 0xe9], &b"the gateway stops"[..]].concat());
    drop(socket);
    stopping.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_websocket_keeps_its_place_among_the_connections_and_in_the_books() {
    let backend = parrot().await;
    let world = World::start_within(Limits { connections: 1, ..Limits::default() }).await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;
    let counted = || world.app.metrics.render();

    let socket = world.opens("/pets/1.0/", &token).await;
    let mut second = world.connects().await;
    second.write_all(handshake("/pets/1.0/", &token).as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(300), second.read_u8()).await.is_err());
    assert!(!counted().contains(r#"status="101""#));

    drop(socket);
    assert!(head(&mut second).await.starts_with("HTTP/1.1 101 "));
    drop(second);
    let began = Instant::now();
    while !counted().contains(r#"gateway_requests_total{api="pets/1.0",status="101"} 2"#) {
        assert!(began.elapsed() < Duration::from_secs(2), "{}", counted());
        sleep(Duration::from_millis(20)).await;
    }
}
