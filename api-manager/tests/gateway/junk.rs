//! Credentials that nobody issued, many at once: they are refused at a pace, and nobody else waits for that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api_manager::gateway::Limits;
use api_manager::gateway::pacing::Pace;
use http::Method;
use shared_claims::opaque::OpaqueToken;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::backend::Backend;
use super::{NOW, World, api, client, grant};

/// Far more than an answer takes, and less than junk waits here.
const PROMPTLY: Duration = Duration::from_secs(5);

/// A gateway of one thread, and a token that is good at `/pets/1.0`.
async fn with_pets(pace: Pace) -> (Arc<World>, String) {
    let backend = Backend::echo().await;
    let limits = Limits { pace, ..Limits::default() };
    let world = World::start_with(limits, |settings| settings.workers = 1).await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;
    (Arc::new(world), token)
}

fn unknown() -> String {
    OpaqueToken::generate().unwrap().expose().to_owned()
}

fn delayed(world: &World) -> u64 {
    let metrics = world.app.metrics.render();
    let line = metrics.lines().find_map(|line| line.strip_prefix("gateway_refusals_delayed_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_unknown_tokens_is_answered_at_a_pace_and_valid_callers_at_once() {
    let pace = Pace { burst: 10, per_second: 50, longest: Duration::from_secs(60) };
    let (world, token) = with_pets(pace).await;

    let began = Instant::now();
    let mut flood = JoinSet::new();
    for _ in 0..10 {
        let world = Arc::clone(&world);
        flood.spawn(async move {
            for _ in 0..5 {
                let answer = world.calls("/pets/1.0/", &unknown()).await;
                assert_eq!(answer.refusal(), (401, "900901".to_owned()));
            }
        });
    }
    let valid = async {
        let mut calls = 0;
        while !flood.is_empty() {
            let answer = timeout(PROMPTLY, world.calls("/pets/1.0/", &token)).await.unwrap();
            assert_eq!(answer.status, 200);
            calls += 1;
            while let Some(ended) = flood.try_join_next() {
                ended.unwrap();
            }
        }
        calls
    };
    let calls = valid.await;

    // Fifty were refused, forty of them one after the other.
    assert!(began.elapsed() >= Duration::from_millis(790), "{:?}", began.elapsed());
    assert!(delayed(&world) > 0);
    assert!(calls > 1);
}

#[tokio::test]
async fn a_wrong_token_now_and_then_is_refused_without_delay() {
    let (world, token) = with_pets(Pace::default()).await;
    for _ in 0..10 {
        assert_eq!(world.calls("/pets/1.0/", &unknown()).await.refusal(), (401, "900901".to_owned()));
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    }
    assert_eq!(delayed(&world), 0);
}

#[tokio::test]
async fn what_waits_on_a_connection_holds_up_nothing_else_on_it() {
    let pace = Pace { burst: 1, per_second: 1, longest: Duration::from_secs(3_600) };
    let (world, token) = with_pets(pace).await;
    let secure = client(true);
    let request = |token: &str| {
        let mut request = world.request(Method::GET, "/pets/1.0/", token);
        *request.uri_mut() = format!("https://{}/pets/1.0/", world.gateway.address).parse().unwrap();
        request
    };
    // The connection is there before anybody else wants one.
    assert_eq!(secure.request(request(&token)).await.unwrap().version(), http::Version::HTTP_2);

    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        waiting.spawn(secure.request(request(&unknown())));
    }
    let all_wait = async {
        while delayed(&world) < 90 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PROMPTLY, all_wait).await.unwrap();
    let answer = timeout(PROMPTLY, secure.request(request(&token))).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    waiting.abort_all();
}

#[tokio::test]
async fn an_expired_or_a_revoked_token_is_known_and_never_waits() {
    let pace = Pace { burst: 1, per_second: 1, longest: Duration::from_secs(3_600) };
    let (world, _) = with_pets(pace).await;
    let application = world.application().await;
    let mut expired = grant(application);
    expired.expires_at = NOW.plus(-3_000);
    let mut revoked = grant(application);
    revoked.revoked_at = Some(NOW.plus(-1));
    let (expired, revoked) = (world.issues(expired).await, world.issues(revoked).await);
    for _ in 0..5 {
        for token in [&expired, &revoked] {
            assert_eq!(world.calls("/pets/1.0/", token).await.refusal(), (401, "900901".to_owned()));
        }
    }
    assert_eq!(delayed(&world), 0);
}
