//! What each side sees of the other's headers, and what becomes of faults behind the gateway.

use std::time::Duration;

use api_manager::gateway::Limits;
use http::{Method, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::backend::{Backend, full};
use super::wire::hears;
use super::{Answer, World, api};

fn heard<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let lines = answer.text.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn the_backend_sees_neither_the_token_nor_what_was_meant_for_us() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut request = world.request(Method::GET, "/pets/1.0/cats", &token);
    for (name, value) in [
        ("connection", "x-named, keep-alive"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-connection", "close"),
        ("x-jwt-assertion", "forged"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-original-url", "/admin"),
        ("x-kept", "yes"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = world.sends(request).await;

    for name in [
        "authorization",
        "connection",
        "x-named",
        "keep-alive",
        "te",
        "proxy-authorization",
        "proxy-connection",
        "x-jwt-assertion",
        "x_forwarded_for",
        "x-original-url",
    ] {
        assert!(heard(&answer, name).is_empty(), "{name}: {answer:?}");
    }
    assert_eq!(heard(&answer, "x-kept"), ["yes"]);
    assert_eq!(heard(&answer, "host"), [backend.url.trim_start_matches("http://")]);
}

#[tokio::test]
async fn an_api_may_ask_for_the_callers_authorization() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.forward_authorization = true;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    let answer = world.calls("/pets/1.0/", &token).await;

    assert_eq!(heard(&answer, "authorization"), [format!("Bearer {token}")]);
}

#[tokio::test]
async fn the_backend_learns_from_us_alone_who_called() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let gateway = world.gateway.http_address.unwrap();

    let mut request = world.request(Method::GET, "/pets/1.0/cats", &token);
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-server",
        "x-real-ip",
    ] {
        request.headers_mut().insert(name, "forged".parse().unwrap());
    }
    request.headers_mut().insert("via", "1.0 earlier".parse().unwrap());
    request.headers_mut().insert("x-request-id", "call-7".parse().unwrap());
    let answer = world.sends(request).await;

    assert_eq!(heard(&answer, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(heard(&answer, "x-real-ip"), ["127.0.0.1"]);
    assert_eq!(heard(&answer, "x-forwarded-proto"), ["http"]);
    assert_eq!(heard(&answer, "x-forwarded-host"), [gateway.to_string()]);
    assert_eq!(heard(&answer, "x-forwarded-port"), [gateway.port().to_string()]);
    assert_eq!(heard(&answer, "x-forwarded-prefix"), ["/pets/1.0"]);
    assert_eq!(heard(&answer, "forwarded"), [format!("for=127.0.0.1;proto=http;host=\"{gateway}\"")]);
    assert_eq!(heard(&answer, "via"), ["1.0 earlier", "1.1 countersign"]);
    assert!(heard(&answer, "x-forwarded-server").is_empty());
    assert_eq!(heard(&answer, "x-request-id"), ["call-7"]);
    assert_eq!(answer.header("x-request-id"), "call-7");
}

#[tokio::test]
async fn a_request_id_that_is_no_id_is_replaced() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
        let mut request = world.request(Method::GET, "/pets/1.0/", &token);
        request.headers_mut().insert("x-request-id", bad.parse().unwrap());
        let answer = world.sends(request).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "{bad}");
        assert_eq!(heard(&answer, "x-request-id"), [answer.header("x-request-id")]);
    }
}

#[tokio::test]
async fn the_query_arrives_byte_for_byte() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let long = format!("q={}", "a".repeat(8_192));
    for query in ["a=1&a=2&b=&c", "+%20%2B;x", "%2e%2e/%2f//..", "%zz%", "?&=", &long] {
        let answer = world.calls(&format!("/pets/1.0/cats?{query}"), &token).await;
        assert!(answer.text.starts_with(&format!("GET /cats?{query}\n")), "{answer:?}");
    }
}

#[tokio::test]
async fn the_backends_answer_comes_through_as_it_is() {
    let backend = Backend::serving(|_| async {
        let answer = Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header("www-authenticate", "Basic realm=\"theirs\"")
            .header("www-authenticate", "Negotiate")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("connection", "x-named")
            .header("x-named", "1")
            .header("proxy-authenticate", "Basic")
            .header("x-request-id", "theirs")
            .header("via", "1.1 theirs")
            .header("server", "theirs");
        answer.body(full("no")).unwrap()
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let answer = world.calls("/pets/1.0/", &token).await;

    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, "no"));
    let all =
        |name: &str| answer.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("www-authenticate"), ["Basic realm=\"theirs\"", "Negotiate"]);
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all("via"), ["1.1 theirs", "1.1 countersign"]);
    assert_eq!(all("server"), ["theirs"]);
    assert_ne!(all("x-request-id"), ["theirs"]);
    assert!(
        all("x-named").is_empty() && all("connection").is_empty() && all("proxy-authenticate").is_empty()
    );
    assert_eq!(all("date").len(), 1);
}

