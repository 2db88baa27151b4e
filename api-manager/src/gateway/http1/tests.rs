//! Heads and bodies, however they are cut into pieces.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName};
use http::{Method, Version};
use proptest::prelude::*;

use super::chunked::{Chunks, Piece};
use super::head::{self, End, Framing, Malformed, Writer};

fn read(text: &str, is_head: bool) -> Result<Option<(u16, Framing)>, Malformed> {
    let mut bytes = BytesMut::from(text);
    let read = head::read(&mut bytes, is_head)?;
    Ok(read.map(|(response, framing)| (response.status().as_u16(), framing)))
}

fn framing(end: End, goes_on: bool, is_said: bool) -> Framing {
    Framing { end, goes_on, is_said }
}

#[test]
fn a_body_ends_where_the_head_says() {
    for (head, end, goes_on, is_said) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", End::After(5), true, true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: x, Close\r\n\r\n", End::After(5), false, true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", End::LastChunk, true, true),
        ("HTTP/1.1 200 OK\r\n\r\n", End::Close, false, false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n", End::After(5), false, true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n", End::After(5), true, true),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", End::After(0), true, true),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", End::After(0), true, true),
    ] {
        let (_, read) = read(head, false).unwrap().unwrap();
        assert_eq!(read, framing(end, goes_on, is_said), "{head}");
    }
    let (_, of_head) = read("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true).unwrap().unwrap();
    assert_eq!(of_head, framing(End::After(0), true, true));
    let (_, of_head) = read("HTTP/1.1 200 OK\r\n\r\n", true).unwrap().unwrap();
    assert_eq!(of_head, framing(End::After(0), true, false));
}

#[test]
fn an_answer_with_two_readings_is_none() {
    for lines in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: ",
        "content-length: 99999999999999999999",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        assert_eq!(read(&head, false), Err(Malformed::Framing), "{lines}");
    }
    let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(read(old, false), Err(Malformed::Framing));
}

#[test]
fn interim_answers_are_passed_over_and_a_change_of_protocols_is_refused() {
    let head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(read(head, false).unwrap().unwrap().0, 201);
    assert_eq!(read("HTTP/1.1 100 Continue\r\n\r\n", false), Ok(None));
    assert_eq!(read("HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", false), Err(Malformed::Upgrade));
}

#[test]
fn what_is_no_head_is_refused() {
    for junk in ["SSH-2.0-x\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "\0\0\0"] {
        assert!(matches!(read(junk, false), Err(Malformed::Head(_))), "{junk}");
    }
}

#[test]
fn what_follows_a_head_stays_to_be_read() {
    let mut bytes = BytesMut::from("HTTP/1.1 200 OK\r\nx: \r\ncontent-length: 2\r\n\r\nok");
    let (response, _) = head::read(&mut bytes, false).unwrap().unwrap();
    assert_eq!((response.headers()["x"].as_bytes(), response.version()), (&b""[..], Version::HTTP_11));
    assert_eq!(bytes, "ok");
}

fn written(method: Method, said: Option<&str>, length: Option<u64>) -> String {
    let mut head = Writer::begin(&method, &["/a", "", "?", "b=c"]).unwrap();
    if let Some(said) = said {
        head.line(&CONTENT_LENGTH, said.as_bytes());
    }
    head.line(&HOST, b"h");
    String::from_utf8(head.end(length).to_vec()).unwrap()
}

#[test]
fn a_request_says_the_length_that_its_body_has() {
    assert_eq!(written(Method::GET, None, None), "GET /a?b=c HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(written(Method::PUT, Some("9"), Some(5)).ends_with("host: h\r\ncontent-length: 5\r\n\r\n"));
    assert!(written(Method::GET, Some("0"), None).ends_with("content-length: 0\r\n\r\n"));
    assert!(written(Method::POST, None, None).ends_with("content-length: 0\r\n\r\n"));
}

#[test]
fn a_target_that_would_not_stay_one_word_is_not_written() {
    for bad in ["/a b", "/a\r\nx: y", "/\t", "/\u{e9}", "/\0"] {
        assert!(Writer::begin(&Method::GET, &["/", bad]).is_none(), "{bad:?}");
    }
}

#[test]
fn what_was_meant_for_this_hop_does_not_go_on() {
    let head = "HTTP/1.1 200 OK\r\nconnection: keep-alive, X-Own\r\nx-own: 1\r\nkeep-alive: timeout=5\r\nalt-svc: h3\r\nx-other: 2\r\ncontent-length: 0\r\n\r\n";
    let (response, _) = head::read(&mut BytesMut::from(head), false).unwrap().unwrap();
    let mut names: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-other"]);
}

/// Takes all pieces, where the bytes come cut at these places.
fn chunks(text: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, HeaderMap, usize)> {
    let (mut chunks, mut read, mut content) = (Chunks::default(), BytesMut::new(), Vec::new());
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([text.len()]).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        read.extend_from_slice(&text[from..to]);
        from = to;
        loop {
            match chunks.take(&mut read).ok()? {
                None => break,
                Some(Piece::Data(data)) => content.extend_from_slice(&data),
                Some(Piece::Trailers(trailers)) => {
                    return Some((content, trailers, read.len() + text.len() - to));
                }
                Some(Piece::End) => return Some((content, HeaderMap::new(), read.len() + text.len() - to)),
            }
        }
    }
    None
}

#[test]
fn chunks_with_extensions_and_trailers_are_read() {
    let (content, trailers, left) =
        chunks(b"3;a=b\r\nabc\r\n00A\r\n0123456789\r\n0\r\ngrpc-status: 0\r\n\r\nHTTP", &[]).unwrap();
    assert_eq!((content.as_slice(), left), (&b"abc0123456789"[..], 4));
    assert_eq!(trailers["grpc-status"], "0");
}

#[test]
fn what_are_no_chunks_is_refused() {
    for junk in [
        "x\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nno colon\r\n\r\n",
    ] {
        assert_eq!(chunks(junk.as_bytes(), &[]), None, "{junk}");
    }
    let mut read = BytesMut::from([b"3;".as_slice(), &[b'a'; 5_000]].concat().as_slice());
    assert!(Chunks::default().take(&mut read).is_err(), "an extension without an end");
    let mut read = BytesMut::from([b"0\r\na: ".as_slice(), &[b'a'; 20_000]].concat().as_slice());
    assert!(Chunks::default().take(&mut read).is_err(), "trailers without an end");
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..10),
    ) {
        let mut text = Vec::new();
        for piece in &pieces {
            text.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            text.extend_from_slice(piece);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\n");
        prop_assert_eq!(chunks(&text, &cuts), Some((pieces.concat(), HeaderMap::new(), 0)));
    }

    #[test]
    fn no_bytes_of_strangers_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), is_head: bool) {
        let _ = head::read(&mut BytesMut::from(bytes.as_slice()), is_head);
        let _ = chunks(&bytes, &[7]);
        let _ = chunks(&[b"5\r\n".as_slice(), &bytes].concat(), &[3]);
        let head = Bytes::from([b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes].concat());
        let _ = head::read(&mut BytesMut::from(head), is_head);
    }
}
