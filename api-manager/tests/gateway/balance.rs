//! Several backends: who gets the next request, and what becomes of one that fails.

mod health;

use std::sync::Arc;
use std::time::Duration;

use api_manager::backend_states::{Condition, Report};
use api_manager::domain::api::upstream::{Balance, CircuitBreaker, Ejection, Retries};
use api_manager::domain::api::{self as domain, Api};
use api_manager::storage::apis;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::backend::{Backend, full};
use super::websocket::parrot;
use super::{Answer, World, api, eventually};

/// A URL at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Answers each request once there is a permit for it.
async fn gated(gate: &Arc<Semaphore>) -> Backend {
    let gate = Arc::clone(gate);
    Backend::serving(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Response::new(full("at last"))
        }
    })
    .await
}

/// Reads a head and closes.
async fn hanging_up() -> Backend {
    Backend::talking(|_| async {}).await
}

fn weighted(url: &str, weight: u8) -> domain::Backend {
    domain::Backend { url: url.to_owned(), weight }
}

/// An API with these backends, a world, and a token for it.
async fn balanced(urls: &[&str], change: impl FnOnce(&mut domain::Backends)) -> (World, Api, String) {
    World::with_pets_as(urls[0], |pets| {
        pets.backends.production = urls.iter().map(|url| (*url).into()).collect();
        change(&mut pets.backends);
    })
    .await
}

impl World {
    async fn replaces(&self, api: &Api, change: impl FnOnce(&mut domain::Backends)) -> Api {
        let mut new = api.clone();
        change(&mut new.definition.backends);
        new.revision += 1;
        let (row, revision) = (new.clone(), api.revision);
        self.changes(move |connection| apis::update(connection, &row, revision)).await;
        new
    }

    fn report(&self, api: &Api, url: &str) -> Report {
        self.app.backend_states.report(api.id, url).unwrap()
    }

    async fn posts(&self, token: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/pets/1.0/", self.base()))
            .header("authorization", format!("Bearer {token}"));
        self.sends(request.body(Full::new(body.into())).unwrap()).await
    }

    /// A call that goes on by itself.
    fn begins(&self, token: &str) -> tokio::task::JoinHandle<u16> {
        let request = self.request(Method::GET, "/pets/1.0/", token);
        let client = super::client(false);
        tokio::spawn(async move { client.request(request).await.unwrap().status().as_u16() })
    }
}

#[tokio::test]
async fn backends_get_exactly_what_their_weights_say() {
    let (one, two, three) = (Backend::echo().await, Backend::echo().await, Backend::echo().await);
    let (world, _, token) = balanced(&[&one.url], |backends| {
        backends.production = vec![weighted(&one.url, 50), weighted(&two.url, 30), weighted(&three.url, 20)];
    })
    .await;

    for _ in 0..20 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    }

    assert_eq!((one.hits(), two.hits(), three.hits()), (10, 6, 4));
}

#[tokio::test]
async fn least_connections_prefers_the_idle_backend() {
    let gate = Arc::new(Semaphore::new(0));
    let (busy, idle) = (gated(&gate).await, Backend::echo().await);
    let (world, _, token) =
        balanced(&[&busy.url, &idle.url], |backends| backends.balance = Balance::LeastConnections).await;

    let held = world.begins(&token);
    eventually("the first is busy", || busy.hits() == 1).await;
    for _ in 0..5 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    }
    gate.add_permits(1);

    assert_eq!((busy.hits(), idle.hits(), held.await.unwrap()), (1, 5, 200));
}

#[tokio::test]
async fn what_a_dead_backend_did_not_get_goes_to_another_whatever_it_is() {
    let (dead, alive) = (nobody().await, Backend::echo().await);
    let (world, _, token) = balanced(&[&dead, &alive.url], |backends| backends.ejection.failures = 0).await;
    let large = "x".repeat(1_000_000);

    for _ in 0..4 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
        let answer = world.posts(&token, large.clone()).await;
        assert!(answer.status == 200 && answer.text.ends_with(&large), "{}", answer.status);
        assert!(answer.text.contains(&format!("host: {}\n", &alive.url["http://".len()..])));
    }

    assert_eq!(alive.hits(), 8);
}