#[tokio::test]
async fn answers_without_a_body_keep_the_connection_in_step() {
    let backend =
        Backend::raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let request = format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let heard = world.talks(&format!("{request}{}", request.replace("GET", "HEAD"))).await;

    assert_eq!(heard.matches("HTTP/1.1 304 ").count(), 2, "{heard}");
    assert!(!heard.contains("hello"), "{heard}");
}

#[tokio::test]
async fn a_backend_that_refuses_is_502() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [format!("http://{closed}"), "http://nowhere.invalid".to_owned(), format!("https://{closed}")]
    {
        let (world, _, token) = World::with_pets(&url).await;
        let answer = world.calls("/pets/1.0/", &token).await;
        assert_eq!(answer.refusal(), (502, "101503".to_owned()), "{url}");
        assert!(!answer.text.contains("127.0.0.1") && !answer.text.contains("invalid"), "{answer:?}");
        assert!(!answer.text.to_lowercase().contains("hyper"));
    }
}

#[tokio::test]
async fn a_backend_that_talks_nonsense_is_502() {
    for bytes in [
        &b""[..],
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
    ] {
        let backend = Backend::raw(bytes).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        let answer = world.calls("/pets/1.0/", &token).await;
        assert_eq!(answer.refusal(), (502, "101500".to_owned()), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn a_slow_backend_is_504_in_the_apis_time() {
    let backend = Backend::talking(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let world = World::start_within(Limits::default()).await;
    let mut pets = api("pets", &backend.url);
    pets.definition.timeouts.first_byte = 200;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    let began = tokio::time::Instant::now();
    let answer = world.calls("/pets/1.0/", &token).await;

    assert_eq!(answer.refusal(), (504, "101504".to_owned()));
    assert!((200..1_500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn each_answer_over_one_connection_has_the_whole_time() {
    let backend = Backend::talking(|mut stream| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::start_within(Limits::default()).await;
    let mut pets = api("pets", &backend.url);
    pets.definition.timeouts.first_byte = 400;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.text, "ok");

    let began = tokio::time::Instant::now();
    let answer = world.calls("/pets/1.0/", &token).await;

    assert_eq!(answer.refusal(), (504, "101504".to_owned()));
    assert!((400..1_500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(backend.hits(), 1, "it went by another connection");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_complete_answer_to_the_client() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n",
    ] {
        let backend = Backend::raw(bytes).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        let failed = world.tries(world.request(Method::GET, "/pets/1.0/", &token)).await;
        assert!(failed.is_err(), "{failed:?}");

        let mut stream = world.connects().await;
        let request = format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let heard = hears(&mut stream).await;
        assert!(heard.contains("part") && !heard.contains("\r\n0\r\n"), "{heard}");
    }
}

#[tokio::test]
async fn an_answer_whose_head_is_too_large_or_has_too_many_lines_is_502() {
    let head = |lines: String| format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok").into_bytes();
    let many = |lines: usize| (0..lines).map(|line| format!("x-{line}: y\r\n")).collect::<String>();
    for (bytes, status) in [
        (head(many(90)), 200),
        (head(many(100)), 502),
        (head(format!("x: {}\r\n", "y".repeat(256 * 1_024))), 502),
        // It goes on without an end.
        (format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(256 * 1_024)).into_bytes(), 502),
    ] {
        let backend = Backend::raw(bytes.leak()).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, status);
    }
}

#[tokio::test]
async fn an_answer_that_stalls_is_cut_in_the_apis_time() {
    let backend = Backend::talking(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await.unwrap();
        std::future::pending().await
    })
    .await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.timeouts.idle = 200;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    let began = tokio::time::Instant::now();
    assert!(world.tries(world.request(Method::GET, "/pets/1.0/", &token)).await.is_err());
    assert!(began.elapsed() < Duration::from_millis(1_500));
}

#[tokio::test]
async fn several_backends_take_turns() {
    let (one, two) = (Backend::echo().await, Backend::echo().await);
    let world = World::start().await;
    let mut pets = api("pets", &one.url);
    pets.definition.backends.production.push(two.url.clone().into());
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    for _ in 0..6 {
        world.calls("/pets/1.0/", &token).await;
    }

    assert_eq!((one.hits(), two.hits()), (3, 3));
}

#[tokio::test]
async fn a_gateway_that_is_its_own_backend_does_not_spin_for_ever() {
    let world = World::start().await;
    let mut circle = api("circle", &format!("{}/circle/1.0", world.base()));
    circle.definition.operations[0].auth = api_manager::domain::api::OperationAuth::None;
    world.publishes(circle).await;

    assert_eq!(world.calls("/circle/1.0/", "").await.status, StatusCode::LOOP_DETECTED);
}

#[tokio::test]
async fn requests_are_counted_by_api_and_status() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    world.calls("/pets/1.0/", &token).await;
    world.calls("/pets/1.0/", "").await;
    world.calls("/nowhere", "").await;
    world.gateway.flush_usage().await;

    let metrics = world.app.metrics.render();
    for line in [
        r#"gateway_requests_total{api="pets/1.0",status="200"} 1"#,
        r#"gateway_requests_total{api="pets/1.0",status="401"} 1"#,
        r#"gateway_requests_total{api="none",status="404"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
