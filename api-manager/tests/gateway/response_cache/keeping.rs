//! What is kept, for how long, and what ends it.

use api_manager::storage::apis;
use http::{Method, Response};

use super::super::backend::full;
use super::super::wire::hears;
use super::*;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn an_answer_is_given_again_while_it_is_fresh() {
    let backend = counting(&[("cache-control", "max-age=10"), ("age", "3"), ("x-kept", "yes")]).await;
    let (world, _, token) = world(&backend).await;

    let first = world.calls(CATS, &token).await;
    world.app.clock.advance(6);
    let second = world.calls(CATS, &token).await;
    world.app.clock.advance(1);
    let third = world.calls(CATS, &token).await;

    assert_eq!(
        (first.text.as_str(), first.header("cache-status")),
        ("answer 1", "countersign; fwd=uri-miss; stored")
    );
    assert_eq!((second.text.as_str(), second.header("age")), ("answer 1", "9"));
    assert_eq!(second.header("cache-status"), "countersign; hit; ttl=1");
    assert_eq!((second.header("x-kept"), second.header("via")), ("yes", first.header("via")));
    assert_eq!(second.header("x-request-id").len(), 36);
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(third.text, "answer 2");
    assert_eq!(third.header("cache-status"), "countersign; fwd=stale; stored");
}

#[tokio::test]
async fn nothing_is_kept_of_an_operation_that_does_not_ask_for_it() {
    let backend = counting(&[("cache-control", "public, max-age=60")]).await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for _ in 0..2 {
        assert_eq!(world.calls(CATS, &token).await.header("cache-status"), "");
    }
    assert_eq!(backend.hits(), 2);
}

#[tokio::test]
async fn the_operations_own_time_holds_where_the_backend_says_nothing() {
    let backend = counting(&[]).await;
    let (world, _, token) = world(&backend).await;

    world.calls(CATS, &token).await;
    world.app.clock.advance(59);
    assert_eq!(world.calls(CATS, &token).await.text, "answer 1");
    world.app.clock.advance(1);
    assert_eq!(world.calls(CATS, &token).await.text, "answer 2");
}

