mod properties;

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use http::header::{CONNECTION, CONTENT_LENGTH, TRAILER};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::*;
use crate::gateway::connection::{Patience, Verdict};

const ROOM: usize = 1_024 * 1_024;
const PLAIN: &str = "GET /a?b=c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";

fn inbox(room: usize) -> (DuplexStream, Inbox<DuplexStream>) {
    let (client, server) = duplex(room);
    let address = "127.0.0.1:1".parse().unwrap();
    (client, Inbox::new(server, Pulse::new(address, address, "http", None)))
}

fn answered(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(text.as_bytes())))
}

async fn all_of(mut client: DuplexStream) -> String {
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    String::from_utf8(heard).unwrap()
}

/// What one response looks like on the wire.
async fn sent<B>(response: Response<B>, method: &str, room: usize) -> (Ending, String)
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut client, mut inbox) = inbox(room);
    client.write_all(format!("{method} / HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let response = RefCell::new(Some(response));
    let serving = async {
        let ending = inbox.run(|_| std::future::ready(response.take().unwrap())).await;
        drop(inbox);
        ending
    };
    tokio::join!(serving, all_of(client))
}

#[tokio::test]
async fn requests_are_answered_in_their_order_whatever_the_pieces_they_come_in() {
    for size in [1, 7, 30, 1_000] {
        let (mut client, mut inbox) = inbox(ROOM);
        let all = format!(
            "{PLAIN}POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /3 HTTP/1.1\r\nConnection: Close\r\n\r\n{PLAIN}"
        );
        let sending = async {
            for piece in all.as_bytes().chunks(size) {
                // What comes after the last request may meet a closed door.
                if client.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            all_of(client).await
        };
        let seen = RefCell::new(Vec::new());
        let serving = async {
            let ending = inbox
                .run(|request| {
                    seen.borrow_mut().push(format!("{} {}", request.method(), request.uri()));
                    std::future::ready(answered("ok"))
                })
                .await;
            drop(inbox);
            ending
        };
        let (ending, heard) = tokio::join!(serving, sending);
        assert_eq!(
            (ending, seen.take()),
            (Ending::Over, vec!["GET /a?b=c".into(), "POST /two".into(), "GET /3".into()])
        );
        assert_eq!(heard.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{heard}");
        assert_eq!(heard.matches("connection: close").count(), 1, "only the last says that it is: {heard}");
    }
}

#[tokio::test]
async fn what_is_out_of_the_ordinary_goes_to_hyper_to_the_last_byte() {
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(READ));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(60));
    for unusual in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nTE: trailers\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: X\r\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nx",
        "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nContent-Length: 01\r\n\r\nx",
        "POST / HTTP/1.1\r\nContent-Length: \r\n\r\nx",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        "GET /\u{1} HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX : y\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        &long,
        &many,
    ] {
        let (mut client, mut inbox) = inbox(ROOM);
        client.write_all(format!("{PLAIN}{unusual}").as_bytes()).await.unwrap();
        let ending = inbox.run(|_| std::future::ready(answered("ok"))).await;
        assert_eq!(ending, Ending::HandOver, "{unusual:?}");
        let mut socket = inbox.into_socket();
        let mut left = vec![0; unusual.len()];
        client.shutdown().await.unwrap();
        socket.read_exact(&mut left).await.unwrap();
        assert_eq!(left, unusual.as_bytes());
        assert_eq!(socket.read(&mut left).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_body_that_came_with_its_head_is_read_and_what_follows_is_the_next_request() {
    let (mut client, mut inbox) = inbox(ROOM);
    client
        .write_all(format!("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello{PLAIN}").as_bytes())
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ending = inbox
        .run(|request| {
            let seen = Arc::clone(&seen);
            async move {
                assert_eq!(
                    request.body().size_hint().exact().unwrap_or(9) == 0,
                    request.body().is_end_stream()
                );
                let body = request.into_body().collect().await.unwrap().to_bytes();
                seen.lock().unwrap().push(body);
                answered("ok")
            }
        })
        .await;
    assert_eq!(
        (ending, &seen.lock().unwrap()[..]),
        (Ending::Over, &[Bytes::from("hello"), Bytes::new()][..])
    );
}

#[tokio::test]
async fn a_client_that_goes_is_not_served_to_the_end() {
    let (mut client, mut inbox) = inbox(ROOM);
    client.write_all(PLAIN.as_bytes()).await.unwrap();
    let never = |_| std::future::pending::<Response<Full<Bytes>>>();
    let (ending, ()) = tokio::join!(inbox.run(never), async {
        tokio::task::yield_now().await;
        drop(client);
    });
    assert_eq!(ending, Ending::Over);
}

#[tokio::test]
async fn a_client_that_goes_within_an_answer_is_not_sent_the_rest() {
    let (mut client, mut inbox) = inbox(ROOM);
    client.write_all(PLAIN.as_bytes()).await.unwrap();
    let endless = |_| {
        let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("x")))]);
        std::future::ready(Response::new(StreamBody::new(first.chain(stream::pending()))))
    };
    let (ending, ()) = tokio::join!(inbox.run(endless), async {
        let mut heard = BytesMut::new();
        while !heard.ends_with(b"1\r\nx\r\n") {
            client.read_buf(&mut heard).await.unwrap();
        }
        drop(client);
    });
    assert_eq!(ending, Ending::Over);
}

