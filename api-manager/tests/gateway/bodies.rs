//! Bodies are passed on as they come, in both directions.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::World;
use super::backend::{Backend, full};

fn streamed(receiver: mpsc::Receiver<&'static str>) -> super::backend::Body {
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        let text = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(text.as_bytes()))), receiver))
    });
    StreamBody::new(frames).boxed()
}

#[tokio::test]
async fn the_first_piece_of_an_answer_arrives_before_the_last_is_sent() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(Some(receiver)));
    let backend = Backend::serving(move |_| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        async { Response::new(streamed(receiver)) }
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut stream = world.connects().await;
    let request = format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    for piece in ["first-piece", "second-piece"] {
        sender.send(piece).await.unwrap();
        let mut heard = String::new();
        while !heard.contains(piece) {
            let mut bytes = [0; 4_096];
            let count = timeout(Duration::from_secs(2), stream.read(&mut bytes)).await.unwrap().unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }
    drop(sender);
    assert!(super::wire::hears(&mut stream).await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn the_first_piece_of_an_upload_arrives_before_the_last_is_sent() {
    let (sender, mut arrived) = mpsc::channel::<Bytes>(8);
    let backend = Backend::serving(move |request| {
        let sender = sender.clone();
        async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    sender.send(data).await.unwrap();
                }
            }
            Response::new(full("done"))
        }
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut stream = world.connects().await;
    let head = format!(
        "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["5\r\nfirst\r\n", "6\r\nsecond\r\n"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        let heard = timeout(Duration::from_secs(2), arrived.recv()).await.unwrap().unwrap();
        assert!(piece.contains(std::str::from_utf8(&heard).unwrap()));
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(super::wire::hears(&mut stream).await.ends_with("done"));
}

#[tokio::test]
async fn a_body_arrives_whole_and_an_empty_one_stays_empty() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let text = "0123456789".repeat(100_000);
    let mut request = world.request(Method::POST, "/pets/1.0/", &token);
    *request.body_mut() = Full::new(Bytes::from(text.clone()));
    let answer = world.sends(request).await;
    assert!(answer.text.contains("content-length: 1000000\n"));
    assert!(answer.text.split_once("\n\n").is_some_and(|(_, body)| body == text));

    let answer = world.calls("/pets/1.0/", &token).await;
    assert!(
        !answer.text.contains("transfer-encoding") && !answer.text.contains("content-length"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_client_that_breaks_off_does_not_look_like_the_end_to_the_backend() {
    let (sender, mut ended) = mpsc::channel::<bool>(1);
    let backend = Backend::serving(move |request| {
        let sender = sender.clone();
        async move {
            let whole = request.into_body().collect().await.is_ok();
            sender.send(whole).await.unwrap();
            Response::new(full("done"))
        }
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut stream = world.connects().await;
    let head = format!(
        "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"5\r\nfirst\r\n").await.unwrap();
    while backend.hits() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);

    assert_eq!(timeout(Duration::from_secs(3), ended.recv()).await.unwrap(), Some(false));
}

#[tokio::test]
async fn a_client_that_pauses_is_not_the_backends_fault() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = super::api("pets", &backend.url);
    pets.definition.timeouts.first_byte = 150;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    let mut stream = world.connects().await;
    let head = format!(
        "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 10\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["hello", "world"] {
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(piece.as_bytes()).await.unwrap();
    }

    let heard = super::wire::hears(&mut stream).await;
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.ends_with("helloworld"), "{heard}");
}

#[tokio::test]
async fn a_chunk_that_is_none_is_400_and_cut() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for chunk in ["zz\r\n", "-1\r\n", "5_0\r\n", "FFFFFFFFFFFFFFFFF\r\n"] {
        let heard = world
            .talks(&format!(
                "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}hello\r\n0\r\n\r\n"
            ))
            .await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{chunk:?}: {heard}");
    }
}

#[tokio::test]
async fn the_trailers_of_an_answer_come_through_where_the_client_takes_them() {
    let backend = Backend::raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n",
    )
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let heard = world
        .talks(&format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nAuthorization: Bearer {token}\r\n\r\n"))
        .await;

    assert!(heard.contains("hi\r\n0\r\nx-sum: 7\r\n"), "{heard}");
}
