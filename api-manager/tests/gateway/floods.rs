//! Clients of HTTP/2 that cost more than they pay: each is bounded, and sent away (CVE-2023-44487 and its kin).

use std::time::Duration;

use api_manager::gateway::Limits;
use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::backend::{Backend, full};
use super::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Peer, RST_STREAM, WINDOW_UPDATE, get,
    setting,
};
use super::{World, api};

const INITIAL_WINDOW: u16 = 4;
const SOON: Duration = Duration::from_secs(10);
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

fn impatient() -> Limits {
    let mut limits = Limits::default();
    limits.patience.write = Duration::from_millis(400);
    limits.patience.idle = Duration::from_millis(600);
    limits.patience.look = Duration::from_millis(50);
    limits
}

/// A backend that takes every request and answers none.
async fn silent() -> Backend {
    Backend::talking(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

async fn with_pets(limits: Limits, backend: &Backend) -> (World, String) {
    let world = World::start_within(limits).await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;
    (world, token)
}

#[tokio::test]
async fn a_burst_of_requests_that_are_reset_at_once_ends_the_connection() {
    let backend = silent().await;
    let (world, token) = with_pets(Limits::default(), &backend).await;
    let mut peer = world.speaks_http2().await;

    let block = get("/pets/1.0/", &token);
    let flood: Vec<u8> = (0..2_000_u32)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let request = frames::frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
            [request, frames::frame(RST_STREAM, 0, stream, &CANCEL)].concat()
        })
        .collect();
    let _ = timeout(SOON, peer.stream.write_all(&flood)).await;

    assert!(peer.is_sent_away_within(SOON).await.is_some());
    assert!(backend.hits() < 200, "{}", backend.hits());
    assert_eq!(world.calls("/pets/1.0/", "").await.status, 401);
}