#[tokio::test]
async fn a_connection_that_retires_ends_at_once_or_with_the_request_that_it_is_with() {
    let (client, mut idle) = inbox(ROOM);
    idle.pulse.tell(Verdict::Retire);
    assert_eq!(idle.run(|_| std::future::ready(answered("ok"))).await, Ending::Over);
    drop(client);

    let (mut client, mut busy) = inbox(ROOM);
    client.write_all(format!("{PLAIN}{PLAIN}").as_bytes()).await.unwrap();
    let pulse = Arc::clone(&busy.pulse);
    let ending = busy
        .run(|_| {
            pulse.tell(Verdict::Retire);
            std::future::ready(answered("ok"))
        })
        .await;
    drop(busy);
    let heard = all_of(client).await;
    assert_eq!(
        (ending, heard.matches("200 OK").count(), heard.matches("connection: close").count()),
        (Ending::Over, 1, 1)
    );
}

#[tokio::test]
async fn lengths_are_said_where_they_may_be_and_bodies_sent_where_there_may_be_one() {
    let with_length = |status: StatusCode, length: &'static str, body: &'static str| {
        let mut response = answered(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_LENGTH, length.parse().unwrap());
        response
    };
    for (method, response, line, body) in [
        ("GET", answered("four"), "content-length: 4", "four"),
        ("GET", answered(""), "content-length: 0", ""),
        ("HEAD", answered("four"), "content-length: 4", ""),
        ("HEAD", with_length(StatusCode::OK, "7", ""), "content-length: 7", ""),
        ("HEAD", answered(""), "", ""),
        ("GET", with_length(StatusCode::NO_CONTENT, "4", "four"), "", ""),
        ("GET", with_length(StatusCode::NOT_MODIFIED, "4", ""), "", ""),
        // What is sent counts, whatever was said.
        ("GET", with_length(StatusCode::OK, "9", "four"), "content-length: 4", "four"),
        ("GET", with_length(StatusCode::IM_A_TEAPOT, "4", "four"), "content-length: 4", "four"),
    ] {
        let (_, heard) = sent(response, method, ROOM).await;
        let (head, sent) = heard.split_once("\r\n\r\n").unwrap();
        let said: Vec<&str> = head.lines().filter(|line| line.starts_with("content-length")).collect();
        assert_eq!((said.join("\n").as_str(), sent), (line, body), "{method}: {heard}");
        assert!(head.contains("\r\ndate: ") && !head.contains("transfer-encoding"), "{head}");
    }
}

