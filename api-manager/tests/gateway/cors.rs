//! Pages of other origins: preflights before authentication, and what every answer says of its origin.

use api_manager::domain::api::{Api, Cors};
use http::{Method, Request};
use http_body_util::Full;

use super::backend::{Backend, full};
use super::{Answer, World, api, operation};

const SHOP: &str = "https://shop.example";

fn cors(origins: &[&str], allow_credentials: bool) -> Option<Cors> {
    let allow_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Some(Cors { allow_origins, allow_headers: vec!["X-Cart".to_owned()], allow_credentials })
}

fn pets(backend: &Backend, cors: Option<Cors>) -> Api {
    let mut pets = api("pets", &backend.url);
    pets.definition.operations =
        vec![operation("GET", "/cats"), operation("POST", "/cats"), operation("*", "/any")];
    pets.definition.cors = cors;
    pets
}

fn from_page(mut request: Request<Full<bytes::Bytes>>, origin: &str) -> Request<Full<bytes::Bytes>> {
    request.headers_mut().insert("origin", origin.parse().unwrap());
    request
}

async fn preflights(world: &World, path: &str, origin: &str) -> Answer {
    let mut request = from_page(world.request(Method::OPTIONS, path, ""), origin);
    request.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
    world.sends(request).await
}

#[tokio::test]
async fn a_preflight_is_answered_before_authentication_with_the_apis_own_verbs() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    world.publishes(pets(&backend, cors(&[SHOP], false))).await;

    let answer = preflights(&world, "/pets/1.0/cats", SHOP).await;

    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_eq!(answer.header("access-control-allow-origin"), SHOP);
    assert_eq!(answer.header("access-control-allow-methods"), "GET, POST");
    assert_eq!(answer.header("access-control-allow-headers"), "X-Cart");
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert_eq!(answer.header("vary"), "Origin");
    assert!(!answer.header("x-request-id").is_empty());
    let any = preflights(&world, "/pets/1.0/any", SHOP).await;
    assert_eq!(any.header("access-control-allow-methods"), "GET, POST, HEAD, PUT, PATCH, DELETE, OPTIONS");
    assert_eq!(preflights(&world, "/pets/1.0/dogs", SHOP).await.status, 404);
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn an_origin_that_is_not_named_hears_nothing_that_lets_it_in() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(pets(&backend, cors(&[SHOP], true))).await;
    let token = world.subscribed(&pets).await;

    for origin in
        ["null", "https://evil.example", "https://shop.example.evil", "http://shop.example", "*", ""]
    {
        let asked = preflights(&world, "/pets/1.0/cats", origin).await;
        let called =
            world.sends(from_page(world.request(Method::GET, "/pets/1.0/cats", &token), origin)).await;
        assert_eq!((asked.status.as_u16(), called.status.as_u16()), (204, 200), "{origin}");
        for answer in [asked, called] {
            assert!(
                answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")),
                "{answer:?}"
            );
            assert_eq!(answer.header("vary"), "Origin");
        }
    }
}

#[tokio::test]
async fn answers_and_refusals_can_be_read_by_the_named_origin() {
    let backend = Backend::serving(|_| async {
        let mut response = http::Response::new(full("meow"));
        response.headers_mut().insert("access-control-allow-origin", "*".parse().unwrap());
        response.headers_mut().insert("vary", "Accept-Encoding".parse().unwrap());
        response
    })
    .await;
    let world = World::start().await;
    let pets = world.publishes(pets(&backend, cors(&["http://localhost:3000", SHOP], true))).await;
    let token = world.subscribed(&pets).await;

    let called = world.sends(from_page(world.request(Method::GET, "/pets/1.0/cats", &token), SHOP)).await;
    let refused = world.sends(from_page(world.request(Method::GET, "/pets/1.0/cats", ""), SHOP)).await;
    let undeclared = world.sends(from_page(world.request(Method::PUT, "/pets/1.0/cats", &token), SHOP)).await;
    let bare = world.sends(from_page(world.request(Method::OPTIONS, "/pets/1.0/cats", &token), SHOP)).await;

    let statuses = [&called, &refused, &undeclared, &bare].map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [200, 401, 405, 405]);
    for answer in [&called, &refused, &undeclared, &bare] {
        let origins: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
        assert_eq!(origins, [SHOP], "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert!(answer.header("access-control-expose-headers").contains("X-Request-Id"));
    }
    let vary: Vec<_> = called.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept-Encoding", "Origin"]);
    // Without an origin there is nobody to allow, but a cache still has to tell the answers apart.
    let plain = world.calls("/pets/1.0/cats", &token).await;
    assert_eq!(
        (plain.header("access-control-allow-origin"), plain.headers.get_all("vary").iter().count()),
        ("", 2)
    );
}

#[tokio::test]
async fn every_origin_is_a_star_and_never_with_credentials() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let open = world.publishes(pets(&backend, cors(&["*"], false))).await;
    let mut unsafe_ = pets(&backend, cors(&["*"], true));
    "wild".clone_into(&mut unsafe_.context);
    world.publishes(unsafe_).await;
    let token = world.subscribed(&open).await;

    for origin in [SHOP, "null"] {
        let asked = preflights(&world, "/pets/1.0/cats", origin).await;
        let called =
            world.sends(from_page(world.request(Method::GET, "/pets/1.0/cats", &token), origin)).await;
        for answer in [asked, called] {
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
        }
        // Storage may hold what REST refuses; even then nobody is let in.
        let wild = preflights(&world, "/wild/1.0/cats", origin).await;
        assert_eq!(wild.header("access-control-allow-origin"), "");
        assert_eq!(wild.header("access-control-allow-methods"), "");
    }
}

#[tokio::test]
async fn without_rules_of_its_own_an_api_leaves_origins_to_its_backend() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    assert_eq!(preflights(&world, "/pets/1.0/cats", SHOP).await.status, 401);
    let mut request = from_page(world.request(Method::OPTIONS, "/pets/1.0/cats", &token), SHOP);
    request.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
    let answer = world.sends(request).await;
    assert!(answer.text.starts_with("OPTIONS /cats\n"), "{answer:?}");
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
}
