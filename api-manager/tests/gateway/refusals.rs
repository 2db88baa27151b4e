//! Who does not get through, and what they hear.

use api_manager::domain::api::OperationAuth;
use api_manager::domain::application::KeyType;
use api_manager::domain::lifecycle::State;
use api_manager::domain::subscription::SubscriptionState;
use api_manager::storage::{apis, identity_providers, subscriptions};
use http::Method;
use shared_claims::scope::ScopeSet;

use super::backend::Backend;
use super::{NOW, World, api, grant, grant_for_alice, operation};

const INVALID: &str = r#"Bearer realm="Countersign", error="invalid_token""#;

#[tokio::test]
async fn a_valid_token_gets_through() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let answer = world.calls("/pets/1.0/cats?x=1", &token).await;

    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text.starts_with("GET /cats?x=1\n"), "{answer:?}");
}

#[tokio::test]
async fn without_credentials_nothing_reaches_the_backend() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;

    let answer = world.calls("/pets/1.0/cats", "").await;

    assert_eq!(answer.refusal(), (401, "900902".to_owned()));
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="Countersign""#);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn whatever_is_no_token_of_ours_is_401() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let long = "a".repeat(30_000);
    let upper = token.to_uppercase();
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer,x",
        &format!("Bearer {token} "),
        &format!("Bearer {token},x"),
        &format!("Bearer {token} {token}"),
        &format!("Bearer {upper}A"),
        &format!("Bearer {{{token}}}"),
        &format!("Bearer {}", token.replace('-', "")),
        &format!("Bearer {long}"),
        &format!("Token {token}"),
        &format!("Basic {token}"),
        &format!("Bearer{token}"),
        &token,
    ] {
        let mut request = world.request(Method::GET, "/pets/1.0/cats", "");
        request.headers_mut().insert("authorization", value.trim_end().parse().unwrap());
        let answer = world.sends(request).await;
        let trimmed = value.trim_end() == format!("Bearer {token}");
        assert_eq!(answer.status.as_u16(), if trimmed { 200 } else { 401 }, "{value}");
    }
    let mut request = world.request(Method::GET, "/pets/1.0/cats", &token);
    let copy = request.headers()["authorization"].clone();
    request.headers_mut().append("authorization", copy);
    assert_eq!(world.sends(request).await.refusal(), (401, "900901".to_owned()));
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;

    let answer = world.calls("/pets/1.0/cats", "0190e0a4-0000-7000-8000-000000000000").await;

    assert_eq!(answer.refusal(), (401, "900901".to_owned()));
    assert!(answer.header("www-authenticate").starts_with(INVALID));
    assert!(answer.text.contains("Make sure you have provided the correct security credentials"));
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn a_token_ends_on_the_second_though_the_cache_is_warm() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    world.app.clock.advance(599);
    assert_eq!(world.calls("/pets/1.0/cats", &token).await.status, 200);
    world.app.clock.advance(1);
    let answer = world.calls("/pets/1.0/cats", &token).await;

    assert_eq!(answer.refusal(), (401, "900901".to_owned()));
    assert!(answer.header("www-authenticate").starts_with(INVALID));
    assert_eq!(world.gateway.grants_asked(), 1);
}

#[tokio::test]
async fn a_token_of_an_application_that_has_not_subscribed_is_403() {
    let backend = Backend::echo().await;
    let (world, _, _) = World::with_pets(&backend.url).await;
    let other = world.publishes(api("other", &backend.url)).await;
    let stranger = world.subscribed(&other).await;

    let answer = world.calls("/pets/1.0/cats", &stranger).await;

    assert_eq!(answer.refusal(), (403, "900908".to_owned()));
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(world.calls("/other/1.0/", &stranger).await.status, 200);
}

#[tokio::test]
async fn a_blocked_subscription_is_401_until_it_is_unblocked() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let application = world.application().await;
    let mut subscription = world.subscribes(application, &pets).await;
    let token = world.issues(grant(application)).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);

    for (state, refusal) in
        [(SubscriptionState::Blocked, (401, "900907")), (SubscriptionState::Active, (200, ""))]
    {
        subscription.state = state;
        let row = subscription.clone();
        world.changes(move |c| subscriptions::update(c, &row, row.revision)).await;
        let answer = world.calls("/pets/1.0/", &token).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), refusal);
    }
}

