//! What goes wrong at backends and with clients, and what the other side hears of it (checks C320 to C366).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api_manager::gateway::Limits;
use http::{Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backend::{Backend, full};
use super::wire::hears;
use super::{World, api, grant};

const SOON: Duration = Duration::from_secs(10);

fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

async fn begins(world: &World, text: &str) -> TcpStream {
    let mut stream = world.connects().await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Closes with RST instead of FIN.
fn resets(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn a_backend_that_resets_before_its_answer_is_502_and_within_it_no_clean_end() {
    for (sent, whole) in [
        (&b""[..], false),
        (b"HTTP/1.1 200 OK\r\nContent-Le", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", true),
    ] {
        let backend = Backend::talking(move |mut stream| async move {
            stream.write_all(sent).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            resets(stream);
        })
        .await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        let heard = world.tries(world.request(Method::GET, "/pets/1.0/", &token)).await;
        match heard {
            Ok(answer) => assert_eq!((answer.refusal(), whole), ((502, "101500".to_owned()), false)),
            Err(_) => assert!(whole),
        }
    }
}

#[tokio::test]
async fn interim_answers_leave_the_final_one_as_it_is() {
    let backend = Backend::raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
          HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
    )
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    for version in ["1.1", "1.0"] {
        let heard =
            world.talks(&get("/pets/1.0/", &token).replace("HTTP/1.1", &format!("HTTP/{version}"))).await;
        assert!(heard.contains(" 200 OK\r\n") && heard.ends_with("\r\n\r\nfinal"), "{heard}");
        assert_eq!(heard.matches("HTTP/1.").count(), 1, "{heard}");
    }
}

#[tokio::test]
async fn the_same_length_twice_is_one_length_to_the_client_or_502() {
    for lengths in ["5\r\nContent-Length: 5", "5, 5"] {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {lengths}\r\n\r\nhello");
        let backend = Backend::raw(bytes.leak().as_bytes()).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        let heard = world.talks(&get("/pets/1.0/", &token)).await;
        if heard.starts_with("HTTP/1.1 502 ") {
            continue;
        }
        let lines: Vec<&str> =
            heard.lines().filter(|line| line.to_lowercase().starts_with("content-length")).collect();
        assert_eq!(lines, ["content-length: 5"], "{lengths}: {heard}");
        assert!(heard.ends_with("\r\n\r\nhello"), "{heard}");
    }
}

#[tokio::test]
async fn what_follows_an_answer_without_a_body_is_no_answer_to_the_next_request() {
    for head in [
        "204 No Content\r\nContent-Length: 5",
        "204 No Content\r\nTransfer-Encoding: chunked",
        "304 Not Modified\r\nContent-Length: 5",
    ] {
        let bytes =
            format!("HTTP/1.1 {head}\r\n\r\nHTTP/1.1 200 OK\r\nX-Forged: 1\r\nContent-Length: 4\r\n\r\nevil");
        let backend = Backend::raw(bytes.leak().as_bytes()).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        let heard = world.talks(&get("/pets/1.0/", &token).repeat(2)).await;
        assert!(!heard.contains("evil") && !heard.to_lowercase().contains("x-forged"), "{head}: {heard}");
        assert!(!heard.contains("content-length: 5\r\n") || head.starts_with("304"), "{head}: {heard}");
    }
}

#[tokio::test]
async fn a_backend_that_floods_its_head_is_502() {
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(1_024 * 1_024));
    for lines in [many, large] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let backend = Backend::raw(bytes.leak().as_bytes()).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        assert_eq!(world.calls("/pets/1.0/", &token).await.refusal(), (502, "101500".to_owned()));
    }
}

#[tokio::test]
async fn a_header_of_a_mebibyte_is_431_and_a_hundred_thousand_parameters_414() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut stream = begins(&world, "GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nX: ").await;
    let _ = stream.write_all("y".repeat(1_024 * 1_024).as_bytes()).await;
    let heard = hears(&mut stream).await;
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 431 "), "{heard}");

    let parameters: String = (0..100_000).map(|n| format!("p{n}=1&")).collect();
    let mut stream = world.connects().await;
    let _ = stream.write_all(get(&format!("/pets/1.0/?{parameters}"), &token).as_bytes()).await;
    let heard = hears(&mut stream).await;
    assert!(
        heard.is_empty() || heard.starts_with("HTTP/1.1 414 ") || heard.starts_with("HTTP/1.1 431 "),
        "{heard}"
    );
    // As many as fit pass, byte for byte.
    let few: String = (0..1_000).map(|n| format!("p{n}=1&")).collect();
    assert!(
        world.calls(&format!("/pets/1.0/?{few}"), &token).await.text.starts_with(&format!("GET /?{few}\n"))
    );
    assert_eq!(world.calls(&format!("/pets/1.0/?{}", &parameters[..13_000]), &token).await.status, 414);
    assert_eq!(backend.hits(), 1);
}

