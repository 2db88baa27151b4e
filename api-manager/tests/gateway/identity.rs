//! Who calls, told to the backend in a JWT that it can verify.

use std::sync::Arc;

use api_manager::backend_key::BackendKey;
use api_manager::bootstrap::MIGRATIONS;
use api_manager::domain::api::{Api, OperationAuth};
use api_manager::storage::{apis, applications};
use http::Method;
use serde_json::Value;
use shared_claims::jose::Compact;
use shared_claims::signature::Algorithm;
use shared_server::database::Database;

use super::backend::Backend;
use super::{Answer, NOW, World, api, grant, grant_for_alice, operation};

/// A world with an API that tells its backend who calls.
async fn world(backend: &Backend) -> (World, Api) {
    let world = World::start().await;
    let mut pets = api("pets", &backend.url);
    pets.definition.backend_jwt = true;
    let pets = world.publishes(pets).await;
    (world, pets)
}

/// What the backend got in the header.
fn heard(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut lines = answer.text.lines().filter_map(|line| line.strip_prefix("x-jwt-assertion: "));
    lines.next().inspect(|_| assert_eq!(lines.next(), None))
}

/// The claims, verified with the published key.
fn verified(world: &World, jwt: &str) -> Value {
    let compact = Compact::parse(jwt).unwrap();
    let jwks = world.app.backend_key.jwks();
    let jwk = jwks.keys.iter().find(|jwk| jwk.kid.as_deref() == compact.header.kid.as_deref()).unwrap();
    jwk.public_key().unwrap().verify(&compact, Algorithm::ES256).unwrap();
    Value::Object(compact.unverified_claims.clone())
}

#[tokio::test]
async fn the_backend_can_verify_who_calls_and_where_the_grant_came_from() {
    let backend = Backend::echo().await;
    let (world, pets) = world(&backend).await;
    let provider = world.trusts("https://idp.example").await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let bought = grant_for_alice(application, &provider);
    let token = world.issues(bought.clone()).await;

    let mut request = world.request(Method::GET, "/pets/1.0/cats", &token);
    request.headers_mut().insert("x-jwt-assertion", "forged".parse().unwrap());
    let answer = world.sends(request).await;
    let claims = verified(&world, heard(&answer).unwrap());

    for (name, value) in [
        ("iss", world.app.settings.issuer.as_str()),
        ("sub", "alice"),
        ("aud", &pets.id.to_string()),
        ("countersign_grant", &bought.id.to_string()),
        ("countersign_family", &bought.lineage.family.to_string()),
        ("countersign_issuer", "https://idp.example"),
        ("http://wso2.org/claims/subscriber", "dev"),
        ("http://wso2.org/claims/applicationid", &application.to_string()),
        ("http://wso2.org/claims/applicationname", &application.to_string()),
        ("http://wso2.org/claims/applicationtier", "Unlimited"),
        ("http://wso2.org/claims/apiname", "pets"),
        ("http://wso2.org/claims/apicontext", "/pets/1.0"),
        ("http://wso2.org/claims/version", "1.0"),
        ("http://wso2.org/claims/tier", "Gold"),
        ("http://wso2.org/claims/keytype", "PRODUCTION"),
        ("http://wso2.org/claims/usertype", "APPLICATION_USER"),
        ("http://wso2.org/claims/enduser", "alice"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(NOW.0), Some(NOW.0 + 600)));
    assert!(claims["jti"].is_string());
}

#[tokio::test]
async fn it_is_signed_once_until_it_is_nearly_over_or_something_it_says_changes() {
    let backend = Backend::echo().await;
    let (world, pets) = world(&backend).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let mut long = grant(application);
    long.expires_at = NOW.plus(7_200);
    let token = world.issues(long).await;
    let call = async || heard(&world.calls("/pets/1.0/cats", &token).await).unwrap().to_owned();

    let first = call().await;
    let claims = verified(&world, &first);
    assert_eq!(claims["exp"], NOW.0 + 900);
    assert_eq!(claims["http://wso2.org/claims/usertype"], "APPLICATION");
    assert_eq!(claims.get("http://wso2.org/claims/enduser"), None);
    world.app.clock.advance(839);
    assert_eq!(call().await, first);
    world.app.clock.advance(1);
    let second = call().await;
    assert_ne!(second, first);

    world
        .changes(move |connection| {
            let mut row = applications::find(connection, application)?.unwrap();
            row.name = "a\r\nx-admin: yes \u{1F408}".to_owned();
            applications::update(connection, &row, 1)
        })
        .await;
    let answer = world.calls("/pets/1.0/cats", &token).await;
    let claims = verified(&world, heard(&answer).unwrap());
    assert_eq!(claims["http://wso2.org/claims/applicationname"], "a\r\nx-admin: yes \u{1F408}");
    assert!(!answer.text.contains("x-admin"));
}

#[tokio::test]
async fn nobody_else_can_say_who_calls() {
    let backend = Backend::echo().await;
    let (world, mut pets) = world(&backend).await;
    pets.definition.operations.insert(0, operation("GET", "/open"));
    pets.definition.operations[0].auth = OperationAuth::None;
    let row = pets.clone();
    world.changes(move |connection| apis::update(connection, &row, 1)).await;
    let mut quiet = api("quiet", &backend.url);
    quiet.definition.backend_jwt = false;
    let quiet = world.publishes(quiet).await;
    let token = world.subscribed(&quiet).await;

    for (path, token) in [("/pets/1.0/open", ""), ("/quiet/1.0", token.as_str())] {
        let mut request = world.request(Method::GET, path, token);
        request.headers_mut().insert("x-jwt-assertion", "forged".parse().unwrap());
        assert_eq!(heard(&world.sends(request).await), None, "{path}");
    }
}

#[tokio::test]
async fn nodes_that_start_together_sign_with_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let settings = api_manager::settings::Settings::for_tests(dir.path());
    let database = Database::open_and_migrate(&settings.database_url, 4, MIGRATIONS).await.unwrap();
    let master = shared_server::sealing::MasterKey::load_or_create(dir.path(), None).unwrap();
    let (database, master) = (Arc::new(database), Arc::new(master));

    let nodes = (0..8).map(|_| {
        let (database, master) = (Arc::clone(&database), Arc::clone(&master));
        tokio::spawn(async move { BackendKey::load_or_create(&database, &master, NOW).await.unwrap().jwks() })
    });
    let mut kids = std::collections::HashSet::new();
    for node in nodes.collect::<Vec<_>>() {
        let keys = node.await.unwrap().keys;
        assert_eq!((keys.len(), keys[0].alg.as_deref()), (1, Some("ES256")));
        kids.insert(keys[0].kid.clone());
    }
    assert_eq!(kids.len(), 1);
    let other = tempfile::tempdir().unwrap();
    let stranger = shared_server::sealing::MasterKey::load_or_create(other.path(), None).unwrap();
    assert!(BackendKey::load_or_create(&database, &stranger, NOW).await.is_err());
}
