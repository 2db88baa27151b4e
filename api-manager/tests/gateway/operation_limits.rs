//! Limits that all callers share, and that every kind of limit is exact.

use std::sync::Arc;

use api_manager::domain::api::{Api, OperationAuth};
use api_manager::domain::tier::{Limit, Tier};
use api_manager::storage::{applications, subscriptions, tiers};
use http::{Method, StatusCode};

use super::backend::Backend;
use super::{NOW, World, api, grant, operation};

const FIVE: Limit = Limit { requests: 5, per_seconds: 60, burst: None };

impl World {
    async fn has_tier(&self, name: &str, limit: Limit) {
        let tier = Tier {
            name: name.to_owned(),
            description: String::new(),
            limit: Some(limit),
            created_at: NOW,
            updated_at: NOW,
            revision: 1,
        };
        self.changes(move |connection| tiers::insert(connection, &tier)).await;
    }
}

/// An API with a limited operation, an unlimited one and an open one that is limited.
fn limited(backend: &Backend) -> Api {
    let mut pets = api("pets", &backend.url);
    let mut cats = operation("GET", "/cats/{id}");
    cats.tier = Some("Five".to_owned());
    let mut open = operation("GET", "/open");
    open.auth = OperationAuth::None;
    open.tier = Some("Five".to_owned());
    pets.definition.operations = vec![cats, operation("*", "/*"), open];
    pets
}

/// How two hundred calls at once are answered: how many passed, and the codes of the others.
async fn two_hundred(world: &Arc<World>, path: &'static str, tokens: &[String]) -> (usize, Vec<String>) {
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let (world, token) = (Arc::clone(world), tokens[n % tokens.len()].clone());
            tokio::spawn(async move { world.calls(path, &token).await })
        })
        .collect();
    let (mut passed, mut codes) = (0, Vec::new());
    for call in calls {
        let answer = call.await.unwrap();
        if answer.status == StatusCode::OK {
            passed += 1;
        } else {
            codes.push(answer.code());
        }
    }
    codes.dedup();
    (passed, codes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_calls_at_once_a_limit_of_five_lets_five_through_whatever_its_kind() {
    for (kind, code) in
        [("application", "900803"), ("subscription", "900804"), ("API", "900800"), ("operation", "900802")]
    {
        let backend = Backend::echo().await;
        let world = World::start().await;
        world.has_tier("Five", FIVE).await;
        let mut pets = api("pets", &backend.url);
        match kind {
            "API" => pets.definition.limit_tier = Some("Five".to_owned()),
            "operation" => pets.definition.operations[0].tier = Some("Five".to_owned()),
            _ => {}
        }
        let pets = world.publishes(pets).await;
        let application = world.application().await;
        let mut subscription = world.subscribes(application, &pets).await;
        let mut tokens = vec![world.issues(grant(application)).await];
        match kind {
            "application" => {
                world
                    .changes(move |connection| {
                        let mut row = applications::find(connection, application)?.unwrap();
                        "Five".clone_into(&mut row.tier);
                        applications::update(connection, &row, row.revision)
                    })
                    .await;
            }
            "subscription" => {
                "Five".clone_into(&mut subscription.tier);
                world.changes(move |connection| subscriptions::update(connection, &subscription, 1)).await;
            }
            // What all share is shared by several applications.
            _ => tokens.push(world.subscribed(&pets).await),
        }
        let world = Arc::new(world);

        let (passed, codes) = two_hundred(&world, "/pets/1.0/cats", &tokens).await;

        assert_eq!((passed, codes), (5, vec![code.to_owned()]), "{kind}");
        assert_eq!(backend.hits(), 5, "{kind}");
        world.app.clock.advance(12);
        assert_eq!(two_hundred(&world, "/pets/1.0/cats", &tokens).await.0, 1, "{kind}");
    }
}

#[tokio::test]
async fn an_operations_limit_is_its_own_and_counts_for_those_without_a_token_too() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    world.has_tier("Five", FIVE).await;
    let pets = world.publishes(limited(&backend)).await;
    let token = world.subscribed(&pets).await;
    for n in 0..5 {
        assert_eq!(world.calls(&format!("/pets/1.0/cats/{n}"), &token).await.status, StatusCode::OK);
        assert_eq!(world.calls("/pets/1.0/open", "").await.status, StatusCode::OK);
    }

    let refused = world.calls("/pets/1.0/cats/6", &token).await;

    assert_eq!(refused.refusal(), (429, "900802".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-limit")), ("12", "5"));
    assert!(refused.text.contains("nextAccessTime"));
    assert_eq!(world.calls("/pets/1.0/open", "").await.refusal(), (429, "900802".to_owned()));
    assert_eq!(world.calls("/pets/1.0/dogs", &token).await.status, StatusCode::OK);
    let post = world.request(Method::POST, "/pets/1.0/cats/1", &token);
    assert_eq!(world.sends(post).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_one_limit_refuses_takes_nothing_from_the_others() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    world.has_tier("Five", FIVE).await;
    world.has_tier("Seven", Limit { requests: 7, ..FIVE }).await;
    let mut pets = limited(&backend);
    pets.definition.limit_tier = Some("Seven".to_owned());
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    let mut passed = 0;
    for _ in 0..50 {
        passed += usize::from(world.calls("/pets/1.0/cats/1", &token).await.status == StatusCode::OK);
    }

    assert_eq!(passed, 5);
    for _ in 0..2 {
        assert_eq!(world.calls("/pets/1.0/dogs", &token).await.status, StatusCode::OK);
    }
    assert_eq!(world.calls("/pets/1.0/dogs", &token).await.refusal(), (429, "900800".to_owned()));
}

#[tokio::test]
async fn how_busy_others_are_is_told_only_by_a_refusal() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    world.has_tier("Five", FIVE).await;
    let pets = world.publishes(limited(&backend)).await;
    let token = world.subscribed(&pets).await;

    let answer = world.calls("/pets/1.0/cats/1", &token).await;

    // Gold, the subscription's own tier.
    assert_eq!(answer.header("x-ratelimit-limit"), "5000");
    assert_eq!(world.calls("/pets/1.0/open", "").await.header("x-ratelimit-limit"), "");
}

#[tokio::test]
async fn a_changed_api_does_not_refill_its_limits() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    world.has_tier("Five", FIVE).await;
    let pets = world.publishes(limited(&backend)).await;
    let token = world.subscribed(&pets).await;
    for _ in 0..5 {
        world.calls("/pets/1.0/cats/1", &token).await;
    }
    let mut changed = pets.clone();
    changed.definition.description = "changed".to_owned();
    world.changes(move |connection| api_manager::storage::apis::update(connection, &changed, 1)).await;

    assert_eq!(world.calls("/pets/1.0/cats/1", &token).await.refusal(), (429, "900802".to_owned()));
}