#[tokio::test]
async fn a_body_that_stops_is_408_and_its_connection_closed() {
    let (sender, mut ended) = mpsc::channel::<bool>(2);
    let backend = Backend::serving(move |request| {
        let sender = sender.clone();
        async move {
            let whole = http_body_util::BodyExt::collect(request.into_body()).await.is_ok();
            sender.send(whole).await.unwrap();
            Response::new(full("done"))
        }
    })
    .await;
    let mut limits = Limits::default();
    limits.patience.upload = Duration::from_millis(300);
    let world = World::start_within(limits).await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;

    for framing in ["Content-Length: 100\r\n\r\npart", "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"] {
        let head =
            format!("POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{framing}");
        let mut stream = begins(&world, &head).await;
        let mut heard = String::new();
        timeout(SOON, stream.read_to_string(&mut heard)).await.unwrap().unwrap();
        assert!(heard.starts_with("HTTP/1.1 408 ") && heard.matches("HTTP/1.1").count() == 1, "{heard}");
        assert_eq!(timeout(SOON, ended.recv()).await.unwrap(), Some(false));
    }
}

/// A backend that writes without end, and what it could get rid of. It says when its connection is gone.
async fn gushing(most: u64) -> (Backend, Arc<AtomicU64>, mpsc::Receiver<()>) {
    let written = Arc::new(AtomicU64::new(0));
    let (sender, gone) = mpsc::channel(1);
    let counter = Arc::clone(&written);
    let backend = Backend::talking(move |mut stream| {
        let (written, sender) = (Arc::clone(&counter), sender.clone());
        async move {
            let piece = vec![b'x'; 64 * 1_024];
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {most}\r\n\r\n");
            let mut result = stream.write_all(head.as_bytes()).await;
            while result.is_ok() && written.load(Ordering::Relaxed) < most {
                result = stream.write_all(&piece).await;
                written.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            let _ = sender.send(()).await;
        }
    })
    .await;
    (backend, written, gone)
}

/// Waits until `written` stands still.
async fn stalls(written: &AtomicU64) -> u64 {
    let mut last = written.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let now = written.load(Ordering::Relaxed);
        if now == last && now > 0 {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn a_body_of_a_gibibyte_waits_for_its_client_and_then_arrives_whole() {
    const GIBIBYTE: u64 = 1 << 30;
    let (backend, written, _gone) = gushing(GIBIBYTE).await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut stream = begins(&world, &get("/pets/1.0/", &token)).await;
    // Nobody reads: what is under way is what sockets hold, and little more.
    assert!(timeout(SOON, stalls(&written)).await.unwrap() < 32 << 20);
    let mut buffer = vec![0; 256 * 1_024];
    let (mut head, mut body) = (Vec::new(), 0_u64);
    while body < GIBIBYTE {
        let count = timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "{body}");
        if head.is_empty() {
            head = buffer[..count].to_vec();
            let end = head.windows(4).position(|piece| piece == b"\r\n\r\n").unwrap();
            body += (count - end - 4) as u64;
        } else {
            body += count as u64;
        }
    }
    assert_eq!(body, GIBIBYTE);
}

#[tokio::test]
async fn an_answer_that_never_ends_ends_with_its_client() {
    let (backend, _written, mut gone) = gushing(u64::MAX / 2).await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut stream = begins(&world, &get("/pets/1.0/", &token)).await;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..16 {
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
    }
    drop(stream);
    timeout(SOON, gone.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_upload_waits_for_its_backend() {
    let backend = Backend::talking(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let head = format!(
        "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 1073741824\r\n\r\n"
    );
    let (mut answer, mut stream) = begins(&world, &head).await.into_split();
    let written = Arc::new(AtomicU64::new(1));
    let counter = Arc::clone(&written);
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; 64 * 1_024];
        while stream.write_all(&piece).await.is_ok() {
            counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    assert!(timeout(SOON, stalls(&written)).await.unwrap() < 32 << 20);
    // The backend has its time for the answer, and the client hears that it did not come.
    let mut status = [0; 12];
    timeout(SOON, answer.read_exact(&mut status)).await.unwrap().unwrap();
    assert_eq!(&status, b"HTTP/1.1 504");
    sending.abort();
}

#[tokio::test]
async fn whoever_expects_100_gets_one_final_answer_whatever_the_backend_does() {
    let early = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly";
    let with_100 = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nafter";
    let without = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nafter";
    for (bytes, sends_body) in [(&early[..], false), (with_100, true), (without, true)] {
        let backend = Backend::raw(bytes).await;
        let (world, _, token) = World::with_pets(&backend.url).await;
        let head = format!(
            "POST /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        );
        let mut stream = begins(&world, &head).await;
        let mut heard = hears(&mut stream).await;
        if sends_body {
            let _ = stream.write_all(b"body").await;
            heard.push_str(&hears(&mut stream).await);
        }
        let finals = heard.matches("HTTP/1.1 ").count() - heard.matches("HTTP/1.1 100 ").count();
        assert_eq!(finals, 1, "{heard}");
        assert!(heard.ends_with("early") || heard.ends_with("after"), "{heard}");
    }
}

#[tokio::test]
async fn thousands_of_idle_connections_are_held_while_others_are_served() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: usize = line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(10_000);
    // Both ends are ours, and other tests need some too.
    let count = (files * 3 / 8).min(10_000);
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let mut idle = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = world.connects().await;
        // Idle is who has asked before; who never asks has ten seconds.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        idle.push(stream);
    }
    for stream in &mut idle {
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 404");
    }
    for _ in 0..20 {
        let answer = timeout(Duration::from_secs(2), world.calls("/pets/1.0/", &token)).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    // Those who waited are served as well.
    for stream in idle.iter_mut().step_by(count / 10) {
        stream.write_all(get("/pets/1.0/", &token).as_bytes()).await.unwrap();
        assert!(hears(stream).await.contains("HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn no_claim_becomes_a_header_line() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.backend_jwt = true;
    pets.name = "pets\r\nX-Evil: name".to_owned();
    let pets = world.publishes(pets).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let mut evil = grant(application);
    evil.subject = "alice\r\nX-Evil: 1\r\n\r\nGET /admin HTTP/1.1\r\n\0".to_owned();
    evil.consumer_key = "key\nX-Evil: 2".to_owned();
    let token = world.issues(evil).await;

    let answer = world.calls("/pets/1.0/", &token).await;
    assert_eq!(answer.text.matches("x-jwt-assertion: ").count(), 1, "{answer:?}");
    assert!(!answer.text.to_lowercase().contains("x-evil") && backend.hits() == 1, "{answer:?}");
}

#[tokio::test]
async fn what_is_matched_of_a_path_is_what_is_sent() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    for (asked, sent) in [
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/caf%c3%a9", "/caf%c3%a9"),
        ("/%F0%9F%90%88", "/%F0%9F%90%88"),
        ("/%61dmin", "/admin"),
        ("/a%20b%2Bc%3Bd", "/a%20b%2Bc%3Bd"),
        ("/a;b=c,d", "/a;b=c,d"),
        ("/e%CC%81", "/e%CC%81"),
    ] {
        let answer = world.calls(&format!("/pets/1.0{asked}"), &token).await;
        assert!(answer.text.starts_with(&format!("GET {sent}\n")), "{asked}: {answer:?}");
    }
    for bad in
        ["/%FF", "/%C0%AF", "/%ED%A0%80", "/%00", "/%0d%0aX-Evil:1", "/a%2Fb", "/%2e%2e/x", "/%", "/%zz"]
    {
        assert_eq!(world.calls(&format!("/pets/1.0{bad}"), &token).await.status, 400, "{bad}");
    }
    let heard = world.talks(&get("/pets/1.0/caf\u{e9}", &token)).await;
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
    assert_eq!(backend.hits(), 7);
}

#[tokio::test]
async fn calls_while_an_api_changes_all_pass() {
    let backend = Backend::echo().await;
    let (world, pets, token) = World::with_pets(&backend.url).await;
    let changing = async {
        for revision in 1..=20 {
            let mut api = pets.clone();
            api.definition.timeouts.connect = 1_000 + u32::try_from(revision).unwrap();
            api.revision = revision + 1;
            world
                .changes(move |connection| api_manager::storage::apis::update(connection, &api, revision))
                .await;
        }
    };
    let calling = async {
        for _ in 0..200 {
            assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
        }
    };
    tokio::join!(changing, calling);
}