#[tokio::test]
async fn what_a_backend_may_have_done_is_not_done_again() {
    let (broken, other) = (hanging_up().await, Backend::echo().await);
    let (world, _, token) =
        balanced(&[&broken.url, &other.url], |backends| backends.ejection.failures = 0).await;

    assert_eq!(world.posts(&token, "once").await.refusal(), (502, "101500".to_owned()));
    assert_eq!((broken.hits(), other.hits()), (1, 0));
    assert_eq!(world.posts(&token, "").await.status, 200);
    assert_eq!(world.posts(&token, "").await.refusal(), (502, "101500".to_owned()));
    let put = world.request(Method::PUT, "/pets/1.0/", &token).map(|_| Full::new(Bytes::from("body")));
    world.calls("/pets/1.0/", &token).await;
    assert_eq!(world.sends(put).await.refusal(), (502, "101500".to_owned()));
    assert_eq!((broken.hits(), other.hits()), (3, 2));
}

#[tokio::test]
async fn an_idempotent_request_without_an_answer_is_sent_to_another() {
    let (broken, other) = (hanging_up().await, Backend::echo().await);
    let (world, _, token) =
        balanced(&[&broken.url, &other.url], |backends| backends.ejection.failures = 0).await;

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = world.sends(world.request(method.clone(), "/pets/1.0/x?y=1", &token)).await;
        assert!(answer.text.starts_with(&format!("{method} /x?y=1\n")), "{}", answer.text);
        world.calls("/pets/1.0/", &token).await;
    }

    assert_eq!((broken.hits(), other.hits()), (3, 6));
}

#[tokio::test]
async fn an_answer_that_is_late_or_senseless_is_not_asked_for_again() {
    let late = Backend::talking(|stream| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let senseless = Backend::raw(b"I speak no HTTP\r\n\r\n").await;
    let other = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &late.url);
    pets.definition.timeouts.first_byte = 200;
    pets.definition.backends.production =
        vec![late.url.as_str().into(), senseless.url.as_str().into(), other.url.as_str().into()];
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    assert_eq!(world.calls("/pets/1.0/", &token).await.refusal(), (504, "101504".to_owned()));
    assert_eq!(world.calls("/pets/1.0/", &token).await.refusal(), (502, "101500".to_owned()));
    assert_eq!((late.hits(), senseless.hits(), other.hits()), (1, 1, 0));
}

#[tokio::test]
async fn no_attempt_is_made_twice_where_retries_are_off() {
    let (dead, alive) = (nobody().await, Backend::echo().await);
    let (world, _, token) = balanced(&[&dead, &alive.url], |backends| {
        backends.retries = Retries { attempts: 0, budget_percent: 20 }
    })
    .await;

    assert_eq!(world.calls("/pets/1.0/", &token).await.refusal(), (502, "101503".to_owned()));
    assert_eq!(alive.hits(), 0);
}

#[tokio::test]
async fn a_budget_bounds_how_much_is_sent_again() {
    let broken = hanging_up().await;
    let (world, _, token) = balanced(&[&broken.url], |backends| backends.retries.budget_percent = 10).await;

    for _ in 0..50 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.refusal(), (502, "101500".to_owned()));
    }

    // Ten at once, and one for every ten requests.
    let again = broken.hits() - 50;
    assert!((10..=15).contains(&again), "{again}");
}

#[tokio::test]
async fn a_backend_that_fails_in_a_row_is_ejected_and_comes_back() {
    let failing = Backend::raw(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    let other = Backend::echo().await;
    let (world, pets, token) = balanced(&[&failing.url, &other.url], |backends| {
        backends.ejection = Ejection { failures: 2, seconds: 10 };
    })
    .await;
    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(world.calls("/pets/1.0/", &token).await.status.as_u16());
        }
        statuses
    };

    // The backend's own answer goes to the client: it may have meant it.
    assert_eq!(statuses(8).await, [503, 200, 503, 200, 200, 200, 200, 200]);
    assert_eq!(world.report(&pets, &failing.url).condition, Condition::Ejected);
    world.app.clock.advance(10);
    assert_eq!(world.report(&pets, &failing.url).condition, Condition::Healthy);
    let after = statuses(6).await;
    assert_eq!(after.iter().filter(|status| **status == 503).count(), 1, "{after:?}");
    assert_eq!(failing.hits(), 3);
}

