//! Client certificates by REST.

use serde_json::{Value, json};
use shared_claims::clock::Clock;
use test_support::on_every_stage;

use super::actors::Idp;
use super::{As, Manager, at, with};
use crate::exchange::idp::{Idp as Machine, KeyKind};

fn pem() -> String {
    Machine::with_key("machine", "", KeyKind::P256, &Clock::System).certificate()
}

on_every_stage! {
    async fn a_client_certificate_is_registered_listed_and_removed(stage: Stage) {
        let manager = Manager::on(stage).await;
        let alice = Idp::trusted(&manager).await.person("alice", "apim:subscribe");
        let application = manager.application(&alice, "app").await;
        let all = format!("{}/certificates", at("applications", &application));
        let body = json!({"certificate": pem(), "key_type": "production"});

        let made = manager.post(&alice, &all, body.clone()).await.made();

        assert_eq!(made["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(manager.get(&alice, &all).await.expect(200)["items"], json!([made]));
        let own = manager.application(&As::admin(), "own").await;
        let elsewhere = format!("{}/certificates", at("applications", &own));
        manager.post(&As::admin(), &elsewhere, body).await.assert_refused(409, "stands for an application already");
        manager.post(&Idp::registered(&manager, "https://b.example", true).await.person("bob", "apim:subscribe"), &all, json!({})).await.assert_refused(422, "certificate");
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        manager.delete(&alice, &one).await.expect(204);
        manager.delete(&alice, &one).await.assert_refused(404, "certificate");
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_client_certificate_is_named() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let all = format!("{}/certificates", at("applications", &application));
    let good = json!({"certificate": pem(), "key_type": "production"});

    for (member, value) in [
        ("certificate", Value::Null),
        ("certificate", json!("")),
        ("certificate", json!("junk")),
        ("certificate", json!(format!("{}{}", pem(), pem()))),
        ("certificate", json!(7)),
        ("key_type", json!("staging")),
        ("surprise", json!(1)),
    ] {
        manager.post(&As::admin(), &all, with(good.clone(), member, value)).await.assert_blames(member);
    }
    manager.stop().await;
}
