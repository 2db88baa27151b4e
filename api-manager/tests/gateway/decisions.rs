//! Whoever owns the API or the application can ask why a request was refused.

use std::sync::Arc;

use api_manager::domain::actor::Actor;
use api_manager::domain::api::OperationAuth;
use api_manager::domain::check::{Check, CheckState};
use api_manager::domain::explanation::Explanation;
use api_manager::domain::lifecycle::State;
use api_manager::flows::FlowError;
use api_manager::flows::explain_refusal::explain_refusal;
use http::{Method, StatusCode};
use shared_claims::scope::ScopeSet;

use super::backend::Backend;
use super::{Answer, World, api, grant, operation};

fn person(name: &str) -> Actor {
    Actor { name: name.to_owned(), scopes: ScopeSet::parse("apim:api_view apim:subscribe").ok() }
}

fn administrator() -> Actor {
    Actor { name: "admin".to_owned(), scopes: None }
}

impl World {
    async fn why(&self, actor: &Actor, answer: &Answer) -> Option<Arc<Explanation>> {
        match explain_refusal(&self.app, actor, answer.header("x-request-id")).await {
            Ok(explanation) => Some(explanation),
            Err(FlowError::NotFound(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// The check that failed, as the API's publisher sees it.
    async fn failed(&self, answer: &Answer) -> Check {
        let explanation = self.why(&person("publisher"), answer).await.unwrap();
        assert_eq!(explanation.status, answer.status.as_u16());
        let checks = explanation.checks();
        let failed: Vec<&Check> = checks.iter().filter(|check| check.state == CheckState::Failed).collect();
        assert_eq!(failed.len(), 1);
        assert!(failed[0].remedy.is_some_and(|remedy| !remedy.is_empty()));
        failed[0].clone()
    }
}

#[tokio::test]
async fn a_missing_subscription_is_explained_step_by_step() {
    let backend = Backend::echo().await;
    let (world, pets, _) = World::with_pets(&backend.url).await;
    let application = world.application().await;
    let token = world.issues(grant(application)).await;

    let answer = world.calls("/pets/1.0/cats?secret=1", &token).await;

    assert_eq!(answer.refusal(), (403, "900908".to_owned()));
    let explanation = world.why(&person("publisher"), &answer).await.unwrap();
    assert_eq!((explanation.api, explanation.application), (Some(pets.id), Some(application)));
    assert_eq!((&*explanation.method, &*explanation.path), ("GET", "/pets/1.0/cats"));
    assert_eq!(explanation.reason, "not_subscribed");
    let checks = explanation.checks();
    let place = checks.iter().position(|check| check.name == "subscription").unwrap();
    assert_eq!(checks[place].state, CheckState::Failed);
    assert_eq!(checks[place].seen.as_deref(), Some("none"));
    assert_eq!(checks[place].remedy, Some("Subscribe the application to this API."));
    assert!(checks[..place].iter().all(|check| check.state == CheckState::Passed));
    assert!(checks[place + 1..].iter().all(|check| check.state == CheckState::NotReached));
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names[1..6], ["request", "path", "api", "state", "operation"]);
    // No secrets: neither the token nor the query.
    let all = format!("{explanation:?}");
    assert!(!all.contains(&token) && !all.contains("secret"), "{all}");
}

#[tokio::test]
async fn each_refusal_names_the_step_that_refused() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    let mut scoped = operation("GET", "/scoped");
    scoped.scopes = ScopeSet::parse("pets:read").unwrap();
    let mut machine = operation("GET", "/machine");
    machine.auth = OperationAuth::Application;
    pets.definition.operations = vec![operation("GET", "/cats"), scoped, machine];
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let mut old = grant(application);
    old.expires_at = old.issued_at;
    let old = world.issues(old).await;
    let mut sandbox = grant(application);
    sandbox.key_type = api_manager::domain::application::KeyType::Sandbox;
    let sandbox = world.issues(sandbox).await;
    let provider = world.trusts("https://idp.example").await;
    let alice = world.issues(super::grant_for_alice(application, &provider)).await;

    for (path, token, step, seen) in [
        ("/pets/1.0/dogs", &*token, "operation", "nothing answers at this path"),
        ("/pets/1.0/cats", "", "credentials", "none"),
        ("/pets/1.0/cats", "junk", "token_form", "something that is no token of ours, or several"),
        ("/pets/1.0/cats", "0e5a2d4c-0000-4000-8000-000000000000", "token_known", "the token is unknown"),
        ("/pets/1.0/cats", &old, "token_not_expired", "expires at 2027-01-15T08:00:00Z"),
        ("/pets/1.0/cats", &sandbox, "endpoint", "a sandbox key"),
        ("/pets/1.0/machine", &alice, "token_type", "a person's token"),
        ("/pets/1.0/scoped", &token, "scopes", "none"),
    ] {
        let check = world.failed(&world.calls(path, token).await).await;
        assert_eq!((check.name, check.seen.as_deref()), (step, Some(seen)), "{path}");
    }
    let posted = world.sends(world.request(Method::POST, "/pets/1.0/cats", &token)).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(world.failed(&posted).await.name, "operation");
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn what_the_lifecycle_a_limit_and_a_backend_refuse_is_explained_too() {
    let world = World::start().await;
    let mut blocked = api("blocked", "http://127.0.0.1:9");
    blocked.state = State::Blocked;
    world.publishes(blocked).await;
    let mut draft = api("draft", "http://127.0.0.1:9");
    draft.state = State::Created;
    world.publishes(draft).await;
    let mut busy = api("busy", "http://127.0.0.1:9");
    busy.definition.max_tps = Some(1);
    let busy = world.publishes(busy).await;
    let token = world.subscribed(&busy).await;

    let answer = world.calls("/blocked/1.0/", &token).await;
    assert_eq!((answer.status.as_u16(), world.failed(&answer).await.name), (503, "state"));
    let answer = world.calls("/draft/1.0/", &token).await;
    let check = world.failed(&answer).await;
    assert_eq!((answer.status.as_u16(), check.name, check.seen.as_deref()), (404, "state", Some("created")));

    let answer = world.calls("/busy/1.0/", &token).await;
    assert_eq!((answer.status.as_u16(), world.failed(&answer).await.name), (502, "backend"));
    let explanation = world.why(&administrator(), &answer).await.unwrap();
    assert!(!format!("{explanation:?}").contains("127.0.0.1"), "{explanation:?}");
    let answer = world.calls("/busy/1.0/", &token).await;
    let check = world.failed(&answer).await;
    assert_eq!((answer.status.as_u16(), check.name), (503, "limits"));
    assert_eq!(check.seen.as_deref(), Some("api_max_tps"));
}

#[tokio::test]
async fn the_owners_and_administrators_may_ask_and_nobody_else() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;
    let application = world.application().await;
    let token = world.issues(grant(application)).await;
    let refused = world.calls("/pets/1.0/", &token).await;
    let nowhere = world.calls("/nowhere", &token).await;

    for actor in [person("publisher"), person("dev"), administrator()] {
        assert!(world.why(&actor, &refused).await.is_some(), "{actor:?}");
    }
    assert!(world.why(&person("mallory"), &refused).await.is_none());
    for actor in [person("publisher"), person("dev"), person("mallory")] {
        assert!(world.why(&actor, &nowhere).await.is_none(), "{actor:?}");
    }
    let explanation = world.why(&administrator(), &nowhere).await.unwrap();
    assert_eq!(explanation.reason, "not_found");
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn a_request_id_that_somebody_else_chose_too_shows_each_their_own() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut theirs = api("theirs", &backend.url);
    "other".clone_into(&mut theirs.owner);
    world.publishes(api("pets", &backend.url)).await;
    world.publishes(theirs).await;
    let send = async |path: &str| {
        let mut request = world.request(Method::GET, path, "");
        request.headers_mut().insert("x-request-id", "chosen:1".parse().unwrap());
        world.sends(request).await
    };

    let mine = send("/pets/1.0/cats").await;
    world.app.clock.advance(1);
    send("/theirs/1.0/dogs").await;

    assert_eq!(mine.header("x-request-id"), "chosen:1");
    let path = async |actor| world.why(&actor, &mine).await.map(|one| one.path.to_string());
    assert_eq!(path(person("publisher")).await.as_deref(), Some("/pets/1.0/cats"));
    assert_eq!(path(person("other")).await.as_deref(), Some("/theirs/1.0/dogs"));
    assert_eq!(path(administrator()).await.as_deref(), Some("/theirs/1.0/dogs"));
}
