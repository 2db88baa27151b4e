//! WebSockets and streams that are cut off from what let them in, within a second.

use std::time::Duration;

use api_manager::domain::lifecycle::State;
use api_manager::domain::revocation::Revocation;
use api_manager::domain::subscription::SubscriptionState;
use api_manager::storage::{apis, identity_providers, subscriptions};
use http::Method;
use http_body_util::{BodyExt, Full};
use shared_claims::secret::Digest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::backend::Backend;
use super::websocket::{frame, parrot, rest, says};
use super::{World, api, client, grant, grant_for_alice};

fn revoked(token: &str) -> Revocation {
    Revocation::Token(Digest::of(token.as_bytes()))
}

/// What the close frame says, which has to come within a second.
async fn farewell(socket: &mut TcpStream) -> String {
    let began = Instant::now();
    let rest = rest(socket).await;
    // The backlog of a test machine is allowed for, once.
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!(rest[..4], [0x88, u8::try_from(rest.len() - 2).unwrap(), 0x03, 0xf0], "{rest:?}");
    String::from_utf8(rest[4..].to_vec()).unwrap()
}

const INVALID: &str = "the token is invalid, expired or revoked";

#[tokio::test]
async fn a_websocket_ends_with_its_token_and_another_clients_goes_on() {
    let backend = parrot().await;
    let (world, pets, bystander) = World::with_pets(&backend.url).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let mut other = world.opens("/pets/1.0/", &bystander).await;

    let here = world.issues(grant(application)).await;
    let mut socket = world.opens("/pets/1.0/", &here).await;
    says(&mut socket, &frame(0x81, b"hello")).await;
    world.revokes(revoked(&here)).await;
    assert_eq!(farewell(&mut socket).await, INVALID);

    let elsewhere = world.issues(grant(application)).await;
    let mut socket = world.opens("/pets/1.0/", &elsewhere).await;
    world.revokes_elsewhere(revoked(&elsewhere)).await;
    assert_eq!(farewell(&mut socket).await, INVALID);

    let mut brief = grant(application);
    brief.expires_at = brief.issued_at.plus(60);
    let brief = world.issues(brief).await;
    let mut socket = world.opens("/pets/1.0/", &brief).await;
    world.app.clock.advance(60);
    assert_eq!(farewell(&mut socket).await, INVALID);

    says(&mut other, &frame(0x81, b"still here")).await;
}

#[tokio::test]
async fn a_websocket_ends_with_its_subscription_its_provider_and_its_api() {
    let backend = parrot().await;
    let (world, mut pets, bystander) = World::with_pets(&backend.url).await;
    let provider = world.trusts("https://idp.example").await;

    let application = world.application().await;
    let mut subscription = world.subscribes(application, &pets).await;
    let token = world.issues(grant(application)).await;
    let mut socket = world.opens("/pets/1.0/", &token).await;
    subscription.state = SubscriptionState::Blocked;
    let row = subscription.clone();
    world.changes(move |c| subscriptions::update(c, &row, row.revision)).await;
    assert_eq!(farewell(&mut socket).await, "the subscription is blocked");

    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let token = world.issues(grant_for_alice(application, &provider)).await;
    let mut socket = world.opens("/pets/1.0/", &token).await;
    let mut disabled = provider.clone();
    disabled.enabled = false;
    world.changes(move |c| identity_providers::replace(c, &disabled, disabled.revision)).await;
    assert_eq!(farewell(&mut socket).await, INVALID);

    let mut socket = world.opens("/pets/1.0/", &bystander).await;
    pets.state = State::Blocked;
    let row = pets.clone();
    world.changes(move |c| apis::update(c, &row, row.revision)).await;
    assert_eq!(farewell(&mut socket).await, "the API is out of service");
}

#[tokio::test]
async fn the_close_frame_waits_for_the_end_of_a_frame_but_not_for_long() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut whole = world.opens("/pets/1.0/", &token).await;
    let mut half = world.opens("/pets/1.0/", &token).await;
    // The parrot says half a frame until it hears the other half.
    let bytes = frame(0x82, &[7; 100]);
    says(&mut half, &bytes[..50]).await;
    says(&mut whole, &bytes[..50]).await;

    world.revokes(revoked(&token)).await;
    sleep(Duration::from_millis(100)).await;
    whole.write_all(&bytes[50..]).await.unwrap();

    assert_eq!(rest(&mut half).await, b"");
    let heard = rest(&mut whole).await;
    assert_eq!(heard[..56], bytes[50..]);
    assert_eq!(heard[56..60], [0x88, 42, 0x03, 0xf0]);
}

/// Server-sent events without end.
async fn ticker() -> Backend {
    Backend::talking(|mut stream| async move {
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head).await;
        while stream.write_all(b"9\r\ndata: 1\n\n\r\n").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_stream_breaks_off_with_its_token_and_another_clients_goes_on() {
    let events = ticker().await;
    let silence = Backend::talking(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        sleep(Duration::from_secs(10)).await;
    })
    .await;
    let (world, pets, token) = World::with_pets(&events.url).await;
    let bystander = world.subscribed(&pets).await;
    let quiet = world.publishes(api("quiet", &silence.url)).await;
    let quiet_token = world.subscribed(&quiet).await;
    let client = client(false);
    let open = async |path: &str, token: &str| {
        let request = world.request(Method::GET, path, token).map(|_| Full::default());
        client.request(request).await.unwrap().into_body()
    };
    let mut stream = open("/pets/1.0/", &token).await;
    let mut other = open("/pets/1.0/", &bystander).await;
    let mut nothing = open("/quiet/1.0/", &quiet_token).await;
    assert!(stream.frame().await.unwrap().is_ok());

    world.revokes(revoked(&token)).await;
    world.revokes(revoked(&quiet_token)).await;

    // Not a clean end: an error.
    let broken = async { while stream.frame().await.unwrap().is_ok() {} };
    timeout(Duration::from_millis(1_500), broken).await.unwrap();
    assert!(timeout(Duration::from_millis(1_500), nothing.frame()).await.unwrap().unwrap().is_err());
    for _ in 0..10 {
        assert!(other.frame().await.unwrap().is_ok());
    }
}
