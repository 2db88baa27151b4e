//! What is called is counted, exactly, and shown to those whom it concerns.

use std::sync::Arc;
use std::time::Duration;

use api_manager::domain::actor::Actor;
use api_manager::domain::usage::{Group, Grouping, Period, Query, Totals};
use api_manager::flows::browse_usage::browse_usage;
use api_manager::gateway::Limits;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use shared_claims::scope::ScopeSet;
use tokio::time::sleep;

use super::backend::{Backend, full};
use super::websocket::{frame, parrot, says};
use super::{NOW, World, api, grant, operation};

const BY_OPERATION: Grouping = Grouping { api: true, application: true, operation: true, status: true };

fn person(name: &str) -> Actor {
    Actor { name: name.to_owned(), scopes: ScopeSet::parse("apim:api_view apim:subscribe").ok() }
}

fn administrator() -> Actor {
    Actor { name: "admin".to_owned(), scopes: None }
}

fn query(period: Period, grouping: Grouping) -> Query {
    Query {
        period,
        from: period.start_of(NOW),
        to: NOW.plus(3_600),
        grouping,
        api: None,
        application: None,
        owner: None,
        skip: 0,
        rows: 1_000,
    }
}

impl World {
    /// What is counted under the status, once something is.
    pub(super) async fn counted_as(&self, status: i64) -> Totals {
        let by_status = Grouping { status: true, ..Grouping::default() };
        loop {
            let found = self.used(&administrator(), query(Period::Day, by_status)).await;
            if let Some(group) = found.iter().find(|group| group.status == status) {
                return group.totals;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn used(&self, actor: &Actor, query: Query) -> Vec<Group> {
        self.gateway.flush_usage().await;
        browse_usage(&self.app, actor, query).await.unwrap()
    }
}

fn calls(groups: &[Group]) -> Vec<i64> {
    groups.iter().map(|group| group.totals.calls).collect()
}

#[tokio::test]
async fn calls_are_counted_by_api_application_operation_status_and_minute() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.operations = vec![operation("GET", "/cats/{id}"), operation("POST", "/cats")];
    let pets = world.publishes(pets).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let token = world.issues(grant(application)).await;
    for n in 0..3 {
        world.calls(&format!("/pets/1.0/cats/{n}?x=1"), &token).await;
    }
    let post = world.request(Method::POST, "/pets/1.0/cats", &token);
    let answer = world.sends(post.map(|_| Full::from(Bytes::from(vec![b'x'; 1_000])))).await;
    world.calls("/pets/1.0/dogs", &token).await;
    world.calls("/pets/1.0/cats/1", "").await;
    world.calls("/nowhere", "").await;
    world.app.clock.advance(60);
    world.calls("/pets/1.0/cats/1", &token).await;

    let found = world.used(&administrator(), query(Period::Minute, BY_OPERATION)).await;

    let line = |group: &Group| {
        let minute = group.starts_at.since(NOW) / 60;
        (minute, !group.api.is_empty(), !group.application.is_empty(), group.operation.clone(), group.status)
    };
    let mut lines: Vec<_> = found.iter().map(|group| (line(group), group.totals.calls)).collect();
    lines.sort();
    let get = "GET /cats/{id}".to_owned();
    assert_eq!(
        lines,
        [
            ((0, false, false, String::new(), 404), 1),
            ((0, true, false, get.clone(), 401), 1),
            ((0, true, true, String::new(), 404), 1),
            ((0, true, true, get.clone(), 200), 3),
            ((0, true, true, "POST /cats".to_owned(), 200), 1),
            ((1, true, true, get, 200), 1),
        ]
    );
    let posted = found.iter().find(|group| group.operation == "POST /cats").unwrap().totals;
    let length = i64::try_from(answer.text.len()).unwrap();
    assert_eq!((posted.bytes_in, posted.bytes_out, posted.errors), (1_000, length, 0));
    assert!(posted.backend_us > 0 && posted.gateway_us > 0, "{posted:?}");

    let days = world.used(&administrator(), query(Period::Day, Grouping::default())).await;
    assert_eq!((calls(&days), days[0].totals.errors), (vec![8], 3));
    let one_api = Query { api: Some(pets.id), ..query(Period::Day, Grouping::default()) };
    assert_eq!(calls(&world.used(&administrator(), one_api).await), [7]);
}

#[tokio::test]
async fn backend_time_and_gateway_time_are_told_apart_also_in_a_header_on_request() {
    let backend = Backend::serving(|_| async {
        sleep(Duration::from_millis(120)).await;
        Response::new(full("slow"))
    })
    .await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut request = world.request(Method::GET, "/pets/1.0/", &token);
    request.headers_mut().insert("x-server-timing", "1".parse().unwrap());

    let answer = world.sends(request).await;
    let plain = world.calls("/pets/1.0/", &token).await;

    let timing = answer.header("server-timing");
    let (own, backend) = timing.split_once(", ").unwrap();
    let number = |text: &str, name: &str| -> f64 { text.strip_prefix(name).unwrap().parse().unwrap() };
    assert!(number(backend, "backend;dur=") >= 120.0, "{timing}");
    assert!(number(own, "gateway;dur=") < 120.0, "{timing}");
    assert_eq!(plain.header("server-timing"), "");
    let found = world.used(&administrator(), query(Period::Day, Grouping::default())).await;
    let Totals { backend_us, gateway_us, .. } = found[0].totals;
    assert!(backend_us >= 240_000 && gateway_us < backend_us, "{found:?}");
    let metrics = world.app.metrics.render();
    for name in ["gateway_backend_seconds_count", "gateway_own_seconds_count"] {
        assert!(metrics.contains(&format!("{name}{{api=\"pets/1.0\"}} 2")), "{metrics}");
    }

    let mut request = world.request(Method::GET, "/pets/1.0/", "");
    request.headers_mut().insert("x-server-timing", "1".parse().unwrap());
    let refused = world.sends(request).await;
    assert!(refused.header("server-timing").starts_with("gateway;dur="), "{refused:?}");
    assert!(!refused.header("server-timing").contains("backend"), "{refused:?}");
}

#[tokio::test]
async fn everybody_sees_the_usage_of_their_own_apis_and_applications() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let mut theirs = api("theirs", &backend.url);
    "other".clone_into(&mut theirs.owner);
    let theirs = world.publishes(theirs).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let token = world.issues(grant(application)).await;
    world.calls("/pets/1.0/", &token).await;
    world.calls("/theirs/1.0/", "").await;

    let by_api = Grouping { api: true, ..Grouping::default() };
    let seen = async |actor: Actor| {
        let found = world.used(&actor, query(Period::Day, by_api)).await;
        let mut apis: Vec<String> = found.into_iter().map(|group| group.api).collect();
        apis.sort();
        apis
    };

    let (pets, theirs) = (pets.id.to_string(), theirs.id.to_string());
    assert_eq!(seen(person("publisher")).await, [&*pets]);
    assert_eq!(seen(person("dev")).await, [&*pets]);
    assert_eq!(seen(person("other")).await, [&*theirs]);
    assert!(seen(person("mallory")).await.is_empty());
    let mut all = vec![pets, theirs];
    all.sort();
    assert_eq!(seen(administrator()).await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_one_of_many_parallel_calls_is_counted_once_over_several_writes() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let world = Arc::new(world);
    for _ in 0..4 {
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let (world, token) = (Arc::clone(&world), token.clone());
                tokio::spawn(async move { world.calls("/pets/1.0/", &token).await.status })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), StatusCode::OK);
        }
        world.gateway.flush_usage().await;
    }
    let found = world.used(&administrator(), query(Period::Day, Grouping::default())).await;
    assert_eq!(calls(&found), [400]);
    let minutes = world.used(&administrator(), query(Period::Minute, Grouping::default())).await;
    assert_eq!(calls(&minutes), [400]);
}

