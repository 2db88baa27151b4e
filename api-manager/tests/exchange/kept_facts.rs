//! Exchanges on what earlier ones read: whatever another process changes meanwhile counts for the very next one.

use actix_web::http::Method;
use serde_json::{Value, json};
use shared_claims::oauth::JWT_BEARER;
use test_support::on_every_stage;

use super::idp::Idp;
use super::{Answer, Key, World};

/// Two exchanges: the first reads, the second finds what it read.
async fn warm(world: &World, idp: &Idp, key: &Key) {
    for _ in 0..2 {
        assert_eq!(world.exchange(key, &idp.sign_for("alice")).await.status, 200);
    }
    let kept = world.app.facts.client(&key.id).unwrap();
    assert_eq!(kept.client.key.consumer_key, key.id);
}

async fn asks_for_read(world: &World, idp: &Idp, key: &Key) -> Answer {
    let assertion = idp.sign_for("alice");
    world.token(key, &[("grant_type", JWT_BEARER), ("assertion", &assertion), ("scope", "read")]).await
}

on_every_stage! {
    async fn a_secret_that_another_process_replaced_is_refused_at_once(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        warm(&world, &idp, &key).await;

        let path = format!("/api/v1/applications/{}/keys/production/secret", key.application_id);
        let rotated = world.neighbour().await.manage(Method::POST, &path, json!({})).await;

        let old = world.exchange(&key, &idp.sign_for("alice")).await;
        assert_eq!(old.code(), (401, "invalid_client".to_owned()));
        let key = Key { secret: rotated.member("consumer_secret"), ..key };
        assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.status, 200);
    }

    async fn a_provider_that_another_process_disabled_is_refused_at_once_and_back_at_once(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let idp = Idp::new("https://idp.example", "client-1", &world.clock);
        let (id, key) = (world.trusts(&idp, json!({})).await, world.key().await);
        warm(&world, &idp, &key).await;
        let neighbour = world.neighbour().await;

        assert_eq!(neighbour.changes(&id, json!({ "enabled": false })).await.status, 200);
        let refused = world.exchange(&key, &idp.sign_for("alice")).await;
        assert_eq!(neighbour.changes(&id, json!({ "enabled": true })).await.status, 200);

        assert_eq!(refused.code(), (400, "invalid_grant".to_owned()));
        assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.status, 200);
    }

    async fn an_alias_that_another_process_changed_counts_at_once(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let idp = Idp::new("https://idp.example", "client-1", &world.clock);
        let (id, key) = (world.trusts(&idp, json!({})).await, world.key().await);
        warm(&world, &idp, &key).await;

        let changed = world.neighbour().await.changes(&id, json!({ "alias": "client-2" })).await;
        assert_eq!(changed.status, 200, "{}", changed.text);

        assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.code(), (400, "invalid_grant".to_owned()));
        let mut idp = idp;
        idp.alias = "client-2".to_owned();
        assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.status, 200);
    }

    async fn a_subscription_that_another_process_ended_grants_no_scopes_any_more(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        warm(&world, &idp, &key).await;
        assert_eq!(asks_for_read(&world, &idp, &key).await.member("scope"), "read");
        let neighbour = world.neighbour().await;

        let list = neighbour.manage(Method::GET, "/api/v1/subscriptions", Value::Null).await.json();
        let path = format!("/api/v1/subscriptions/{}", list["items"][0]["id"].as_str().unwrap());
        assert_eq!(neighbour.manage(Method::DELETE, &path, Value::Null).await.status, 204);

        assert_eq!(asks_for_read(&world, &idp, &key).await.code(), (400, "invalid_scope".to_owned()));
    }

    async fn a_lifetime_that_another_process_changed_counts_at_once(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        warm(&world, &idp, &key).await;
        let neighbour = world.neighbour().await;

        let path = format!("/api/v1/applications/{}", key.application_id);
        let mut body = neighbour.manage(Method::GET, &path, Value::Null).await.json();
        body["access_token_lifetime"] = json!(60);
        assert_eq!(neighbour.manage(Method::PUT, &path, body).await.status, 200);

        assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.member("expires_in"), "60");
    }

    async fn what_is_kept_spends_no_assertion_twice(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        warm(&world, &idp, &key).await;
        let assertion = idp.sign_for("alice");

        assert_eq!(world.neighbour().await.exchange(&key, &assertion).await.status, 200);

        let replayed = (400, "invalid_grant".to_owned(), "JWT Token has been replayed.".to_owned());
        assert_eq!(world.exchange(&key, &assertion).await.refusal(), replayed);
    }

    async fn a_key_that_another_process_deleted_buys_nothing(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        warm(&world, &idp, &key).await;

        let path = format!("/api/v1/applications/{}", key.application_id);
        assert_eq!(world.neighbour().await.manage(Method::DELETE, &path, Value::Null).await.status, 204);

        assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.code(), (401, "invalid_client".to_owned()));
    }
}
