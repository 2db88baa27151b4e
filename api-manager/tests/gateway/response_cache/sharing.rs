//! Who may have which kept answer, and what cannot be foisted on others.

use api_manager::domain::api::{Cors, OperationAuth};
use api_manager::domain::application::KeyType;
use http::Method;
use tokio::io::AsyncWriteExt;

use super::super::wire::hears;
use super::super::{grant, grant_for_alice, operation};
use super::*;

#[tokio::test]
async fn nobody_hears_anothers_answer() {
    let backend = counting(&[("cache-control", "public, max-age=60")]).await;
    let mut pets = keeping(&backend);
    pets.definition.backends.sandbox = pets.definition.backends.production.clone();
    let world = World::start().await;
    let pets = world.publishes(pets).await;
    let (one, two) = (world.trusts("https://one.example").await, world.trusts("https://two.example").await);
    let (application, other) = (world.application().await, world.application().await);
    for application in [application, other] {
        world.subscribes(application, &pets).await;
    }
    let mut bob = grant_for_alice(application, &one);
    "bob".clone_into(&mut bob.subject);
    let mut sandbox = grant_for_alice(application, &one);
    sandbox.key_type = KeyType::Sandbox;
    let callers = [
        grant_for_alice(application, &one),
        bob,
        grant_for_alice(application, &two),
        grant_for_alice(other, &one),
        grant(application),
        sandbox,
    ];

    let mut heard = std::collections::HashSet::new();
    for caller in callers {
        let (token, same) = (world.issues(caller.clone()).await, {
            let again = api_manager::domain::ids::GrantId::generate();
            world.issues(api_manager::domain::grant::Grant { id: again, ..caller }).await
        });
        let answer = world.calls(CATS, &token).await;
        assert!(heard.insert(answer.text.clone()), "{answer:?}");
        // Another token of the same caller will do.
        assert_eq!(world.calls(CATS, &same).await.text, answer.text);
    }
    assert_eq!(backend.hits(), 6);
}

#[tokio::test]
async fn a_kept_answer_is_for_those_who_may_call() {
    let backend = counting(&[("cache-control", "public, max-age=60")]).await;
    let (world, pets, token) = world(&backend).await;
    world.calls(CATS, &token).await;

    assert_eq!(world.calls(CATS, "").await.refusal(), (401, "900902".to_owned()));
    assert_eq!(world.calls(CATS, "junk").await.status, 401);
    let stranger = world.application().await;
    let stranger = world.issues(grant(stranger)).await;
    assert_eq!(world.calls(CATS, &stranger).await.refusal(), (403, "900908".to_owned()));
    world.app.clock.advance(600);
    assert_eq!(world.calls(CATS, &token).await.status, 401);
    drop(pets);
}

#[tokio::test]
async fn a_kept_answer_counts_against_the_limits() {
    let backend = counting(&[("cache-control", "public, max-age=60")]).await;
    let mut pets = keeping(&backend);
    pets.definition.max_tps = Some(2);
    let world = World::start().await;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    let statuses = [
        world.calls(CATS, &token).await.status.as_u16(),
        world.calls(CATS, &token).await.status.as_u16(),
        world.calls(CATS, &token).await.status.as_u16(),
    ];
    assert_eq!((statuses, backend.hits()), ([200, 200, 503], 1));
}

#[tokio::test]
async fn answers_that_vary_are_told_apart() {
    let backend = answering(|request| {
        let language = request.headers().get("accept-language").cloned();
        let response = Response::builder().header("vary", "Accept-Language, Accept-Encoding");
        response.header("content-language", language.unwrap_or("en".parse().unwrap()))
    })
    .await;
    let (world, _, token) = world(&backend).await;

    for (language, text) in [("de", "answer 1"), ("fr", "answer 2"), ("de", "answer 1"), ("fr", "answer 2")] {
        let answer = calls(&world, Method::GET, CATS, &token, &[("accept-language", language)]).await;
        assert_eq!((answer.text.as_str(), answer.header("content-language")), (text, language));
    }
    let answer = world.calls(CATS, &token).await;
    assert_eq!(answer.header("cache-status"), "countersign; fwd=vary-miss; stored");
}

#[tokio::test]
async fn the_target_is_what_is_sent() {
    let backend = counting(&[]).await;
    let (world, _, token) = world(&backend).await;

    for (path, text) in [
        ("/pets/1.0/cats", "answer 1"),
        ("/pets/1.0/%63ats", "answer 1"),
        ("/pets/1.0/cats?", "answer 2"),
        ("/pets/1.0/cats?a=1", "answer 3"),
        ("/pets/1.0/cats?a=%31", "answer 4"),
        ("/pets/1.0/cats/", "answer 5"),
        ("/pets/1.0/Cats", "answer 6"),
        ("/pets/1.0/cats?a=1", "answer 3"),
    ] {
        assert_eq!(world.calls(path, &token).await.text, text, "{path}");
    }
}

