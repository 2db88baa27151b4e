//! Every field of applications, keys, subscriptions and tiers: empty, too long, of the wrong type.

use serde_json::{Value, json};

use super::{As, Manager, at, with};

fn long(length: usize) -> String {
    "x".repeat(length)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_an_application_is_named() {
    let manager = Manager::start().await;
    let good = json!({"name": "app", "tier": "Gold", "description": "", "access_token_lifetime": 60});
    let made = manager.post(&As::admin(), "/api/v1/applications", good.clone()).await.made();
    let bad = [
        ("name", json!("")),
        ("name", json!(" app")),
        ("name", json!(long(101))),
        ("name", json!(1)),
        ("name", Value::Null),
        ("tier", json!("")),
        ("tier", json!("Platinum")),
        ("tier", json!(long(61))),
        ("tier", json!(["Gold"])),
        ("tier", Value::Null),
        ("description", json!(long(4_001))),
        ("description", json!(1)),
        ("access_token_lifetime", json!(0)),
        ("access_token_lifetime", json!(31_536_001)),
        ("access_token_lifetime", json!("3600")),
        ("access_token_lifetime", json!(1.5)),
        ("surprise", json!(1)),
    ];

    for (field, value) in bad {
        let body = with(good.clone(), field, value);
        manager.post(&As::admin(), "/api/v1/applications", body.clone()).await.assert_blames(field);
        manager.put(&As::admin(), &at("applications", &made), body).await.assert_blames(field);
    }
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_key_is_named() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/keys", at("applications", &application));
    let bad = [
        ("key_type", json!("")),
        ("key_type", json!("PRODUCTION")),
        ("key_type", json!(long(1_000))),
        ("key_type", json!(1)),
        ("key_type", Value::Null),
        ("grant_types", json!("client_credentials")),
        ("grant_types", json!([])),
        ("grant_types", json!(["password"])),
        ("grant_types", json!(["client_credentials", "client_credentials"])),
        ("surprise", json!(1)),
    ];
    for (field, value) in bad {
        let good = json!({"key_type": "production", "grant_types": ["client_credentials"]});
        manager.post(&As::admin(), &keys, with(good, field, value)).await.assert_blames(field);
    }
    manager
        .post(&As::admin(), &keys, json!({"key_type": "production", "grant_types": [""]}))
        .await
        .assert_blames("grant_types[0]");

    manager.post(&As::admin(), &keys, json!({"key_type": "production"})).await.made();
    let key = format!("{keys}/production");
    for value in [json!([]), json!(["implicit"]), json!(1), Value::Null] {
        manager.put(&As::admin(), &key, json!({ "grant_types": value })).await.assert_blames("grant_types");
    }
    for value in [json!(-1), json!(604_801), json!("60"), json!(true)] {
        manager
            .post(&As::admin(), &format!("{key}/secret"), json!({ "overlap_seconds": value }))
            .await
            .assert_blames("overlap_seconds");
    }
    manager
        .post(&As::admin(), &format!("{key}/secret"), json!({"overlap": 5}))
        .await
        .assert_blames("overlap");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_subscription_is_named() {
    let manager = Manager::start().await;
    let (api, application) =
        (manager.published("pets").await, manager.application(&As::admin(), "app").await);
    let good = json!({"application_id": application["id"], "api_id": api["id"], "tier": "Gold"});
    let unknown = json!("01920000-0000-7000-8000-000000000000");
    let mut bad = vec![
        ("tier", json!("")),
        ("tier", json!("Silver")),
        ("tier", json!("Platinum")),
        ("tier", json!(long(61))),
        ("tier", json!(1)),
        ("tier", Value::Null),
        ("surprise", json!(1)),
    ];
    for field in ["application_id", "api_id"] {
        let upper = json!(good[field].as_str().unwrap().to_uppercase());
        for value in [json!(""), json!("x"), json!(long(37)), json!(5), Value::Null, upper, unknown.clone()] {
            bad.push((field, value));
        }
    }

    for (field, value) in bad {
        manager
            .post(&As::admin(), "/api/v1/subscriptions", with(good.clone(), field, value))
            .await
            .assert_blames(field);
    }
    let made = manager.post(&As::admin(), "/api/v1/subscriptions", good).await.made();
    for value in [json!(""), json!("Silver"), json!(1), Value::Null] {
        manager
            .put(&As::admin(), &at("subscriptions", &made), json!({ "tier": value }))
            .await
            .assert_blames("tier");
    }
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_tier_is_named() {
    let manager = Manager::start().await;
    let good = json!({"name": "Tiny", "description": "", "requests": 10, "per_seconds": 60, "burst": 5});
    manager.post(&As::admin(), "/api/v1/tiers", good.clone()).await.made();
    let mut bad = vec![
        ("description", json!(long(4_001))),
        ("description", json!(1)),
        ("burst", json!(11)),
        ("surprise", json!(1)),
    ];
    for field in ["requests", "per_seconds", "burst"] {
        for value in [json!(0), json!(-1), json!(1_000_000_001), json!("10"), json!(1.5)] {
            bad.push((field, value));
        }
    }
    for (field, value) in bad {
        let body = with(good.clone(), field, value);
        manager
            .post(&As::admin(), "/api/v1/tiers", with(body.clone(), "name", json!("Other")))
            .await
            .assert_blames(field);
        manager.put(&As::admin(), "/api/v1/tiers/Tiny", body).await.assert_blames(field);
    }

    for name in [json!(""), json!("a b"), json!("a/b"), json!(".."), json!(long(61)), json!(5), Value::Null] {
        manager
            .post(&As::admin(), "/api/v1/tiers", with(good.clone(), "name", name))
            .await
            .assert_blames("name");
    }
    manager
        .put(&As::admin(), "/api/v1/tiers/Tiny", with(good.clone(), "name", json!("Other")))
        .await
        .assert_blames("name");
    let half = json!({"name": "Half", "requests": 5});
    manager.post(&As::admin(), "/api/v1/tiers", half).await.assert_blames("per_seconds");
    manager
        .put(&As::admin(), "/api/v1/tiers/Unlimited", json!({"requests": 5, "per_seconds": 1}))
        .await
        .assert_blames("requests");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_read_is_refused_by_name() {
    let manager = Manager::start().await;
    for path in ["/api/v1/apis", "/api/v1/applications", "/api/v1/subscriptions", "/api/v1/tiers"] {
        for limit in ["0", "101", "-1", "x"] {
            manager.get(&As::admin(), &format!("{path}?limit={limit}")).await.assert_blames("limit");
        }
    }
    manager.get(&As::admin(), "/api/v1/apis?state=gone").await.assert_blames("state");
    manager.get(&As::admin(), "/api/v1/subscriptions?api_id=x").await.assert_blames("api_id");
    manager.stop().await;
}