#[tokio::test]
async fn a_body_that_is_shorter_than_was_said_breaks_off_and_one_that_is_longer_ends_where_it_should() {
    let stream = |pieces: &'static [&'static str]| {
        let frames =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        let mut response = Response::new(StreamBody::new(stream::iter(frames)));
        response.headers_mut().insert(CONTENT_LENGTH, "6".parse().unwrap());
        response
    };
    let (_, heard) = sent(stream(&["abc", "def", "ghi"]), "GET", ROOM).await;
    assert!(heard.ends_with("\r\n\r\nabcdef"), "{heard}");
    let (ending, heard) = sent(stream(&["abc", "de"]), "GET", ROOM).await;
    assert_eq!((ending, heard.ends_with("abcdef")), (Ending::Over, false));
}

#[tokio::test]
async fn trailers_are_left_out_for_nobody_here_has_said_to_take_them() {
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())]);
    let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("abc"))), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    response.headers_mut().insert(TRAILER, "X-Sum".parse().unwrap());
    let (_, heard) = sent(response, "GET", ROOM).await;
    assert!(heard.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{heard}");
}

#[tokio::test]
async fn an_answer_that_says_close_is_the_last() {
    let mut response = answered("ok");
    response.headers_mut().insert(CONNECTION, "close".parse().unwrap());
    let (mut client, mut inbox) = inbox(ROOM);
    client.write_all(format!("{PLAIN}{PLAIN}").as_bytes()).await.unwrap();
    let ending = inbox.run(|_| std::future::ready(response.clone())).await;
    drop(inbox);
    let heard = all_of(client).await;
    assert_eq!(
        (ending, heard.matches("200 OK").count(), heard.matches("connection: close").count()),
        (Ending::Over, 1, 1)
    );
}

#[tokio::test]
async fn the_books_of_an_answer_are_closed_before_its_last_piece_is_taken() {
    let (mut client, mut inbox) = inbox(1_000);
    client.write_all(PLAIN.as_bytes()).await.unwrap();
    let held = Arc::new(());
    let books = Arc::downgrade(&held);
    let frames = stream::iter([Bytes::from(vec![b'x'; 50_000])]).map(move |piece| {
        // The body has these for as long as there is one.
        drop(Arc::clone(&held));
        Ok::<_, Infallible>(Frame::data(piece))
    });
    let mut response = Response::new(StreamBody::new(frames));
    response.headers_mut().insert(CONTENT_LENGTH, "50000".parse().unwrap());
    let response = RefCell::new(Some(response));
    let serving = inbox.run(|_| std::future::ready(response.take().unwrap()));
    let reading = async {
        let mut heard = vec![0; 500];
        client.read_exact(&mut heard).await.unwrap();
        assert!(books.upgrade().is_none());
        drop(client);
    };
    tokio::join!(serving, reading);
}

#[tokio::test]
async fn half_a_head_has_its_time_whoever_reads_the_rest() {
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(READ));
    for half in [&*long, "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHo"] {
        let (mut client, mut inbox) = inbox(ROOM);
        let pulse = Arc::clone(&inbox.pulse);
        let patience = Patience { head: Duration::from_millis(1), ..Patience::default() };
        client.write_all(format!("{PLAIN}{half}").as_bytes()).await.unwrap();
        let serve = |request| {
            // What the gateway notes of each.
            drop(pulse.begin(false));
            drop(request);
            std::future::ready(answered("ok"))
        };
        let until_cut = async {
            while pulse.verdict(&patience) != Verdict::Cut {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let run = async {
            inbox.run(serve).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = run => {}
            cut = timeout(Duration::from_secs(5), until_cut) => cut.unwrap(),
        }
        drop(client);
    }
}

#[tokio::test]
async fn what_is_coming_is_told_by_its_target_and_then_by_its_path_before_it_is_served() {
    let (mut client, inbox) = inbox(ROOM);
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let mut inbox = inbox.telling(move |coming| notes.lock().unwrap().push(format!("{coming:?}")));
    client.write_all(PLAIN.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let serve = |_| {
        told.lock().unwrap().push("served".to_owned());
        std::future::ready(answered("ok"))
    };
    assert_eq!(inbox.run(serve).await, Ending::Over);
    assert_eq!(*told.lock().unwrap(), [r#"Target("/a?b=c")"#, r#"Request("/a")"#, "served"]);
}