#[tokio::test]
async fn undeclared_paths_are_404_and_undeclared_methods_405_whatever_the_token() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.operations = vec![operation("GET", "/cats/{id}"), operation("PUT", "/cats/{id}")];
    let pets = world.publishes(pets).await;
    let known = world.subscribed(&pets).await;
    assert_eq!(world.calls("/pets/1.0/cats/1", &known).await.status, 200);

    for token in ["", &known, "junk"] {
        for path in [
            "/",
            "/pet",
            "/pets",
            "/pets/1",
            "/pets/1.0.0/cats/1",
            "/pets/1.0/dogs",
            "/pets/1.0/cats/1/x",
            "/Pets/1.0/cats/1",
        ] {
            let answer = world.calls(path, token).await;
            assert_eq!(answer.refusal(), (404, "404".to_owned()), "{path}");
            assert_eq!(answer.header("www-authenticate"), "");
        }
        let answer = world.sends(world.request(Method::DELETE, "/pets/1.0/cats/1", token)).await;
        assert_eq!(answer.refusal(), (405, "405".to_owned()));
        assert_eq!(answer.header("allow"), "GET, PUT");
        for method in [Method::TRACE, "get".parse().unwrap(), "FOO".parse().unwrap()] {
            let answer = world.sends(world.request(method, "/pets/1.0/cats/1", token)).await;
            assert_eq!(answer.status, 405);
        }
    }
    assert_eq!(world.calls("/pets/1.0/cats/1", "").await.status, 401);
    assert_eq!(backend.hits(), 1);
}

#[tokio::test]
async fn only_an_api_in_service_answers() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;

    for (state, refusal) in [
        (State::Created, (404, "404")),
        (State::Blocked, (503, "700700")),
        (State::Deprecated, (200, "")),
        (State::Retired, (404, "404")),
        (State::Published, (200, "")),
    ] {
        pets.state = state;
        let row = pets.clone();
        world.changes(move |c| apis::update(c, &row, row.revision)).await;
        let answer = world.calls("/pets/1.0/cats", &token).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), refusal, "{state:?}");
    }
}

#[tokio::test]
async fn an_open_operation_of_an_api_without_any_backend_is_503() {
    let world = World::start().await;
    let mut empty = api("empty", "");
    empty.definition.operations[0].auth = OperationAuth::None;
    empty.definition.backends.production = Vec::new();
    world.publishes(empty).await;
    let mut request = world.request(Method::GET, "/empty/1.0/x", "");
    request.headers_mut().insert("x-server-timing", "1".parse().unwrap());

    let refused = world.sends(request).await;

    assert_eq!(refused.refusal(), (503, "303001".to_owned()));
    // Nobody was asked.
    assert!(!refused.header("server-timing").contains("backend"), "{refused:?}");
}

#[tokio::test]
async fn the_longest_context_and_version_wins_and_a_default_needs_no_version() {
    let (a, b, c) = (Backend::echo().await, Backend::echo().await, Backend::echo().await);
    let world = World::start().await;
    let mut plain = api("a", &format!("{}/plain", a.url));
    plain.definition.operations[0].auth = OperationAuth::None;
    let mut nested = plain.clone();
    (nested.id, nested.context) = (api("", "").id, "a/1.0".to_owned());
    nested.definition.backends.production = vec![format!("{}/nested/", b.url).into()];
    let mut default = plain.clone();
    (default.id, default.version) = (api("", "").id, "2".to_owned());
    default.definition.default_version = true;
    default.definition.backends.production = vec![c.url.clone().into()];
    for api in [plain, nested, default] {
        world.publishes(api).await;
    }

    for (path, heard) in [
        ("/a/1.0/x", "GET /plain/x\n"),
        ("/a/1.0", "GET /plain\n"),
        ("/a/1.0/", "GET /plain/\n"),
        ("/a/1.0/1.0/x", "GET /nested/x\n"),
        ("/a/1.0/1.0", "GET /nested/\n"),
        ("/a/1.0/1.0/?", "GET /nested/?\n"),
        ("/a/2/x", "GET /x\n"),
        ("/a/x", "GET /x\n"),
        ("/a", "GET /\n"),
        ("/%61/%31.0/%78", "GET /plain/x\n"),
    ] {
        let answer = world.calls(path, "").await;
        assert!(answer.text.starts_with(heard), "{path}: {answer:?}");
    }
    assert_eq!(world.calls("/ab/1.0", "").await.status, 404);
}

