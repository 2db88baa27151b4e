//! Calls with API keys.

use std::time::Duration;

use api_manager::domain::api::{Api, Operation, OperationAuth};
use api_manager::domain::api_key::{ApiKey, Draft, RefererRule, generate};
use api_manager::domain::application::KeyType;
use api_manager::domain::deny::AddressRange;
use api_manager::domain::ids::ApplicationId;
use api_manager::domain::revocation::Revocation;
use api_manager::domain::scheme::{Scheme, Schemes};
use api_manager::domain::subscription::SubscriptionState;
use api_manager::storage::{api_keys, revocations, subscriptions};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;
use shared_claims::scope::ScopeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::backend::Backend;
use super::websocket::{handshake, parrot};
use super::{Answer, NOW, World, api, grant};

fn draft() -> Draft {
    Draft {
        name: "key".to_owned(),
        key_type: KeyType::Production,
        expires_in: None,
        allowed_ips: Vec::new(),
        allowed_referers: Vec::new(),
    }
}

impl World {
    async fn makes_key(&self, application: ApplicationId, draft: Draft) -> (ApiKey, String) {
        let secret = generate().unwrap();
        let key = draft.into_key(application, &secret, NOW);
        let row = key.clone();
        self.writes(move |connection| api_keys::insert(connection, &row)).await;
        (key, secret.expose().to_owned())
    }

    async fn calls_with(&self, headers: &[(&str, &str)]) -> Answer {
        self.calls_at("/pets/1.0/", headers).await
    }

    async fn calls_at(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(Method::GET).uri(format!("{}{path}", self.base()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sends(request.body(Full::default()).unwrap()).await
    }

    /// As a node elsewhere would do it: this gateway is not told.
    async fn takes_back_elsewhere(&self, key: &ApiKey) {
        let id = key.id;
        self.writes(move |connection| {
            api_keys::delete(connection, id)?;
            revocations::append(connection, &Revocation::ApiKey(id), NOW)
        })
        .await;
    }
}

fn taking(schemes: &[Scheme], backend: &str) -> Api {
    let mut pets = api("pets", backend);
    pets.definition.security = Schemes::of(schemes);
    pets
}

/// A world with an API that takes keys and tokens, and a subscribed application.
async fn with_keys(backend: &str) -> (World, Api, ApplicationId) {
    let world = World::start().await;
    let pets = world.publishes(taking(&[Scheme::Token, Scheme::ApiKey], backend)).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    (world, pets, application)
}

#[tokio::test]
async fn an_api_key_opens_the_api_and_never_reaches_the_backend() {
    let backend = Backend::echo().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let (_, key) = world.makes_key(application, draft()).await;

    for _ in 0..10 {
        let answer = world.calls_with(&[("apikey", &key)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains("csk_") && !answer.text.contains("apikey"), "{}", answer.text);
    }
    assert_eq!(world.gateway.grants_asked(), 1, "a warm key costs no look-up");
    let in_query = world.calls_at(&format!("/pets/1.0/?apikey={key}"), &[]).await;
    assert_eq!(in_query.refusal(), (401, "900902".to_owned()));
}

#[tokio::test]
async fn a_key_is_removed_also_where_the_api_takes_none() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let bearer = format!("Bearer {token}");

    let answer = world.calls_with(&[("authorization", &bearer), ("apikey", "csk_something")]).await;

    assert_eq!(answer.status, 200);
    assert!(!answer.text.contains("csk_something"), "{}", answer.text);
}

#[tokio::test]
async fn an_api_names_the_schemes_that_it_takes_and_takes_no_others() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let keys_only = world.publishes(taking(&[Scheme::ApiKey], &backend.url)).await;
    let tokens_only = world.publishes(api("tokens", &backend.url)).await;
    let application = world.application().await;
    world.subscribes(application, &keys_only).await;
    world.subscribes(application, &tokens_only).await;
    let token = world.issues(grant(application)).await;
    let (_, key) = world.makes_key(application, draft()).await;

    let refused = world.calls("/pets/1.0/", &token).await;
    assert_eq!(refused.refusal(), (401, "900902".to_owned()));
    assert_eq!(refused.header("www-authenticate"), "ApiKey realm=\"Countersign\", header=\"apikey\"");
    assert!(
        refused.text.contains("'apikey: API_KEY'") && !refused.text.contains("Bearer"),
        "{}",
        refused.text
    );
    let refused = world.calls_at("/tokens/1.0/", &[("apikey", &key)]).await;
    assert_eq!(refused.refusal(), (401, "900902".to_owned()));
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"Countersign\"");
    assert_eq!(world.calls_with(&[("apikey", &key)]).await.status, 200);
    assert_eq!(world.calls("/tokens/1.0/", &token).await.status, 200);
}

