//! Requests with two readings: refused or read in one way, and never two requests at the backend (checks C310 to C362).

use std::sync::{Arc, Mutex};

use http::Response;

use super::World;
use super::backend::{Backend, full};

const SMUGGLED: &str = "GET /pets/1.0/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// A backend that remembers the targets it was asked for, and the world before it.
async fn watched() -> (World, String, Arc<Mutex<Vec<String>>>, Backend) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let backend = Backend::serving(move |request| {
        seen.lock().unwrap().push(request.uri().to_string());
        async move {
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
            Response::new(full("ok"))
        }
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    (world, token, asked, backend)
}

/// Sends a head with `lines`, `body` and a smuggled request behind; what comes back must be one answer at most, and the
/// backend must not have seen what was smuggled. Returns what was heard.
async fn sends(world: &World, token: &str, asked: &Mutex<Vec<String>>, lines: &str, body: &str) -> String {
    let heard = world
        .talks(&format!(
            "POST /pets/1.0/first HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{lines}\r\n{body}{SMUGGLED}"
        ))
        .await;
    let seen = std::mem::take(&mut *asked.lock().unwrap());
    assert!(!seen.iter().any(|target| target.contains("smuggled")), "{lines:?} {body:?}: {seen:?}");
    assert!(heard.matches("HTTP/1.1 ").count() <= 1, "{lines:?} {body:?}: {heard}");
    heard
}

#[tokio::test]
async fn lengths_that_do_not_read_in_one_way_are_400() {
    let (world, token, asked, _backend) = watched().await;
    for length in [
        "5\r\nContent-Length: 6",
        "5, 6",
        "5,5",
        "+5",
        "-0",
        "-5",
        "0x5",
        "5_0",
        "5 0",
        "5;",
        "5.0",
        "",
        " ",
        "five",
        "\u{b}5",
        "99999999999999999999",
    ] {
        let heard =
            sends(&world, &token, &asked, &format!("Content-Length: {length}\r\n"), "0\r\n\r\n").await;
        assert!(heard.starts_with("HTTP/1.1 400 "), "{length:?}: {heard}");
    }
}

#[tokio::test]
async fn the_same_length_twice_is_one_request_or_none_and_zeros_in_front_are_400() {
    let (world, token, asked, _backend) = watched().await;
    let length = SMUGGLED.len();
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length:{length}\r\n"),
        format!("Content-Length: \t{length} \r\n"),
    ] {
        let heard = sends(&world, &token, &asked, &lines, "").await;
        assert!(
            heard.starts_with("HTTP/1.1 400 ") || heard.starts_with("HTTP/1.1 200 "),
            "{lines:?}: {heard}"
        );
    }
    let zeros = sends(&world, &token, &asked, &format!("Content-Length: 0{length}\r\n"), "").await;
    assert!(zeros.starts_with("HTTP/1.1 400 "), "{zeros}");
}

#[tokio::test]
async fn encodings_that_are_not_chunked_alone_are_400() {
    let (world, token, asked, _backend) = watched().await;
    for encoding in [
        "xchunked",
        "chunked, identity",
        "identity",
        "",
        "gzip",
        "chunked,",
        "\u{b}chunked",
        "\u{c}chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "identity\r\nTransfer-Encoding: xchunked",
        "\"chunked\"",
        "chunked;a=b",
        "chunk",
        "cow, chunk",
        // The last coding frames the message, but the backend would take gzip for plain (RFC 9112, section 6.1).
        "gzip, chunked",
        "chunked, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        let lines = format!("Transfer-Encoding: {encoding}\r\n");
        let heard = sends(&world, &token, &asked, &lines, "0\r\n\r\n").await;
        assert!(
            heard.starts_with("HTTP/1.1 400 ") || heard.starts_with("HTTP/1.1 501 "),
            "{encoding:?}: {heard}"
        );
    }
}

#[tokio::test]
async fn a_length_beside_an_encoding_never_leaves_a_second_request() {
    let (world, token, asked, _backend) = watched().await;
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: Chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: gzip, chunked\r\nContent-Length: 6\r\n",
    ] {
        let heard = sends(&world, &token, &asked, lines, "0\r\n\r\n").await;
        assert!(!heard.contains("smuggled"), "{lines:?}: {heard}");
    }
    let old = format!(
        "POST /pets/1.0/ HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
    );
    assert!(world.talks(&old).await.contains(" 400 "));
}

#[tokio::test]
async fn chunks_that_do_not_read_in_one_way_end_the_connection() {
    let (world, token, asked, _backend) = watched().await;
    for chunk in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
    ] {
        let heard = sends(&world, &token, &asked, "Transfer-Encoding: chunked\r\n", chunk).await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{chunk:?}: {heard}");
    }
}

