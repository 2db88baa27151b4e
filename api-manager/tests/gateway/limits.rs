//! Limits hold exactly, whoever calls how often at once, and refuse in the original's words.

use std::sync::Arc;

use api_manager::domain::api::{Api, OperationAuth};
use api_manager::domain::ids::ApplicationId;
use api_manager::domain::tier::{Limit, Tier};
use api_manager::storage::{apis, applications, subscriptions, tiers};
use http::Method;

use super::backend::Backend;
use super::{Answer, NOW, World, api, grant, operation};

fn limit(requests: u32, per_seconds: u32, burst: Option<u32>) -> Option<Limit> {
    Some(Limit { requests, per_seconds, burst })
}

/// A world with an API, and a token of an application on the tier `App` whose subscription is on the tier `Sub`.
struct Limited {
    world: Arc<World>,
    pets: Api,
    application: ApplicationId,
    token: String,
}

impl Limited {
    async fn by(backend: &Backend, of_application: Option<Limit>, of_subscription: Option<Limit>) -> Self {
        let world = World::start().await;
        for (name, limit) in [("App", of_application), ("Sub", of_subscription)] {
            let tier = Tier {
                name: name.to_owned(),
                description: String::new(),
                limit,
                created_at: NOW,
                updated_at: NOW,
                revision: 1,
            };
            world.changes(move |connection| tiers::insert(connection, &tier)).await;
        }
        let pets = world.publishes(api("pets", &backend.url)).await;
        let application = world.application().await;
        let limited = Self { world: Arc::new(world), pets, application, token: String::new() };
        limited.joins("App").await;
        let pets = limited.pets.clone();
        limited.subscribes(&pets).await;
        let token = limited.world.issues(grant(application)).await;
        Self { token, ..limited }
    }

    async fn joins(&self, tier: &'static str) {
        let id = self.application;
        self.world
            .changes(move |connection| {
                let mut row = applications::find(connection, id)?.unwrap();
                tier.clone_into(&mut row.tier);
                let revision = row.revision;
                applications::update(connection, &row, revision)
            })
            .await;
    }

    async fn subscribes(&self, api: &Api) {
        let mut row = self.world.subscribes(self.application, api).await;
        "Sub".clone_into(&mut row.tier);
        self.world.changes(move |connection| subscriptions::update(connection, &row, 1)).await;
    }

    async fn changes_tier(&self, name: &'static str, limit: Option<Limit>) {
        self.world
            .changes(move |connection| {
                let mut row = tiers::find(connection, name)?.unwrap();
                row.limit = limit;
                let revision = row.revision;
                tiers::update(connection, &row, revision)
            })
            .await;
    }

    async fn calls(&self) -> Answer {
        self.world.calls("/pets/1.0/cats", &self.token).await
    }

    /// How many of `count` calls at the same time get through; the others hear `code`.
    async fn passed_of(&self, count: usize, code: &str) -> usize {
        let calls = (0..count).map(|_| {
            let (world, token) = (Arc::clone(&self.world), self.token.clone());
            tokio::spawn(async move { world.calls("/pets/1.0/cats", &token).await })
        });
        let mut passed = 0;
        for call in calls.collect::<Vec<_>>() {
            let answer = call.await.unwrap();
            if answer.status == 200 {
                passed += 1;
            } else {
                assert_eq!(answer.code(), code, "{answer:?}");
            }
        }
        passed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_calls_at_once_exactly_five_pass_a_limit_of_five() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, limit(5, 60, None), None).await;

    assert_eq!(limited.passed_of(200, "900803").await, 5);
    assert_eq!(backend.hits(), 5);
    limited.world.app.clock.advance(12);
    assert_eq!(limited.passed_of(20, "900803").await, 1);
    limited.world.app.clock.advance(60);
    assert_eq!(limited.passed_of(20, "900803").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_several_limits_the_smallest_is_exact_too() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, limit(5, 60, None), limit(5, 60, None)).await;
    assert_eq!(limited.passed_of(200, "900804").await, 5);

    let limited = Limited::by(&backend, limit(9, 60, None), limit(7, 60, None)).await;
    assert_eq!(limited.passed_of(200, "900804").await, 7);
}

#[tokio::test]
async fn a_refused_call_hears_when_to_come_back() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, limit(2, 60, None), None).await;

    let first = limited.calls().await;
    let standing = |answer: &Answer| {
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
            .map(|name| answer.header(name).to_owned())
    };
    assert_eq!((first.status.as_u16(), standing(&first)), (200, ["2", "1", "30"].map(str::to_owned)));
    assert_eq!(standing(&limited.calls().await), ["2", "0", "60"]);

    let refused = limited.calls().await;
    assert_eq!(refused.refusal(), (429, "900803".to_owned()));
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(standing(&refused), ["2", "0", "30"]);
    assert!(!refused.header("x-request-id").is_empty());
    let body: serde_json::Value = serde_json::from_str(&refused.text).unwrap();
    assert_eq!(body["nextAccessTime"], "2027-Jan-15 08:00:30+0000 UTC");
    assert_eq!(body["message"], "Message throttled out");
    assert_eq!(
        body["description"],
        "You have exceeded your quota .You can access API after 2027-Jan-15 08:00:30+0000 UTC"
    );

    limited.world.app.clock.advance(30);
    assert_eq!(limited.calls().await.status, 200);
}

