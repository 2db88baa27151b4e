//! HTTP as bytes: what hyper and the gateway make of clients that do not play by the rules.

use std::time::Duration;

use api_manager::gateway::Limits;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::backend::{Backend, full};
use super::{World, api, client};

impl World {
    pub async fn connects(&self) -> TcpStream {
        TcpStream::connect(self.gateway.http_address.unwrap()).await.unwrap()
    }

    /// Sends bytes, and returns all that comes until the gateway closes or is silent for half a second.
    pub async fn talks(&self, bytes: &str) -> String {
        let mut stream = self.connects().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        hears(&mut stream).await
    }
}

/// All that comes until the other side closes or is silent for half a second.
pub async fn hears(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let mut piece = vec![0; 16_384];
    while let Ok(Ok(count @ 1..)) = timeout(Duration::from_millis(500), stream.read(&mut piece)).await {
        heard.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for host in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host:\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host: a,b\r\n",
        "Host: a b\r\n",
        "Host: a:b\r\n",
        "Host: [::1\r\n",
        "Host: a:123456\r\n",
    ] {
        let heard = world
            .talks(&format!("GET /pets/1.0/ HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\n\r\n"))
            .await;
        assert!(heard.starts_with("HTTP/1.1 400 "), "{host:?}: {heard}");
    }
    assert_eq!(backend.hits(), 0);
    for (line, host) in [
        ("GET /pets/1.0/ HTTP/1.1", "Host: api.example:8244\r\n"),
        ("GET /pets/1.0/ HTTP/1.1", "Host: [::1]:8244\r\n"),
        ("GET http://api.example/pets/1.0/ HTTP/1.1", "Host: other\r\n"),
        ("GET /pets/1.0/ HTTP/1.0", ""),
    ] {
        let heard = world.talks(&format!("{line}\r\n{host}Authorization: Bearer {token}\r\n\r\n")).await;
        assert!(heard.contains(" 200 "), "{line} {host:?}: {heard}");
    }
}

#[tokio::test]
async fn a_message_with_two_lengths_never_becomes_two_requests() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let smuggled = "GET /pets/1.0/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: a\r\n b\r\n",
        "X\0: a\r\n",
    ] {
        let heard = world
            .talks(&format!("POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{lines}\r\n0\r\n\r\n{smuggled}"))
            .await;
        assert!(
            heard.starts_with("HTTP/1.1 400 ") && heard.matches("HTTP/1.1 ").count() == 1,
            "{lines:?}: {heard}"
        );
    }
    let heard = world
        .talks(&format!(
            "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 6\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ))
        .await;
    assert!(!heard.contains("smuggled") && heard.matches("HTTP/1.1 ").count() == 1, "{heard}");
    let heard = world
        .talks("POST /pets/1.0/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .await;
    assert!(heard.contains(" 400 "), "{heard}");
}

#[tokio::test]
async fn too_many_and_too_large_headers_are_431() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;

    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(70_000));
    for lines in [&many, &large] {
        let heard = world.talks(&format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
    }
}

#[tokio::test]
async fn a_large_body_without_a_token_is_answered_and_the_connection_closed() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;

    let mut stream = world.connects().await;
    stream
        .write_all(b"POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
        .await
        .unwrap();
    let body = vec![b'x'; 2_000_000];
    // The gateway answers before it is all sent, and must not reset the connection under the answer.
    stream.write_all(&body).await.unwrap();
    let heard = hears(&mut stream).await;

    assert!(heard.starts_with("HTTP/1.1 401 "), "{heard}");
    assert!(heard.contains("connection: close\r\n") && heard.contains("900902"));
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 1);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn refusals_keep_the_connection_open_where_there_is_no_body() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let heard = world
        .talks(&format!(
            "GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\n\r\nGET /pets/1.0/x HTTP/1.1\r\nHost: a\r\nAuthorization: bearer {token}\r\n\r\n"
        ))
        .await;

    assert!(heard.starts_with("HTTP/1.1 401 ") && heard.contains("HTTP/1.1 200 OK"), "{heard}");
}

#[tokio::test]
async fn a_short_body_without_a_token_costs_no_connection() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let request = "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n";
    let heard =
        world.talks(&format!("{request}\r\nhello{request}Authorization: Bearer {token}\r\n\r\nworld")).await;

    assert!(heard.starts_with("HTTP/1.1 401 ") && heard.contains("HTTP/1.1 200 OK"), "{heard}");
    assert!(heard.ends_with("\nworld"), "{heard}");
}