#[tokio::test]
async fn scopes_and_kinds_of_token_are_asked_for_by_operation() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    let mut read = operation("GET", "/cats");
    read.scopes = ScopeSet::parse("read admin").unwrap();
    let mut machine = operation("GET", "/machine");
    machine.auth = OperationAuth::Application;
    let mut open = operation("GET", "/open");
    open.auth = OperationAuth::None;
    pets.definition.operations = vec![read, machine, open];
    let pets = world.publishes(pets).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let provider = world.trusts("https://idp.example").await;
    let plain = world.issues(grant(application)).await;
    let mut reader = grant_for_alice(application, &provider);
    reader.scopes = ScopeSet::parse("read").unwrap();
    let reader = world.issues(reader).await;

    let answer = world.calls("/pets/1.0/cats", &plain).await;
    assert_eq!(answer.refusal(), (403, "900910".to_owned()));
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.contains(r#"error="insufficient_scope""#) && challenge.contains(r#"scope="admin read""#)
    );
    assert_eq!(world.calls("/pets/1.0/cats", &reader).await.status, 200);

    assert_eq!(world.calls("/pets/1.0/machine", &reader).await.refusal(), (401, "900905".to_owned()));
    assert_eq!(world.calls("/pets/1.0/machine", &plain).await.status, 200);
    for token in ["", "junk", &plain, &reader] {
        assert_eq!(world.calls("/pets/1.0/open", token).await.status, 200);
    }
}

#[tokio::test]
async fn a_key_reaches_the_backends_of_its_type_only() {
    let (production, sandbox) = (Backend::echo().await, Backend::echo().await);
    let world = World::start().await;
    let mut both = api("both", &production.url);
    both.definition.backends.sandbox = vec![sandbox.url.clone().into()];
    let both = world.publishes(both).await;
    let one = world.publishes(api("one", &production.url)).await;
    let application = world.application().await;
    world.subscribes(application, &both).await;
    world.subscribes(application, &one).await;
    let mut trial = grant(application);
    trial.key_type = KeyType::Sandbox;
    let trial = world.issues(trial).await;

    assert_eq!(world.calls("/both/1.0/", &trial).await.status, 200);
    assert_eq!((production.hits(), sandbox.hits()), (0, 1));
    let answer = world.calls("/one/1.0/", &trial).await;
    assert_eq!(answer.refusal(), (403, "900901".to_owned()));
    assert!(answer.text.contains("no sandbox endpoint"));
}

#[tokio::test]
async fn grants_of_a_disabled_provider_rest_until_it_is_enabled_again() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let mut provider = world.trusts("https://idp.example").await;
    let token = world.issues(grant_for_alice(application, &provider)).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);

    for (enabled, status) in [(false, 401), (true, 200)] {
        provider.enabled = enabled;
        let (row, revision) = (provider.clone(), provider.revision);
        world.changes(move |c| identity_providers::replace(c, &row, revision)).await;
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, status, "{enabled}");
    }
}

#[tokio::test]
async fn paths_that_can_be_read_in_two_ways_are_400() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for path in [
        "/pets/1.0/a/../b",
        "/pets/1.0/./b",
        "/pets/1.0/%2e%2e/b",
        "/pets/1.0/.%2E/b",
        "/pets/1.0/..;a/b",
        "/x/..%2fpets/1.0/",
        "/pets/1.0/a%2fb",
        "/pets/1.0/a%5cb",
        "/pets/1.0/a\\b",
        "/pets/1.0//b",
        "//pets/1.0/b",
        "/pets/1.0/%00",
        "/pets/1.0/%0d%0aX:y",
        "/pets/1.0/%",
        "/pets/1.0/%zz",
        "/pets/1.0/%c0%ae%c0%ae/",
    ] {
        let status = world
            .talks(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"))
            .await;
        assert!(status.starts_with("HTTP/1.1 400 "), "{path}: {status}");
    }
    let long = format!("/pets/1.0/{}", "a".repeat(16_384));
    assert_eq!(world.calls(&long, &token).await.status, 414);
    assert_eq!(backend.hits(), 0);
    assert_eq!(NOW, world.app.clock.now());
}