#[tokio::test]
async fn a_websockets_bytes_are_counted_when_it_ends() {
    let backend = parrot().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut socket = world.opens("/pets/1.0/", &token).await;
    let bytes = frame(0x82, &[7; 100]);
    says(&mut socket, &bytes).await;
    drop(socket);

    let totals = world.counted_as(101).await;

    assert_eq!(totals.calls, 1);
    let length = i64::try_from(bytes.len()).unwrap();
    assert!(totals.bytes_in >= length && totals.bytes_out >= length, "{totals:?}");
}

#[tokio::test]
async fn what_waits_to_be_written_is_written_when_the_gateway_stops() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    world.calls("/pets/1.0/", &token).await;
    let World { app, gateway, .. } = world;

    gateway.stop().await;

    let found = browse_usage(&app, &administrator(), query(Period::Day, Grouping::default())).await.unwrap();
    assert_eq!(calls(&found), [1]);
}

/// A backend that takes all of a request and never answers.
async fn silent() -> Backend {
    Backend::serving(|request| async {
        let _ = request.into_body().collect().await;
        std::future::pending().await
    })
    .await
}

impl World {
    /// Posts so many bytes by a client of its own, until that is given up.
    async fn posts_by_another(
        &self,
        token: &str,
        length: usize,
        backend: &Backend,
    ) -> tokio::task::JoinHandle<()> {
        let request = self.request(Method::POST, "/pets/1.0/", token);
        let request = request.map(|_| Full::from(Bytes::from(vec![b'x'; length])));
        let client = super::client(false);
        let call = tokio::spawn(async move {
            let _ = client.request(request).await;
        });
        while backend.hits() == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        call
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_before_its_answer_is_counted_as_499() {
    let backend = silent().await;
    let (world, pets, token) = World::with_pets(&backend.url).await;
    let call = world.posts_by_another(&token, 1_000, &backend).await;
    call.abort();

    let totals = world.counted_as(499).await;

    assert_eq!((totals.calls, totals.errors, totals.bytes_in), (1, 1, 1_000));
    assert!(totals.backend_us > totals.gateway_us, "{totals:?}");
    let found = world.used(&administrator(), query(Period::Day, BY_OPERATION)).await;
    assert_eq!((&*found[0].api, &*found[0].operation), (&*pets.id.to_string(), "* /*"));
    assert!(!found[0].application.is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_call_that_is_cut_when_the_gateway_stops_is_counted() {
    let backend = silent().await;
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let world = World::start_within(limits).await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;
    let call = world.posts_by_another(&token, 1_000, &backend).await;
    let World { app, gateway, .. } = world;

    gateway.stop().await;

    let found = browse_usage(&app, &administrator(), query(Period::Day, Grouping::default())).await.unwrap();
    assert_eq!((calls(&found), found[0].totals.bytes_in), (vec![1], 1_000));
    call.await.unwrap();
}

#[tokio::test]
async fn bytes_of_a_body_are_counted_whoever_answers() {
    let backend = silent().await;
    let (world, _, token) = World::with_pets_as(&backend.url, |pets| pets.timeouts.first_byte = 100).await;
    let post = world.request(Method::POST, "/pets/1.0/", &token);

    let answer = world.sends(post.map(|_| Full::from(Bytes::from(vec![b'x'; 1_000])))).await;

    assert_eq!(answer.status, 504);
    assert_eq!(world.counted_as(504).await.bytes_in, 1_000);
}