#[tokio::test]
async fn an_expectation_is_met_only_after_admission() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let head = "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: ";

    let heard = world.talks(&format!("{head}100-continue\r\n\r\n")).await;
    assert!(heard.starts_with("HTTP/1.1 401 "), "{heard}");

    let mut stream = world.connects().await;
    stream
        .write_all(format!("{head}100-continue\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(hears(&mut stream).await.starts_with("HTTP/1.1 100 "));
    stream.write_all(b"hi").await.unwrap();
    let heard = hears(&mut stream).await;
    assert!(
        heard.starts_with("HTTP/1.1 200 ") && heard.contains("\r\n\r\n") && !heard.contains("expect:"),
        "{heard}"
    );

    let heard = world.talks(&format!("{head}something\r\n\r\nhi")).await;
    assert!(heard.starts_with("HTTP/1.1 417 "), "{heard}");
}

#[tokio::test]
async fn of_several_faults_the_one_nearest_to_the_wire_is_named() {
    let backend = Backend::echo().await;
    let (world, _, _) = World::with_pets(&backend.url).await;
    let long = format!("/pets/1.0/{}", "a".repeat(12 * 1_024));
    let (bad_path, bad_length) = ("/pets/1.0/../x", "Content-Length: 02\r\n");
    let bad_expectation = "Expect: something\r\n";
    for (target, headers, status) in [
        // Framing, before the path.
        (bad_path, format!("Host: a\r\n{bad_length}"), 400),
        (&*long, format!("Host: a\r\n{bad_length}"), 400),
        // No host, before the path.
        (&*long, String::new(), 400),
        // The path, before what is expected.
        (&*long, format!("Host: a\r\n{bad_expectation}"), 414),
        (bad_path, format!("Host: a\r\n{bad_expectation}"), 400),
        // What is expected, before where it goes.
        ("/nowhere/1.0/", format!("Host: a\r\n{bad_expectation}"), 417),
        ("/nowhere/1.0/", "Host: a\r\n".to_owned(), 404),
    ] {
        let body = if headers.contains(bad_length) { "hi" } else { "" };
        let head = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let heard = world.talks(&(head + body)).await;
        let path = target.get(..20).unwrap_or(target);
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {headers:?}: {heard}");
    }
}

#[tokio::test]
async fn connect_is_405_and_an_upgrade_never_101() {
    let backend =
        Backend::raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let heard = world.talks("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.1 405 "), "{heard}");
    let upgrade = "GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n";
    assert!(world.talks(&format!("{upgrade}\r\n")).await.starts_with("HTTP/1.1 401 "));
    let heard = world.talks(&format!("{upgrade}Authorization: Bearer {token}\r\n\r\n")).await;
    assert!(heard.starts_with("HTTP/1.1 502 "), "{heard}");
}

fn impatient() -> Limits {
    let mut limits = Limits::default();
    limits.patience.handshake = Duration::from_millis(300);
    limits.patience.head = Duration::from_millis(300);
    limits.patience.idle = Duration::from_millis(900);
    limits.patience.look = Duration::from_millis(50);
    limits
}

#[tokio::test]
async fn slow_heads_are_cut_and_idle_connections_closed() {
    let world = World::start_within(impatient()).await;
    let closes_after = async |mut stream: TcpStream| {
        let began = Instant::now();
        while let Ok(1..) = stream.read(&mut [0; 4_096]).await {}
        began.elapsed()
    };

    let silent = world.connects().await;
    assert!(closes_after(silent).await < Duration::from_millis(800));
    let mut dribbling = world.connects().await;
    dribbling.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT").await.unwrap();
    assert!(closes_after(dribbling).await < Duration::from_millis(1_300));
    let mut idle = world.connects().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let after = closes_after(idle).await;
    assert!((Duration::from_millis(600)..Duration::from_millis(1_800)).contains(&after), "{after:?}");
    let secure = TcpStream::connect(world.gateway.address).await.unwrap();
    assert!(closes_after(secure).await < Duration::from_millis(800));
}

#[tokio::test]
async fn both_versions_are_spoken_over_tls() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for h2 in [true, false] {
        let request = Request::builder()
            .uri(format!("https://{}/pets/1.0/cats", world.gateway.address))
            .header("authorization", format!("Bearer {token}"))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(Full::new(Bytes::from_static(b"hello")))
            .unwrap();
        let response = client(h2).request(request).await.unwrap();
        assert_eq!(response.version() == http::Version::HTTP_2, h2);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("x-forwarded-proto: https\n") && text.ends_with("\nhello"), "{text}");
        assert!(text.contains("cookie: a=1; b=2\n"), "{text}");
        assert!(
            text.contains(if h2 { "via: 2.0 countersign\n" } else { "via: 1.1 countersign\n" }),
            "{text}"
        );
    }
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_takes_no_new_ones() {
    let backend = Backend::serving(|_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        http::Response::new(full("late"))
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let address = world.gateway.http_address.unwrap();

    let mut stream = world.connects().await;
    stream
        .write_all(
            format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes(),
        )
        .await
        .unwrap();
    while backend.hits() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stopping = tokio::spawn(world.gateway.stop());
    let heard = hears(&mut stream).await;
    timeout(Duration::from_secs(2), stopping).await.unwrap().unwrap();

    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.ends_with("late"), "{heard}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_of_which_half_the_head_has_come_is_answered_by_a_gateway_that_stops() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let address = world.gateway.http_address.unwrap();
    let mut stream = world.connects().await;
    let line = format!("/pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
    // The first answer says that the half behind its request has been read.
    stream.write_all(format!("GET {line}\r\nPOST {line}Transfer-En").as_bytes()).await.unwrap();
    let first = hears(&mut stream).await;
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");

    let stopping = tokio::spawn(world.gateway.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.write_all(b"coding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await.unwrap();
    let heard = hears(&mut stream).await;
    timeout(Duration::from_secs(5), stopping).await.unwrap().unwrap();
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains("connection: close"), "{heard}");
}

#[tokio::test]
async fn a_connection_does_not_change_to_http2_once_a_request_has_come() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let get = format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let heard = world.talks(&format!("{get}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).await;
    // What the frames of HTTP/2 begin with, here.
    assert!(heard.starts_with("HTTP/1.1 200 ") && !heard.contains('\0'), "{heard}");
}

#[tokio::test]
async fn a_full_house_makes_others_wait_rather_than_fail() {
    let mut limits = impatient();
    limits.connections = 1;
    let world = World::start_within(limits).await;
    world.publishes(api("pets", "http://127.0.0.1:1")).await;

    let _sitting = world.connects().await;
    let answer = timeout(Duration::from_secs(3), world.calls("/pets/1.0/", "")).await.unwrap();

    assert_eq!(answer.status, 401);
}