#[tokio::test]
async fn a_new_table_forgets_neither_ejections_nor_what_is_in_flight() {
    let gate = Arc::new(Semaphore::new(0));
    let (dead, slow) = (nobody().await, gated(&gate).await);
    let (world, pets, token) =
        balanced(&[&dead, &slow.url], |backends| backends.ejection = Ejection { failures: 1, seconds: 10 })
            .await;
    let held = world.begins(&token);
    eventually("one is in flight", || slow.hits() == 1).await;

    let before = (world.report(&pets, &dead), world.report(&pets, &slow.url));
    let pets = world.replaces(&pets, |backends| backends.retries.attempts = 2).await;

    assert_eq!(before, (world.report(&pets, &dead), world.report(&pets, &slow.url)));
    assert_eq!((before.0.condition, before.1.in_flight, before.1.pending), (Condition::Ejected, 1, 1));
    gate.add_permits(1);
    assert_eq!(held.await.unwrap(), 200);
    eventually("none is in flight", || world.report(&pets, &slow.url).in_flight == 0).await;
}

#[tokio::test]
async fn a_drained_or_removed_backend_finishes_what_it_has_and_gets_nothing_new() {
    let gate = Arc::new(Semaphore::new(0));
    let (old, new) = (gated(&gate).await, Backend::echo().await);
    let (world, pets, token) = balanced(&[&old.url], |_| ()).await;
    let held = [world.begins(&token), world.begins(&token)];
    eventually("two are in flight", || old.hits() == 2).await;

    let pets = world
        .replaces(&pets, |backends| backends.production = vec![weighted(&old.url, 0), weighted(&new.url, 1)])
        .await;
    for _ in 0..3 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    }
    world.replaces(&pets, |backends| backends.production = vec![weighted(&new.url, 1)]).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    gate.add_permits(2);

    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    assert_eq!((old.hits(), new.hits()), (2, 4));
}

#[tokio::test]
async fn a_circuit_breaker_refuses_at_once_what_would_be_too_much() {
    let gate = Arc::new(Semaphore::new(0));
    let slow = gated(&gate).await;
    let (world, pets, token) = balanced(&[&slow.url], |backends| {
        backends.circuit_breaker = CircuitBreaker { max_requests: Some(2), max_pending: None };
    })
    .await;
    let held = [world.begins(&token), world.begins(&token)];
    eventually("it is full", || slow.hits() == 2).await;

    let began = Instant::now();
    let refused = world.calls("/pets/1.0/", &token).await;

    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!((refused.refusal(), refused.header("retry-after")), ((503, "303000".to_owned()), "1"));
    assert!(!refused.text.contains(&slow.url));
    gate.add_permits(3);
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    eventually("there is room", || world.report(&pets, &slow.url).in_flight == 0).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    assert_eq!(slow.hits(), 3);
}

#[tokio::test]
async fn what_streams_counts_as_in_flight_but_not_as_pending() {
    let streaming = Backend::talking(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let (world, pets, token) = balanced(&[&streaming.url], |backends| {
        backends.circuit_breaker = CircuitBreaker { max_requests: Some(2), max_pending: Some(1) };
    })
    .await;

    let listens = async || {
        let mut stream = world.connects().await;
        let request = format!("GET /pets/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        (super::websocket::head(&mut stream).await, stream)
    };
    let (one, two) = (listens().await, listens().await);
    let seen = world.report(&pets, &streaming.url);

    assert!(one.0.starts_with("HTTP/1.1 200 ") && two.0.starts_with("HTTP/1.1 200 "));
    assert_eq!((seen.in_flight, seen.pending), (2, 0));
    assert!(listens().await.0.starts_with("HTTP/1.1 503 "));
    drop((one, two));
    eventually("their end is noticed", || world.report(&pets, &streaming.url).in_flight == 0).await;
}

#[tokio::test]
async fn a_websocket_is_in_flight_until_it_ends_and_its_handshake_goes_to_a_backend_that_lives() {
    let (dead, chat) = (nobody().await, parrot().await);
    let (world, pets, token) = balanced(&[&dead, &chat.url], |_| ()).await;

    let socket = world.opens("/pets/1.0/", &token).await;
    assert_eq!(world.report(&pets, &chat.url).in_flight, 1);
    drop(socket);

    eventually("it has ended", || world.report(&pets, &chat.url).in_flight == 0).await;
}