#[tokio::test]
async fn what_the_backend_wants_kept_from_others_is_not_kept() {
    for headers in [
        &[("cache-control", "no-store")][..],
        &[("cache-control", "private")],
        &[("cache-control", "no-cache")],
        &[("cache-control", "max-age=0")],
        &[("cache-control", "max-age=60, s-maxage=0")],
        &[("cache-control", "max-age=60"), ("set-cookie", "a=1")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[("cache-control", "max-age=60"), ("vary", "x-forwarded-for")],
        &[("cache-control", "max-age=60"), ("age", "60")],
        &[("expires", "0")],
    ] {
        let backend = counting(headers).await;
        let (world, _, token) = world(&backend).await;
        for _ in 0..2 {
            let answer = world.calls(CATS, &token).await;
            assert_eq!(answer.header("cache-status"), "countersign; fwd=uri-miss", "{headers:?}");
        }
        assert_eq!(backend.hits(), 2, "{headers:?}");
    }
    for status in [206, 302, 401, 500] {
        let backend = answering(move |_| Response::builder().status(status)).await;
        let (world, _, token) = world(&backend).await;
        for _ in 0..2 {
            assert_eq!(world.calls(CATS, &token).await.status, status);
        }
        assert_eq!(backend.hits(), 2, "{status}");
    }
}

#[tokio::test]
async fn requests_may_insist_on_the_backend() {
    let backend = counting(&[("cache-control", "max-age=60")]).await;
    let (world, _, token) = world(&backend).await;
    world.calls(CATS, &token).await;

    for (header, said) in [
        (("cache-control", "no-store"), "countersign; fwd=bypass"),
        (("range", "bytes=0-3"), "countersign; fwd=bypass"),
        (("cookie", "a=1"), "countersign; fwd=bypass"),
        (("if-match", "\"x\""), "countersign; fwd=bypass"),
    ] {
        let before = backend.hits();
        let answer = calls(&world, Method::GET, CATS, &token, &[header]).await;
        assert_eq!((answer.header("cache-status"), backend.hits()), (said, before + 1), "{header:?}");
    }
    assert_eq!(world.calls(CATS, &token).await.text, "answer 1");

    for header in [("cache-control", "no-cache"), ("pragma", "no-cache")] {
        let answer = calls(&world, Method::GET, CATS, &token, &[header]).await;
        assert_eq!(answer.header("cache-status"), "countersign; fwd=request; stored");
        assert_eq!(world.calls(CATS, &token).await.text, answer.text);
    }
}

#[tokio::test]
async fn who_has_it_already_hears_304() {
    let headers = &[
        ("cache-control", "max-age=60"),
        ("etag", "W/\"seven\""),
        ("last-modified", "Fri, 15 Jan 2027 07:00:00 GMT"),
        ("content-type", "text/plain"),
    ];
    let backend = counting(headers).await;
    let (world, _, token) = world(&backend).await;
    world.calls(CATS, &token).await;

    for (header, status) in [
        (("if-none-match", "\"six\", \"seven\""), 304),
        (("if-none-match", "*"), 304),
        (("if-none-match", "\"six\""), 200),
        (("if-modified-since", "Fri, 15 Jan 2027 07:00:00 GMT"), 304),
        (("if-modified-since", "Fri, 15 Jan 2027 06:59:59 GMT"), 200),
        (("if-modified-since", "yesterday"), 200),
    ] {
        let answer = calls(&world, Method::GET, CATS, &token, &[header]).await;
        assert_eq!(answer.status, status, "{header:?}");
        assert_eq!(answer.header("etag"), "W/\"seven\"");
        if status == 304 {
            assert_eq!((answer.text.as_str(), answer.header("content-type")), ("", ""));
        }
    }
    assert_eq!(backend.hits(), 1);
}

#[tokio::test]
async fn a_head_is_answered_from_what_a_get_left() {
    let backend = counting(&[("cache-control", "max-age=60")]).await;
    let (world, _, token) = world(&backend).await;

    calls(&world, Method::HEAD, CATS, &token, &[]).await;
    assert_eq!(world.calls(CATS, &token).await.header("cache-status"), "countersign; fwd=uri-miss; stored");
    let answer = calls(&world, Method::HEAD, CATS, &token, &[]).await;

    assert_eq!((answer.text.as_str(), answer.header("content-length")), ("", "8"));
    assert_eq!((answer.header("cache-status"), backend.hits()), ("countersign; hit; ttl=60", 2));
}

#[tokio::test]
async fn a_change_of_what_an_answer_is_about_ends_it_for_every_caller() {
    let backend = answering(|request| {
        let status = if request.uri().path() == "/fails" { 500 } else { 200 };
        Response::builder().status(if request.method() == Method::GET { 200 } else { status })
    })
    .await;
    let (world, pets, token) = world(&backend).await;
    let other = world.subscribed(&pets).await;
    for path in [CATS, "/pets/1.0/fails"] {
        for token in [&token, &other] {
            world.calls(path, token).await;
        }
    }
    world.calls("/pets/1.0/cats?page=2", &token).await;

    for (method, path, kept) in [
        (Method::OPTIONS, CATS, true),
        (Method::DELETE, "/pets/1.0/fails", true),
        (Method::POST, "/pets/1.0/dogs", true),
        (Method::PUT, CATS, false),
    ] {
        calls(&world, method.clone(), path, &other, &[]).await;
        for token in [&token, &other] {
            let answer = world.calls(CATS, token).await;
            assert_eq!(answer.header("cache-status").contains("hit"), kept, "{method} {path}");
        }
    }
    let page = world.calls("/pets/1.0/cats?page=2", &token).await;
    assert!(page.header("cache-status").contains("hit"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_kept() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        // Whether this is all of it nobody can tell.
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart",
        b"HTTP/1.0 200 OK\r\n\r\npart",
    ] {
        let backend = Backend::raw(bytes).await;
        let (world, _, token) = world(&backend).await;
        for _ in 0..2 {
            let _ = world.tries(world.request(Method::GET, CATS, &token)).await;
        }
        assert_eq!(backend.hits(), 2, "{}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn an_answer_whose_client_left_is_not_kept() {
    let backend = Backend::talking(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npart").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let _ = stream.write_all(b"part").await;
    })
    .await;
    let (world, _, token) = world(&backend).await;

    let mut stream = world.connects().await;
    let head = format!(
        "GET {CATS} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        &world.base()[7..]
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(hears(&mut stream).await.ends_with("part"));
    drop(stream);

    assert_eq!(world.calls(CATS, &token).await.text, "partpart");
    assert_eq!(backend.hits(), 2);
}

#[tokio::test]
async fn what_is_larger_than_may_be_kept_streams_through() {
    let backend = Backend::serving(|request| async move {
        let length = if request.uri().path() == "/small" { 1_000 } else { 1_001 };
        Response::builder().header("date", DATE).body(full("x".repeat(length))).unwrap()
    })
    .await;
    let (world, _, token) = world(&backend).await;

    for (path, length, hits) in [("/pets/1.0/large", 1_001, 2), ("/pets/1.0/small", 1_000, 3)] {
        for _ in 0..2 {
            assert_eq!(world.calls(path, &token).await.text.len(), length);
        }
        assert_eq!(backend.hits(), hits);
    }
}

#[tokio::test]
async fn a_chunked_answer_is_kept_with_its_length() {
    let backend = Backend::raw(
        b"HTTP/1.1 200 OK\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    .await;
    let (world, _, token) = world(&backend).await;

    for length in ["", "5"] {
        let answer = world.calls(CATS, &token).await;
        assert_eq!((answer.text.as_str(), answer.header("content-length")), ("abcde", length));
    }
    assert_eq!(backend.hits(), 1);
}

#[tokio::test]
async fn a_change_of_the_api_ends_all_of_its_answers() {
    let backend = counting(&[]).await;
    let (world, pets, token) = world(&backend).await;
    let other = world.publishes(api("other", &backend.url)).await;
    world.calls(CATS, &token).await;

    let row = other.clone();
    world.changes(move |connection| apis::update(connection, &Api { revision: 2, ..row }, 1)).await;
    assert!(world.calls(CATS, &token).await.header("cache-status").contains("hit"));
    let row = pets.clone();
    world.changes(move |connection| apis::update(connection, &Api { revision: 2, ..row }, 1)).await;
    assert!(world.calls(CATS, &token).await.header("cache-status").contains("fwd=uri-miss"));
}

#[tokio::test]
async fn a_publisher_may_say_by_a_transform_how_long_an_answer_is_kept() {
    let backend = counting(&[("cache-control", "no-store"), ("server", "them")]).await;
    let mut pets = keeping(&backend);
    let edits = &mut pets.definition.transforms.response_headers;
    edits.set.push(("cache-control".to_owned(), "max-age=5".to_owned()));
    edits.remove.push("server".to_owned());
    let world = World::start().await;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    for _ in 0..2 {
        let answer = world.calls(CATS, &token).await;
        assert_eq!((answer.header("cache-control"), answer.header("server")), ("max-age=5", ""));
    }
    assert_eq!(backend.hits(), 1);
}
