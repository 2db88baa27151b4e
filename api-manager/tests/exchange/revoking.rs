//! Taking back: by the client, by lineage, and with the provider; on both databases.

use actix_web::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::idp::Idp;
use super::{Answer, Key, World};

async fn revoke(world: &World, key: &Key, token: &str) -> Answer {
    world.post("/oauth2/revoke", Some((&key.id, &key.secret)), &[("token", token)]).await
}

async fn revoked(world: &World, named: Value) -> i64 {
    let answer = world.manage(Method::POST, "/api/v1/revocations", named).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["revoked"].as_i64().unwrap()
}

on_every_stage! {
async fn a_client_revokes_its_own_tokens_and_nobody_elses(stage: test_support::Stage) {
    let world = World::on(stage).await;
    let (idp, key, other) = (world.trusted_idp().await, world.key().await, world.key().await);
    let pair = world.exchange(&key, &idp.sign_for("alice")).await;
    let token = pair.member("access_token");

    assert_eq!(revoke(&world, &other, &token).await.code(), (400, "unauthorized_client".to_owned()));
    assert!(world.is_active(&token).await);
    for _ in 0..2 {
        assert_eq!(revoke(&world, &key, &token).await.status, 200);
        assert!(!world.is_active(&token).await);
    }
    assert_eq!(world.refresh(&key, &pair.member("refresh_token")).await.status, 400);
    for unknown in ["junk", "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(revoke(&world, &key, unknown).await.status, 200);
    }
    let anonymous = world.post("/oauth2/revoke", None, &[("token", &token)]).await;
    assert_eq!(anonymous.code(), (401, "invalid_client".to_owned()));
    let missing = world.post("/oauth2/revoke", Some((&key.id, &key.secret)), &[]).await;
    assert_eq!(missing.code(), (400, "invalid_request".to_owned()));
}

async fn a_revoked_refresh_token_takes_its_line_along(stage: test_support::Stage) {
    let world = World::on(stage).await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let first = world.exchange(&key, &idp.sign_for("alice")).await;
    let second = world.refresh(&key, &first.member("refresh_token")).await;

    assert_eq!(revoke(&world, &key, &second.member("refresh_token")).await.status, 200);

    for pair in [first, second] {
        assert!(!world.is_active(&pair.member("access_token")).await);
    }
}

async fn an_administrator_revokes_by_lineage(stage: test_support::Stage) {
    let world = World::on(stage).await;
    let (idp, key, other) = (world.trusted_idp().await, world.key().await, world.key().await);
    let two = Idp::new("https://two.example", "client-1", &world.clock);
    let two_id = world.trusts(&two, json!({})).await;
    let buy = async |key: &Key, idp: &Idp, subject: &str, jti: &str| {
        world.exchange(key, &idp.sign(&idp.claims(subject).with("jti", jti))).await.member("access_token")
    };
    let (a, b) = (buy(&key, &idp, "alice", "1").await, buy(&key, &two, "alice", "2").await);
    let (c, d) = (buy(&key, &idp, "bob", "3").await, buy(&other, &two, "carol", "4").await);
    let e = buy(&key, &idp, "dora", "5").await;

    assert_eq!(revoked(&world, json!({ "subject": "alice", "issuer": "https://two.example" })).await, 1);
    assert!(world.is_active(&a).await && !world.is_active(&b).await);
    assert_eq!(revoked(&world, json!({ "subject": "alice" })).await, 1);
    assert_eq!(revoked(&world, json!({ "subject": "alice" })).await, 0);
    assert!(!world.is_active(&a).await);
    assert_eq!(revoked(&world, json!({ "assertion": { "issuer": "https://idp.example", "jti": "3" } })).await, 1);
    assert!(!world.is_active(&c).await);
    assert_eq!(revoked(&world, json!({ "identity_provider_id": two_id })).await, 1);
    assert!(!world.is_active(&d).await);
    assert_eq!(revoked(&world, json!({ "application_id": key.application_id })).await, 1);
    assert!(!world.is_active(&e).await);
    let f = buy(&key, &idp, "eve", "6").await;
    assert_eq!(revoked(&world, json!({ "token": f })).await, 1);
    assert_eq!(revoked(&world, json!({ "token": "junk" })).await, 0);
    assert!(!world.is_active(&f).await);
}

async fn a_disabled_provider_suspends_and_an_enabled_one_revives(stage: test_support::Stage) {
    let world = World::on(stage).await;
    let key = world.key().await;
    let idp = Idp::new("https://idp.example", "client-1", &world.clock);
    let id = world.trusts(&idp, json!({})).await;
    let pair = world.exchange(&key, &idp.sign_for("alice")).await;

    assert_eq!(world.changes(&id, json!({ "enabled": false })).await.status, 200);
    assert!(!world.is_active(&pair.member("access_token")).await);
    let refused = world.refresh(&key, &pair.member("refresh_token")).await;
    assert_eq!(refused.code(), (400, "invalid_grant".to_owned()));

    assert_eq!(world.changes(&id, json!({ "enabled": true })).await.status, 200);
    assert!(world.is_active(&pair.member("access_token")).await);
    assert_eq!(world.refresh(&key, &pair.member("refresh_token")).await.status, 200);
}

async fn a_deleted_provider_takes_its_grants_along_for_good(stage: test_support::Stage) {
    let world = World::on(stage).await;
    let key = world.key().await;
    let idp = Idp::new("https://idp.example", "client-1", &world.clock);
    let id = world.trusts(&idp, json!({})).await;
    let pair = world.exchange(&key, &idp.sign_for("alice")).await;
    world.announced.lock().unwrap().clear();

    let path = format!("/api/v1/identity-providers/{id}");
    assert_eq!(world.manage(Method::DELETE, &path, Value::Null).await.status, 204);
    world.trusts(&idp, json!({})).await;

    assert!(!world.is_active(&pair.member("access_token")).await);
    assert_eq!(world.refresh(&key, &pair.member("refresh_token")).await.status, 400);
    assert!(format!("{:?}", world.announced.lock().unwrap()).contains("IdentityProvider"));
    assert_eq!(world.manage(Method::GET, &path, Value::Null).await.status, 404);
}

async fn what_goes_while_it_buys_leaves_no_token_that_counts(stage: test_support::Stage) {
    let world = World::on(stage).await;
    for what in ["key", "application", "provider"] {
        let idp = Idp::new(&format!("https://{what}.example"), "client-1", &world.clock);
        let (id, key) = (world.trusts(&idp, json!({})).await, world.key().await);
        for _ in 0..2 {
            assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.status, 200);
        }
        let path = match what {
            "key" => format!("/api/v1/applications/{}/keys/production", key.application_id),
            "application" => format!("/api/v1/applications/{}", key.application_id),
            _ => format!("/api/v1/identity-providers/{id}"),
        };

        let assertions: Vec<String> = (0..40).map(|_| idp.sign_for("alice")).collect();
        let buying = join_all(assertions.iter().map(|assertion| world.exchange(&key, assertion)));
        let (answers, gone) = tokio::join!(buying, world.manage(Method::DELETE, &path, Value::Null));

        assert_eq!(gone.status, 204, "{what}: {}", gone.text);
        for answer in answers {
            match answer.status.as_u16() {
                200 => assert!(!world.is_active(&answer.member("access_token")).await, "{what}"),
                status => assert!(status == 400 || status == 401, "{what}: {}", answer.text),
            }
        }
    }
}}

#[tokio::test]
async fn a_revocation_names_exactly_one_set() {
    let world = World::new().await;
    for bad in [
        json!({}),
        json!({ "subject": "a", "family": "b" }),
        json!({ "application_id": "x" }),
        json!({ "issuer": "x" }),
        json!({ "assertion": { "issuer": "x" } }),
        json!({ "subject": "a\u{0}" }),
        json!({ "everything": true }),
    ] {
        let answer = world.manage(Method::POST, "/api/v1/revocations", bad.clone()).await;
        assert_eq!(answer.status, 422, "{bad}: {}", answer.text);
    }
}
