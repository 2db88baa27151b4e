//! Mapped clients by REST.

use serde_json::{Value, json};
use test_support::on_every_stage;

use super::actors::Idp;
use super::{As, Manager, at, with};

async fn provider_id(manager: &Manager) -> Value {
    manager.get(&As::admin(), "/api/v1/identity-providers").await.expect(200)["items"][0]["id"].clone()
}

on_every_stage! {
    async fn a_client_is_mapped_listed_and_unmapped(stage: Stage) {
        let manager = Manager::on(stage).await;
        Idp::trusted(&manager).await;
        let provider = provider_id(&manager).await;
        let application = manager.application(&As::admin(), "app").await;
        let all = format!("{}/mapped-clients", at("applications", &application));
        let body = json!({"identity_provider_id": provider, "client_id": "mobile", "key_type": "production"});

        let made = manager.post(&As::admin(), &all, body.clone()).await.made();

        assert_eq!((&made["client_id"], &made["identity_provider_id"]), (&body["client_id"], &provider));
        assert_eq!(manager.get(&As::admin(), &all).await.expect(200)["items"], json!([made]));
        let other = manager.application(&As::admin(), "other").await;
        let elsewhere = format!("{}/mapped-clients", at("applications", &other));
        manager.post(&As::admin(), &elsewhere, body.clone()).await.assert_refused(409, "stands for an application already");
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        manager.delete(&As::admin(), &one.replace(application["id"].as_str().unwrap(), other["id"].as_str().unwrap())).await.assert_refused(404, "mapped client");
        manager.delete(&As::admin(), &one).await.expect(204);
        manager.delete(&As::admin(), &one).await.assert_refused(404, "mapped client");
        manager.post(&As::admin(), &elsewhere, body).await.made();
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_map_clients_and_only_owners_see_them() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let (alice, bob) = (idp.person("alice", "apim:subscribe"), idp.person("bob", "apim:subscribe"));
    let application = manager.application(&alice, "app").await;
    let all = format!("{}/mapped-clients", at("applications", &application));
    let body = json!({"identity_provider_id": provider_id(&manager).await, "client_id": "mobile", "key_type": "production"});

    manager.post(&alice, &all, body.clone()).await.assert_refused(403, "apim:admin");
    let made = manager.post(&As::admin(), &all, body).await.made();
    assert_eq!(manager.get(&alice, &all).await.expect(200)["items"][0]["id"], made["id"]);
    manager.get(&bob, &all).await.assert_refused(404, "application");
    let one = format!("{all}/{}", made["id"].as_str().unwrap());
    manager.delete(&alice, &one).await.assert_refused(403, "apim:admin");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_mapped_client_is_named() {
    let manager = Manager::start().await;
    Idp::trusted(&manager).await;
    let application = manager.application(&As::admin(), "app").await;
    let all = format!("{}/mapped-clients", at("applications", &application));
    let good = json!({"identity_provider_id": provider_id(&manager).await, "client_id": "mobile", "key_type": "production"});

    for (member, value) in [
        ("identity_provider_id", Value::Null),
        ("identity_provider_id", json!("idp")),
        ("identity_provider_id", application["id"].clone()),
        ("client_id", json!("")),
        ("client_id", json!("x".repeat(256))),
        ("client_id", json!("a\u{0}")),
        ("key_type", json!("staging")),
        ("surprise", json!(1)),
    ] {
        manager.post(&As::admin(), &all, with(good.clone(), member, value)).await.assert_blames(member);
    }
    manager.stop().await;
}
