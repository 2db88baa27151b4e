//! What publishers have changed of requests and answers.

use api_manager::domain::api::transform::{Edits, Transforms};
use api_manager::domain::api::{Api, OperationAuth};
use http::{Method, Response};

use super::backend::{Backend, full};
use super::{Answer, World, api, grant, operation};

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn edits(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> Edits {
    Edits { set: pairs(set), add: pairs(add), remove: remove.iter().map(|name| (*name).to_owned()).collect() }
}

async fn published(api: Api) -> (World, String) {
    let world = World::start().await;
    let api = world.publishes(api).await;
    let token = world.subscribed(&api).await;
    (world, token)
}

fn heard<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.text.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

fn line(answer: &Answer) -> &str {
    answer.text.lines().next().unwrap()
}

#[tokio::test]
async fn the_backend_sees_the_headers_that_the_publisher_sets_adds_and_removes() {
    let backend = Backend::echo().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.transforms.request_headers =
        edits(&[("x-tenant", "7"), ("x-who", "api")], &[("accept-language", "de")], &["X-Debug", "cookie"]);
    let mut cats = operation("GET", "/cats");
    cats.transforms.request_headers = edits(&[("x-who", "operation")], &[], &["accept-language"]);
    pets.definition.operations.insert(0, cats);
    let (world, token) = published(pets).await;

    let call = async |path: &str| {
        let mut request = world.request(Method::GET, path, &token);
        for (name, value) in [
            ("x-tenant", "forged"),
            ("x-debug", "1"),
            ("cookie", "a=1"),
            ("accept-language", "en"),
            // Nobody can strike out what the publisher sets.
            ("connection", "x-tenant, x-who"),
            ("x_tenant", "forged"),
        ] {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        world.sends(request).await
    };

    let dogs = call("/pets/1.0/dogs").await;
    assert_eq!(heard(&dogs, "x-tenant"), ["7"]);
    assert_eq!(heard(&dogs, "x-who"), ["api"]);
    assert_eq!(heard(&dogs, "accept-language"), ["en", "de"]);
    for gone in ["x-debug", "cookie", "x_tenant"] {
        assert!(heard(&dogs, gone).is_empty(), "{gone}");
    }
    let cats = call("/pets/1.0/cats").await;
    assert_eq!(heard(&cats, "x-tenant"), ["7"]);
    assert_eq!(heard(&cats, "x-who"), ["operation"]);
    assert!(heard(&cats, "accept-language").is_empty());
}

#[tokio::test]
async fn the_query_keeps_its_bytes_where_nothing_is_named() {
    let backend = Backend::echo().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.transforms.query = edits(&[("tenant", "a b&c")], &[("lang", "de")], &["debug"]);
    let (world, token) = published(pets).await;

    for (sent, seen) in [
        ("", "?tenant=a%20b%26c&lang=de"),
        ("?tenant=1&q=%zz+;x&&tenant=2", "?q=%zz+;x&&tenant=a%20b%26c&lang=de"),
        ("?%64ebug=1&lang=en&a=%2f", "?lang=en&a=%2f&tenant=a%20b%26c&lang=de"),
        ("?a=1;debug", "?a=1&tenant=a%20b%26c&lang=de"),
    ] {
        let answer = world.calls(&format!("/pets/1.0/cats{sent}"), &token).await;
        assert_eq!(line(&answer), format!("GET /cats{seen}"), "{sent}");
    }
}

#[tokio::test]
async fn the_client_sees_the_answers_headers_as_the_publisher_wants_them() {
    let backend = Backend::serving(|_| async {
        let answer = Response::builder().header("server", "them/1.2").header("x-kept", "1");
        answer.header("cache-control", "public").body(full("hi")).unwrap()
    })
    .await;
    let mut pets = api("pets", &backend.url);
    pets.definition.transforms.response_headers =
        edits(&[("cache-control", "no-store")], &[("x-kept", "2")], &["server"]);
    let (world, token) = published(pets).await;

    let answer = world.calls("/pets/1.0/cats", &token).await;

    let kept: Vec<_> = answer.headers.get_all("x-kept").iter().collect();
    assert_eq!(kept, ["1", "2"]);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((answer.header("server"), answer.text.as_str()), ("", "hi"));
    assert_eq!(answer.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn a_rewritten_path_holds_the_segments_as_they_were_sent() {
    let backend = Backend::echo().await;
    let mut pets = api("pets", &format!("{}/base/", backend.url));
    let rewritten = |path: &str, rewrite: &str| {
        let mut operation = operation("GET", path);
        operation.rewrite = Some(rewrite.to_owned());
        operation
    };
    pets.definition.operations = vec![
        rewritten("/cats/{id}/toys/{toy}", "/v2/toys/{toy}/of/{id}"),
        rewritten("/files/*", "/archive/*"),
    ];
    let (world, token) = published(pets).await;

    for (sent, seen) in [
        ("/cats/7/toys/ball?a=/..//", "/base/v2/toys/ball/of/7?a=/..//"),
        ("/cats/%61%20b/toys/%C3%A9;x=%2e", "/base/v2/toys/%C3%A9;x=./of/a%20b"),
        ("/files/a/b%2C/", "/base/archive/a/b%2C/"),
        ("/files", "/base/archive"),
    ] {
        let answer = world.calls(&format!("/pets/1.0{sent}"), &token).await;
        assert_eq!(line(&answer), format!("GET {seen}"), "{sent}");
        assert_eq!(heard(&answer, "x-forwarded-prefix"), ["/pets/1.0"]);
    }
    for climbing in ["/files/../../admin", "/files/%2e%2e/admin", "/cats/..;x/toys/a", "/files/a%2f..%2fb"] {
        let head = format!("GET /pets/1.0{climbing} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}");
        let answer = world.talks(&format!("{head}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{climbing}");
    }
}

#[tokio::test]
async fn the_caller_is_named_in_the_header_that_the_api_chose_and_nowhere_else() {
    let backend = Backend::echo().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.backend_jwt = true;
    pets.definition.backend_jwt_header = Some("x-caller".to_owned());
    pets.definition.operations.insert(0, operation("GET", "/open"));
    pets.definition.operations[0].auth = OperationAuth::None;
    let world = World::start().await;
    let pets = world.publishes(pets).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let token = world.issues(grant(application)).await;

    let call = async |path: &str, token: &str| {
        let mut request = world.request(Method::GET, path, token);
        for name in ["x-jwt-assertion", "x-caller"] {
            request.headers_mut().insert(name, "forged".parse().unwrap());
        }
        world.sends(request).await
    };

    let cats = call("/pets/1.0/cats", &token).await;
    assert_eq!(heard(&cats, "x-caller").len(), 1);
    assert_eq!(heard(&cats, "x-caller")[0].split('.').count(), 3);
    assert!(heard(&cats, "x-jwt-assertion").is_empty());
    let open = call("/pets/1.0/open", "").await;
    assert!(heard(&open, "x-caller").is_empty() && heard(&open, "x-jwt-assertion").is_empty());
}

#[tokio::test]
async fn an_api_without_transforms_changes_nothing() {
    assert!(Transforms::default().is_empty());
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let answer = world.calls("/pets/1.0/cats?", &token).await;
    assert_eq!(line(&answer), "GET /cats?");
}