#[tokio::test]
async fn two_kinds_of_credentials_in_one_request_are_refused_whoever_they_are_of() {
    let backend = Backend::echo().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let token = world.issues(grant(application)).await;
    let (_, key) = world.makes_key(application, draft()).await;

    for bearer in [format!("Bearer {token}"), "Bearer junk".to_owned()] {
        let refused = world.calls_with(&[("authorization", &bearer), ("apikey", &key)]).await;
        assert_eq!(refused.refusal(), (400, "400".to_owned()), "{bearer}");
    }
    let refused = world.calls_with(&[("apikey", &key), ("apikey", &key)]).await;
    assert_eq!(refused.refusal(), (401, "900901".to_owned()));
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn a_key_that_is_unknown_malformed_or_over_is_refused_alike_and_junk_costs_no_look_up() {
    let backend = Backend::echo().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let (_, brief) = world.makes_key(application, Draft { expires_in: Some(60), ..draft() }).await;
    let stranger = generate().unwrap();
    assert_eq!(world.calls_with(&[("apikey", &brief)]).await.status, 200);
    world.app.clock.advance(60);
    let asked = world.gateway.grants_asked();

    for key in [brief.as_str(), stranger.expose(), "csk_", "x", &brief.to_uppercase(), &format!("{brief}x")] {
        let refused = world.calls_with(&[("apikey", key)]).await;
        assert_eq!(refused.refusal(), (401, "900901".to_owned()), "{key}");
        assert!(refused.headers.get_all("www-authenticate").iter().count() == 2, "{:?}", refused.headers);
    }
    assert_eq!(world.gateway.grants_asked(), asked + 1, "only the well-formed stranger was looked up");
    assert_eq!(world.calls_with(&[("apikey", stranger.expose())]).await.status, 401);
    assert_eq!(world.gateway.grants_asked(), asked + 1, "an unknown key is remembered as such");
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_elsewhere_within_a_second() {
    let backend = Backend::echo().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let (key, plain) = world.makes_key(application, draft()).await;
    let (_, other) = world.makes_key(application, Draft { name: "other".to_owned(), ..draft() }).await;
    assert_eq!(world.calls_with(&[("apikey", &plain)]).await.status, 200);
    assert_eq!(world.calls_with(&[("apikey", &other)]).await.status, 200);

    world.takes_back_elsewhere(&key).await;

    let began = Instant::now();
    while world.calls_with(&[("apikey", &plain)]).await.status == 200 {
        assert!(began.elapsed() < Duration::from_millis(1_500));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.calls_with(&[("apikey", &plain)]).await.refusal(), (401, "900901".to_owned()));
    assert_eq!(world.calls_with(&[("apikey", &other)]).await.status, 200);
}

#[tokio::test]
async fn a_websocket_ends_with_the_key_that_opened_it() {
    let backend = parrot().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let (key, plain) = world.makes_key(application, draft()).await;
    let mut socket = world.connects().await;
    let shaken = handshake("/pets/1.0/", "x").replace("Authorization: Bearer x", &format!("apikey: {plain}"));
    socket.write_all(shaken.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(socket.read_u8().await.unwrap());
    }
    assert!(heard.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&heard));

    world.takes_back_elsewhere(&key).await;

    let mut rest = Vec::new();
    timeout(Duration::from_millis(1_500), socket.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!((rest[0], &rest[2..4]), (0x88, &[0x03, 0xf0][..]), "{rest:?}");
}

#[tokio::test]
async fn a_key_is_good_only_from_its_addresses_whatever_headers_say() {
    let backend = Backend::echo().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let from = |name: &str, network: &str| Draft {
        name: name.to_owned(),
        allowed_ips: vec![AddressRange::parse(network).unwrap()],
        ..draft()
    };
    let (_, here) = world.makes_key(application, from("here", "127.0.0.0/8")).await;
    let (_, elsewhere) = world.makes_key(application, from("elsewhere", "192.0.2.0/24")).await;

    assert_eq!(world.calls_with(&[("apikey", &here)]).await.status, 200);
    for lie in [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1"), ("x-real-ip", "192.0.2.1")]
    {
        let refused = world.calls_with(&[("apikey", &elsewhere), lie]).await;
        assert_eq!(refused.refusal(), (403, "900908".to_owned()), "{lie:?}");
        assert!(!refused.text.contains("192.0.2"), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_key_is_good_only_from_its_pages() {
    let backend = Backend::echo().await;
    let (world, _, application) = with_keys(&backend.url).await;
    let rule = RefererRule::parse("https://app.example/shop/*").unwrap();
    let (_, key) = world.makes_key(application, Draft { allowed_referers: vec![rule], ..draft() }).await;

    let from = async |page: &str| world.calls_with(&[("apikey", &key), ("referer", page)]).await;

    assert_eq!(from("https://app.example/shop/cart").await.status, 200);
    for page in ["https://app.example/", "https://app.example.evil.example/shop/cart", "junk"] {
        assert_eq!(from(page).await.refusal(), (403, "900908".to_owned()), "{page}");
    }
    assert_eq!(world.calls_with(&[("apikey", &key)]).await.status, 403);
}

#[tokio::test]
async fn a_key_stands_for_its_application_and_obeys_what_that_may() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = taking(&[Scheme::ApiKey], &backend.url);
    let scoped = Operation { scopes: ScopeSet::parse("read").unwrap(), ..Operation::new("GET", "/scoped") };
    let own = Operation { auth: OperationAuth::Application, ..Operation::new("GET", "/own") };
    pets.definition.operations.extend([scoped, own]);
    pets.definition.backend_jwt = true;
    let pets = world.publishes(pets).await;
    let application = world.application().await;
    let (made, key) = world.makes_key(application, draft()).await;
    let (_, sandbox) = {
        let draft = Draft { name: "sandbox".to_owned(), key_type: KeyType::Sandbox, ..draft() };
        world.makes_key(application, draft).await
    };

    assert_eq!(world.calls_with(&[("apikey", &key)]).await.refusal(), (403, "900908".to_owned()));
    let mut subscription = world.subscribes(application, &pets).await;
    let answer = world.calls_at("/pets/1.0/own", &[("apikey", &key)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("x-ratelimit-limit"), "5000");
    let jwt = answer.text.split("x-jwt-assertion: ").nth(1).unwrap().split(['.', '\n']).nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt).unwrap()).unwrap();
    assert_eq!(claims["sub"], application.to_string());
    assert_eq!(claims["countersign_api_key"], made.id.to_string());
    assert_eq!(claims["http://wso2.org/claims/usertype"], "APPLICATION");
    assert!(
        claims.get("http://wso2.org/claims/enduser").is_none() && claims.get("countersign_grant").is_none()
    );

    assert_eq!(
        world.calls_at("/pets/1.0/scoped", &[("apikey", &key)]).await.refusal(),
        (403, "900910".to_owned())
    );
    assert_eq!(world.calls_with(&[("apikey", &sandbox)]).await.refusal(), (403, "900901".to_owned()));
    subscription.state = SubscriptionState::Blocked;
    world.changes(move |c| subscriptions::update(c, &subscription, subscription.revision)).await;
    assert_eq!(world.calls_with(&[("apikey", &key)]).await.refusal(), (401, "900907".to_owned()));
}