#[tokio::test]
async fn chunks_with_extensions_are_written_anew_without_them() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    // hyper reads no further than the semicolon: whatever stands there, nobody behind us reads it otherwise.
    for extension in ["name=value", "", "a=\0", "\"quoted\""] {
        let heard = world
            .talks(&format!(
                "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5;{extension}\r\nhello\r\n0;last\r\n\r\n"
            ))
            .await;
        assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains("\nhello"), "{heard}");
    }
}

#[tokio::test]
async fn header_lines_that_do_not_read_in_one_way_are_400() {
    let (world, token, asked, _backend) = watched().await;
    for lines in [
        "X : a\r\n",
        "X\t: a\r\n",
        " X: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X\0: a\r\n",
        "X: a\0b\r\n",
        "X: a\rb\r\n",
        "X: a\u{1}b\r\n",
        "X: a\u{7f}b\r\n",
        ": a\r\n",
        "X\r\n",
        "X(y): a\r\n",
        "X@y: a\r\n",
        "Content-Length : 5\r\n",
        "Content-Length\0: 5\r\n",
        "\u{e4}: a\r\n",
    ] {
        let heard = sends(&world, &token, &asked, lines, "").await;
        assert!(heard.starts_with("HTTP/1.1 400 "), "{lines:?}: {heard}");
    }
}

#[tokio::test]
async fn request_lines_that_do_not_read_in_one_way_are_refused() {
    let (world, token, asked, backend) = watched().await;
    let rest = format!("Host: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    for line in [
        "GET  /pets/1.0/ HTTP/1.1\r\n",
        "GET /pets/1.0/ x HTTP/1.1\r\n",
        "GET /pets/1.0/\tHTTP/1.1\r\n",
        "GET /pets/1.0/ HTTP/1.2\r\n",
        "GET /pets/1.0/ HTTP/3.0\r\n",
        "GET /pets/1.0/ http/1.1\r\n",
        "GET /pets/1.0/\0 HTTP/1.1\r\n",
        "GET pets/1.0/ HTTP/1.1\r\n",
        " GET /pets/1.0/ HTTP/1.1\r\n",
        "GET /pets/1.0/ HTTP/1.1\r",
        "\rGET /pets/1.0/ HTTP/1.1\r\n",
        "GET /pets/1.0/ HTTP/1.1\r\n \r\n",
        "G\0T /pets/1.0/ HTTP/1.1\r\n",
        "G(T /pets/1.0/ HTTP/1.1\r\n",
    ] {
        let heard = world.talks(&format!("{line}{rest}")).await;
        assert!(!heard.contains(" 200 "), "{line:?}: {heard}");
    }
    assert_eq!((backend.hits(), asked.lock().unwrap().len()), (0, 0));
    // RFC 9112, section 2.2: empty lines before a request are left over from the one before.
    let heard = world.talks(&format!("\r\n\r\nGET /pets/1.0/ HTTP/1.1\r\n{rest}")).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a_method_is_what_it_is_called_and_no_other() {
    let backend = Backend::echo().await;
    let (world, mut pets, token) = World::with_pets(&backend.url).await;
    let ask = async |method: &str| {
        world
            .talks(&format!(
                "{method} /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
            ))
            .await
    };
    // Any method is declared: each goes through as it was spelled.
    for method in ["FETCH", "get", "M-SEARCH"] {
        let heard = ask(method).await;
        assert!(heard.contains(&format!("\r\n\r\n{method} /")), "{method}: {heard}");
    }
    assert!(ask("TRACE").await.starts_with("HTTP/1.1 405 "));
    let heard = ask(&"X".repeat(100_000)).await;
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{heard}");

    pets.definition.operations = vec![super::operation("GET", "/*")];
    pets.revision += 1;
    world.changes(move |connection| api_manager::storage::apis::update(connection, &pets, 1)).await;
    for method in ["FETCH", "get", "POST"] {
        assert!(ask(method).await.starts_with("HTTP/1.1 405 "), "{method}");
    }
}

#[tokio::test]
async fn odd_bytes_of_values_survive_in_both_directions() {
    let backend = Backend::talking(|mut stream| async move {
        use tokio::io::AsyncWriteExt;
        let answer = b"HTTP/1.1 200 Sch\xf6n\r\nX-Odd: \xff\xfe\r\nX-Empty:\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        let _ = stream.write_all(answer).await;
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut request = world.request(http::Method::GET, "/pets/1.0/", &token);
    request.headers_mut().insert("x-odd", http::HeaderValue::from_bytes(b"\xe4\xff").unwrap());
    request.headers_mut().insert("x-empty", http::HeaderValue::from_static(""));
    let answer = world.sends(request).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "hi"));
    assert_eq!(
        (answer.headers["x-odd"].as_bytes(), answer.headers["x-empty"].as_bytes()),
        (&b"\xff\xfe"[..], &b""[..])
    );
    assert!(answer.headers.contains_key("date") && !answer.headers.contains_key("server"));
}