#[tokio::test]
async fn a_subscription_has_its_own_limit_and_its_burst_a_code_of_its_own() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, None, limit(60, 60, Some(2))).await;

    assert_eq!(limited.passed_of(10, "900807").await, 2);
    limited.world.app.clock.advance(1);
    assert_eq!(limited.passed_of(10, "900807").await, 1);

    // Another API is another subscription.
    let dogs = limited.world.publishes(api("dogs", &backend.url)).await;
    limited.subscribes(&dogs).await;
    assert_eq!(limited.world.calls("/dogs/1.0", &limited.token).await.status, 200);
}

#[tokio::test]
async fn an_applications_limit_counts_over_all_apis_and_tokens() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, limit(2, 60, None), None).await;
    let dogs = limited.world.publishes(api("dogs", &backend.url)).await;
    limited.subscribes(&dogs).await;
    let other = limited.world.issues(grant(limited.application)).await;

    assert_eq!(limited.calls().await.status, 200);
    assert_eq!(limited.world.calls("/dogs/1.0", &other).await.status, 200);
    assert_eq!(limited.calls().await.refusal(), (429, "900803".to_owned()));
    assert_eq!(limited.world.calls("/dogs/1.0", &other).await.refusal(), (429, "900803".to_owned()));

    let stranger = limited.world.subscribed(&limited.pets).await;
    assert_eq!(limited.world.calls("/pets/1.0", &stranger).await.status, 200);
}

#[tokio::test]
async fn an_api_takes_no_more_than_its_backend_bears_from_all_together() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.max_tps = Some(3);
    pets.definition.operations.insert(0, operation("GET", "/open"));
    pets.definition.operations[0].auth = OperationAuth::None;
    let pets = world.publishes(pets).await;
    let (one, two) = (world.subscribed(&pets).await, world.subscribed(&pets).await);

    for path_token in [("/pets/1.0", one.as_str()), ("/pets/1.0", &two), ("/pets/1.0/open", "")] {
        assert_eq!(world.calls(path_token.0, path_token.1).await.status, 200);
    }
    for path_token in [("/pets/1.0", one.as_str()), ("/pets/1.0", &two), ("/pets/1.0/open", "")] {
        let refused = world.calls(path_token.0, path_token.1).await;
        assert_eq!(refused.refusal(), (503, "900801".to_owned()));
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.header("x-ratelimit-limit"), "");
    }
    world.app.clock.advance(1);
    assert_eq!(world.calls("/pets/1.0", &one).await.status, 200);
    assert_eq!(backend.hits(), 4);
}

#[tokio::test]
async fn a_refused_call_eats_neither_the_apis_budget_nor_the_applications() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, limit(5, 60, None), limit(1, 60, None)).await;
    let mut pets = limited.pets.clone();
    pets.definition.max_tps = Some(2);
    limited.world.changes(move |connection| apis::update(connection, &pets, 1)).await;

    assert_eq!(limited.calls().await.status, 200);
    for _ in 0..20 {
        assert_eq!(limited.calls().await.code(), "900804");
    }
    // A call without a token, or to nowhere, costs nothing either.
    assert_eq!(limited.world.calls("/pets/1.0", "").await.status, 401);
    let stranger = limited.world.subscribed(&limited.pets).await;
    assert_eq!(limited.world.calls("/pets/1.0", &stranger).await.status, 200);
    assert_eq!(limited.world.calls("/pets/1.0", &stranger).await.code(), "900801");

    limited.changes_tier("Sub", None).await;
    limited.world.app.clock.advance(2);
    let answer = limited.calls().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-ratelimit-remaining")), (200, "3"));
}

#[tokio::test]
async fn a_change_of_the_table_refills_no_bucket_and_a_changed_tier_counts_at_once() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, limit(1, 3_600, None), None).await;
    assert_eq!(limited.calls().await.status, 200);

    limited.world.publishes(api("dogs", &backend.url)).await;
    assert_eq!(limited.calls().await.status, 429);
    limited.joins("Unlimited").await;
    assert_eq!(limited.calls().await.status, 200);
    limited.joins("App").await;
    assert_eq!(limited.calls().await.status, 429);

    limited.changes_tier("App", limit(60, 60, None)).await;
    assert_eq!(limited.calls().await.header("retry-after"), "1");
    limited.world.app.clock.advance(1);
    assert_eq!(limited.passed_of(5, "900803").await, 1);
}

#[tokio::test]
async fn without_a_limit_nothing_is_said_of_limits() {
    let backend = Backend::echo().await;
    let limited = Limited::by(&backend, None, None).await;
    let answer = limited.world.sends(limited.world.request(Method::GET, "/pets/1.0", &limited.token)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
}