/// An API with an open operation, whose backend says what it takes its own address for.
async fn open() -> (World, Backend) {
    let backend = answering(|request| {
        let header = |name: &str| {
            request.headers().get(name).map_or(String::new(), |v| v.to_str().unwrap().to_owned())
        };
        let response = Response::builder().header("x-link", header("x-forwarded-host"));
        let response = response.header("x-language", header("accept-language"));
        response.header("vary", "accept-language").header("x-method", header("x-http-method-override"))
    })
    .await;
    let mut pets = keeping(&backend);
    pets.definition.operations[0].auth = OperationAuth::None;
    let world = World::start().await;
    world.publishes(pets).await;
    (world, backend)
}

#[tokio::test]
async fn an_open_answer_is_everybodys() {
    let (world, backend) = open().await;
    for token in ["", "junk", ""] {
        assert_eq!(world.calls(CATS, token).await.text, "answer 1");
    }
    assert_eq!(backend.hits(), 1);
}

#[tokio::test]
async fn no_answer_can_be_foisted_on_others() {
    let (world, _) = open().await;
    let host = world.gateway.http_address.unwrap().to_string();
    let poison = async |lines: &str| {
        let mut stream = world.connects().await;
        stream.write_all(format!("GET {CATS} HTTP/1.1\r\n{lines}\r\n\r\n").as_bytes()).await.unwrap();
        hears(&mut stream).await
    };

    poison("Host: evil.example").await;
    poison(&format!("Host: {host}\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example")).await;
    poison(&format!("Host: {host}\r\nX-HTTP-Method-Override: DELETE")).await;
    // The backend does not see the language that is struck out here, and would not say so.
    poison(&format!("Host: {host}\r\nAccept-Language: de\r\nConnection: accept-language")).await;
    poison(&format!("Host: {host}\r\nOrigin: https://evil.example")).await;

    let answer = world.calls(CATS, "").await;
    assert_eq!((answer.header("x-link"), answer.header("x-method")), (host.as_str(), ""));
    let german = calls(&world, Method::GET, CATS, "", &[("accept-language", "de")]).await;
    assert_eq!(german.header("x-language"), "de");
    let secure = poison("Host: other.example").await;
    assert!(secure.contains("x-link: other.example\r\n"), "{secure}");
}

#[tokio::test]
async fn credentials_that_the_backend_sees_need_its_word() {
    for (control, kept) in [("max-age=60", false), ("public, max-age=60", true)] {
        let backend = answering(move |_| Response::builder().header("cache-control", control)).await;
        let mut pets = keeping(&backend);
        pets.definition.forward_authorization = true;
        let world = World::start().await;
        let pets = world.publishes(pets).await;
        let token = world.subscribed(&pets).await;
        for _ in 0..2 {
            world.calls(CATS, &token).await;
        }
        assert_eq!(backend.hits() == 1, kept, "{control}");
    }
}

#[tokio::test]
async fn a_kept_answer_says_to_each_origin_what_it_may_do() {
    let backend = counting(&[("access-control-allow-origin", "*")]).await;
    let mut pets = keeping(&backend);
    pets.definition.cors = Some(Cors {
        allow_origins: vec!["https://shop.example".to_owned()],
        allow_headers: Vec::new(),
        allow_credentials: false,
    });
    pets.definition.operations.insert(0, operation("POST", "/cats"));
    let world = World::start().await;
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    for (origin, allowed) in [("https://shop.example", "https://shop.example"), ("https://evil.example", "")]
    {
        for _ in 0..2 {
            let answer = calls(&world, Method::GET, CATS, &token, &[("origin", origin)]).await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
        }
    }
    assert_eq!(backend.hits(), 2);
}

#[tokio::test]
async fn a_get_with_a_body_goes_past_what_is_kept() {
    let (world, backend) = open().await;
    let mut request = world.request(Method::GET, CATS, "");
    *request.body_mut() = http_body_util::Full::new(bytes::Bytes::from_static(b"poison"));

    let answer = world.sends(request).await;

    assert_eq!(answer.header("cache-status"), "countersign; fwd=bypass");
    assert_eq!(world.calls(CATS, "").await.text, "answer 2");
    assert_eq!(backend.hits(), 2);
}