#[tokio::test]
async fn requests_that_are_given_up_one_after_the_other_end_the_connection_too() {
    let backend = silent().await;
    let (world, token) = with_pets(Limits::default(), &backend).await;
    let mut peer = world.speaks_http2().await;

    let block = get("/pets/1.0/", &token);
    let given_up = async {
        for n in 0..1_000_u32 {
            let before = backend.hits();
            peer.sends(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block).await;
            // Reset only when it has reached the backend: it is not one that nobody has looked at.
            let reached = async {
                while backend.hits() == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            if timeout(Duration::from_secs(1), reached).await.is_err() {
                return;
            }
            peer.sends(RST_STREAM, 0, 2 * n + 1, &CANCEL).await;
        }
    };
    timeout(Duration::from_secs(30), given_up).await.unwrap();

    assert!((100..200).contains(&backend.hits()), "{}", backend.hits());
    assert!(peer.is_sent_away_within(SOON).await.is_some());
}

#[tokio::test]
async fn a_head_that_goes_on_for_ever_ends_the_connection() {
    let backend = silent().await;
    let (world, _) = with_pets(Limits::default(), &backend).await;

    for piece in [frames::header_block(&[("x-a", "b")]), vec![0; 16_384], Vec::new()] {
        let mut peer = world.speaks_http2().await;
        peer.sends(HEADERS, END_STREAM, 1, &get("/pets/1.0/", "")).await;
        let flood = async {
            for _ in 0..20_000 {
                let frame = frames::frame(CONTINUATION, 0, 1, &piece);
                if peer.stream.write_all(&frame).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(SOON, flood).await;
        assert!(peer.is_sent_away_within(SOON).await.is_some(), "{}", piece.len());
    }
}

#[tokio::test]
async fn empty_pieces_of_a_body_cost_nothing_and_do_not_reach_the_backend() {
    let backend = Backend::echo().await;
    let (world, token) = with_pets(Limits::default(), &backend).await;
    let mut peer = world.speaks_http2().await;

    peer.sends(HEADERS, END_HEADERS, 1, &get("/pets/1.0/", &token)).await;
    let flood = frames::frame(DATA, 0, 1, &[]).repeat(100_000);
    let _ = timeout(SOON, peer.stream.write_all(&flood)).await;
    peer.sends(DATA, END_STREAM, 1, b"end").await;

    let answered = async {
        let mut heard = Vec::new();
        while let Some(frame) = peer.reads().await {
            match frame.kind {
                DATA => heard.extend_from_slice(&frame.payload),
                frames::GOAWAY | RST_STREAM => return None,
                _ => {}
            }
            if frame.kind == DATA && frame.flags & END_STREAM != 0 {
                return Some(String::from_utf8(heard).unwrap());
            }
        }
        None
    };
    // Sent away, or answered for the body that it was.
    if let Some(text) = timeout(SOON, answered).await.unwrap() {
        assert!(text.ends_with("\nend"), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_acknowledgements_and_reads_none_is_cut() {
    let world = World::start_within(impatient()).await;
    for (kind, payload) in [(frames::SETTINGS, &[][..]), (PING, &[0; 8][..])] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(world.gateway.http_address.unwrap()).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let flood = frames::frame(kind, 0, 0, payload).repeat(2_000);
        let cut = async { while stream.write_all(&flood).await.is_ok() {} };
        timeout(Duration::from_secs(30), cut).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_grants_no_window_does_not_hold_its_answer_for_ever() {
    let backend = Backend::serving(|_| async { Response::new(full("x".repeat(100_000))) }).await;
    let (world, token) = with_pets(impatient(), &backend).await;
    // Neither the backend's answer nor a refusal of our own.
    let mut peer = world.speaks_http2_with(&setting(INITIAL_WINDOW, 0)).await;
    peer.sends(HEADERS, END_HEADERS | END_STREAM, 1, &get("/pets/1.0/", &token)).await;
    peer.sends(HEADERS, END_HEADERS | END_STREAM, 3, &get("/pets/1.0/", "")).await;
    let mut reset = Vec::new();
    for _ in 0..2 {
        reset.push(timeout(SOON, peer.reads_until(RST_STREAM)).await.unwrap());
    }
    reset.sort_unstable();
    assert_eq!(reset, [1, 3]);
}

#[tokio::test]
async fn what_a_client_leaves_untaken_of_a_finished_answer_goes_with_its_connection() {
    let backend = Backend::serving(|_| async { Response::new(full("x".repeat(1_000))) }).await;
    let (world, token) = with_pets(impatient(), &backend).await;
    let mut peer = world.speaks_http2_with(&setting(INITIAL_WINDOW, 1)).await;

    peer.sends(HEADERS, END_HEADERS | END_STREAM, 1, &get("/pets/1.0/", &token)).await;
    let closed = async { while peer.reads().await.is_some() {} };
    timeout(SOON, closed).await.unwrap();
}

#[tokio::test]
async fn a_client_that_takes_its_answer_slowly_gets_all_of_it() {
    let backend = Backend::serving(|_| async { Response::new(full("0123456789")) }).await;
    let (world, token) = with_pets(impatient(), &backend).await;
    let mut peer = world.speaks_http2_with(&setting(INITIAL_WINDOW, 1)).await;

    peer.sends(HEADERS, END_HEADERS | END_STREAM, 1, &get("/pets/1.0/", &token)).await;
    let mut heard = Vec::new();
    while heard.len() < 10 {
        let frame = timeout(SOON, peer.reads()).await.unwrap().unwrap();
        assert_ne!(frame.kind, RST_STREAM);
        if frame.kind == DATA {
            heard.extend_from_slice(&frame.payload);
            tokio::time::sleep(Duration::from_millis(100)).await;
            peer.sends(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).await;
        }
    }
    assert_eq!(heard, b"0123456789");
}

#[tokio::test]
async fn a_head_of_sixty_four_kibibytes_is_too_much_over_http2_as_well() {
    let backend = silent().await;
    let (world, _) = with_pets(Limits::default(), &backend).await;
    let mut peer: Peer = world.speaks_http2().await;

    let filler = "y".repeat(120);
    let names: Vec<String> = (0..700).map(|n| format!("x-{n}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), filler.as_str())).collect();
    let block = [get("/pets/1.0/", ""), frames::header_block(&fields)].concat();
    let mut pieces = block.chunks(16_000).peekable();
    let (mut kind, mut flags) = (HEADERS, END_STREAM);
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        peer.sends(kind, flags | last, 1, piece).await;
        (kind, flags) = (CONTINUATION, 0);
    }
    let refused = async {
        while let Some(frame) = peer.reads().await {
            if frame.kind == HEADERS {
                // 431 without Huffman coding, or with it.
                let text = frame.payload.windows(3).any(|piece| piece == b"431");
                let coded =
                    frame.payload.windows(3).any(|piece| piece == [0x82, 0x68, 0x5f] || piece[0] == 0x48);
                return text || coded;
            }
            if matches!(frame.kind, RST_STREAM | frames::GOAWAY) {
                return true;
            }
        }
        true
    };
    assert!(timeout(SOON, refused).await.unwrap());
    assert_eq!(backend.hits(), 0);
}
