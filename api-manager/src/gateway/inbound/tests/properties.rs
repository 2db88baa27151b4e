//! What holds whatever comes: the service behind [`Inbox`] sees what it would see behind hyper alone.

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;

use super::*;

/// What a server makes of `bytes`, request by request. The far end keeps still after them, and ends.
async fn made_of(bytes: &[u8], through_inbox: bool) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = |request: Request<Inbound>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let place = {
                let mut seen = seen.lock().unwrap();
                seen.push(format!("{} {} {:?} {:?}", head.method, head.uri, head.version, head.headers));
                seen.len() - 1
            };
            let body = body.collect().await.map(|body| body.to_bytes());
            seen.lock().unwrap()[place].push_str(&format!(" {:?}", body.ok()));
            answered("ok")
        }
    };
    let (mut client, mut inbox) = inbox(ROOM);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let reading = tokio::spawn(async move {
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard).await;
    });
    if !through_inbox || inbox.run(see).await == Ending::HandOver {
        let service = service_fn(|request: Request<hyper::body::Incoming>| {
            let response = see(request.map(Inbound::Right));
            async move { Ok::<_, Infallible>(response.await) }
        });
        let serving = http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(inbox.into_socket()), service);
        let _ = timeout(Duration::from_secs(5), serving).await.unwrap();
    }
    drop(reading);
    seen.lock().unwrap().clone()
}

fn some_request() -> impl Strategy<Value = String> {
    let method =
        prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("get"), Just("G T"), Just("CONNECT")];
    let target = prop_oneof![
        Just("/"),
        Just("/a?b#c"),
        Just("//x/%00"),
        Just("*"),
        Just("http://a/b"),
        Just("/\u{e9}"),
        Just("")
    ];
    let version = prop_oneof![4 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0"), 1 => Just("HTTP/2.0"), 1 => Just("HTTP/1.1 ")];
    let line = prop_oneof![
        Just("Host: a"),
        Just("Content-Length: 3"),
        Just("Content-Length: 4"),
        Just("content-length:3 "),
        Just("Content-Length: 3, 3"),
        Just("Content-Length: 003"),
        Just("Content-Length : 3"),
        Just("Transfer-Encoding: chunked"),
        Just("Transfer-Encoding: xchunked"),
        Just("Connection: close"),
        Just("Connection: keep-alive"),
        Just("Connection: keep-alive, close"),
        Just("Connection: Content-Length"),
        Just("X:"),
        Just("X: \u{1}"),
        Just(" folded"),
        Just("X\u{e9}: y"),
        Just("X: a\rb"),
        Just("X: a\nContent-Length: 3"),
    ];
    let end = prop_oneof![6 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
    let body = prop_oneof![
        Just(""),
        Just("abc"),
        Just("abcd"),
        Just("3\r\nabc\r\n0\r\n\r\n"),
        Just("\r\n"),
        Just("\0")
    ];
    (method, target, version, prop::collection::vec((line, end.clone()), 0..5), end, body).prop_map(
        |(method, target, version, lines, end, body)| {
            let lines: String = lines.into_iter().map(|(line, end)| format!("{line}{end}")).collect();
            format!("{method} {target} {version}\r\n{lines}{end}{body}")
        },
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_comes_is_read_as_hyper_reads_it(
        requests in prop::collection::vec(prop_oneof![3 => some_request(), 1 => Just(PLAIN.to_owned())], 1..4),
    ) {
        let bytes = requests.concat().into_bytes();
        let (ours, theirs) = runtime().block_on(async { (made_of(&bytes, true).await, made_of(&bytes, false).await) });
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn any_bytes_at_all_are_a_request_the_beginning_of_one_or_unusual(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = [b"GET / HTTP/1.1\r\n", &bytes[..]].concat();
        for bytes in [Bytes::from(bytes), Bytes::from(whole)] {
            if let Heard::Request { length, .. } = head::read(&bytes, |_| ()) {
                prop_assert!(length <= bytes.len());
            }
        }
    }

    #[test]
    fn a_body_arrives_as_it_was_however_it_is_cut_and_however_slowly_it_is_taken(
        sizes in prop::collection::vec(prop_oneof![0_usize..20, 8_000_usize..8_400, 60_000_usize..70_000], 0..6),
        says_length in any::<bool>(),
        room in prop_oneof![Just(1_000_usize), Just(ROOM)],
    ) {
        let pieces: Vec<Bytes> = sizes.iter().enumerate().map(|(n, size)| vec![b'a' + n as u8; *size].into()).collect();
        let whole = pieces.concat();
        let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let mut response = Response::new(StreamBody::new(stream::iter(frames)));
        if says_length {
            response.headers_mut().insert(CONTENT_LENGTH, whole.len().into());
        }
        let (_, heard) = runtime().block_on(sent(response, "GET", room));
        let (head, mut body) = heard.split_once("\r\n\r\n").unwrap();
        let mut taken = String::new();
        if says_length {
            taken.push_str(body);
        } else {
            prop_assert!(head.contains("transfer-encoding: chunked"));
            loop {
                let (size, rest) = body.split_once("\r\n").unwrap();
                let (data, rest) = rest.split_at(usize::from_str_radix(size, 16).unwrap());
                taken.push_str(data);
                body = rest.strip_prefix("\r\n").unwrap();
                if size == "0" {
                    break;
                }
            }
            prop_assert_eq!(body, "");
        }
        prop_assert_eq!(taken.into_bytes(), whole);
    }
}
