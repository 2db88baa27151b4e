//! API keys by REST, and the `security` of APIs.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::actors::Idp;
use super::{As, Manager, api, at, with};

on_every_stage! {
    async fn an_api_key_is_shown_once_listed_without_itself_and_revoked(stage: Stage) {
        let manager = Manager::on(stage).await;
        let application = manager.application(&As::admin(), "app").await;
        let keys = format!("{}/api-keys", at("applications", &application));
        let body = json!({
            "name": "phone", "key_type": "production", "expires_in": 3600,
            "allowed_ips": ["192.0.2.0/24", "2001:db8::1/128"], "allowed_referers": ["https://app.example/shop/*"],
        });

        let made = manager.post(&As::admin(), &keys, body.clone()).await.made();

        let plain = made["api_key"].as_str().unwrap();
        assert!(plain.starts_with("csk_") && plain.len() == 47);
        for member in ["name", "key_type", "allowed_ips", "allowed_referers"] {
            assert_eq!(made[member], body[member], "{member}");
        }
        assert!(made["expires_at"].is_string());
        let listed = manager.get(&As::admin(), &keys).await;
        assert_eq!(listed.json["items"][0]["id"], made["id"]);
        assert!(!listed.json.to_string().contains("csk_") && listed.header("cache-control").contains("no-store"));
        manager.post(&As::admin(), &keys, body).await.assert_refused(409, "named phone");
        let bare = manager.post(&As::admin(), &keys, json!({"name": "bare", "key_type": "sandbox"})).await.made();
        assert_eq!((&bare["expires_at"], &bare["allowed_ips"]), (&Value::Null, &json!([])));

        let one = format!("{keys}/{}", made["id"].as_str().unwrap());
        manager.delete(&As::admin(), &one).await.expect(204);
        manager.delete(&As::admin(), &one).await.assert_refused(404, "API key");
        assert_eq!(manager.get(&As::admin(), &keys).await.json["items"].as_array().unwrap().len(), 1);
        manager.stop().await;
    }

    async fn a_revoked_key_is_refused_from_the_answer_on(stage: Stage) {
        let manager = Manager::on(stage).await;
        let published = manager.post(&As::admin(), "/api/v1/apis", with(api("pets"), "security", json!(["api_key"]))).await.made();
        manager.acts(&As::admin(), &published, "publish").await.expect(200);
        let application = manager.application(&As::admin(), "app").await;
        manager.subscribes(&As::admin(), &application, &published).await.made();
        let keys = format!("{}/api-keys", at("applications", &application));
        let made = manager.post(&As::admin(), &keys, json!({"name": "k", "key_type": "production"})).await.made();
        let url = format!("https://{}/pets/1.0.0/", manager.running.gateway);
        let call = async || {
            let request = Request::builder().method(Method::GET).uri(&url);
            let request = request.header("apikey", made["api_key"].as_str().unwrap());
            manager.send(request.body(Full::default()).unwrap()).await.status
        };
        // Nothing listens at the backend: the call came as far as that.
        assert_eq!(call().await, 502);

        manager.delete(&As::admin(), &format!("{keys}/{}", made["id"].as_str().unwrap())).await.expect(204);

        assert_eq!(call().await, 401);
        let second = manager.post(&As::admin(), &keys, json!({"name": "k", "key_type": "production"})).await.made();
        assert_ne!(second["api_key"], made["api_key"]);
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_are_their_owners_business_alone() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let (alice, bob) = (idp.person("alice", "apim:subscribe"), idp.person("bob", "apim:subscribe"));
    let publisher = idp.person("pat", "apim:api_create apim:api_publish");
    let application = manager.application(&alice, "app").await;
    let other = manager.application(&alice, "other").await;
    let keys = format!("{}/api-keys", at("applications", &application));
    let body = json!({"name": "k", "key_type": "production"});
    let made = manager.post(&alice, &keys, body.clone()).await.made();
    let one = format!("{keys}/{}", made["id"].as_str().unwrap());

    manager.post(&bob, &keys, body.clone()).await.assert_refused(404, "application");
    manager.get(&bob, &keys).await.assert_refused(404, "application");
    manager.delete(&bob, &one).await.assert_refused(404, "application");
    manager.post(&publisher, &keys, body).await.expect(403);
    let elsewhere = one.replace(application["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    manager.delete(&alice, &elsewhere).await.assert_refused(404, "API key");
    manager.delete(&alice, &format!("{keys}/junk")).await.assert_refused(404, "API key");
    manager.delete(&alice, &one).await.expect(204);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_an_api_key_is_named() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/api-keys", at("applications", &application));
    let good = json!({"name": "k", "key_type": "production"});
    let many: Vec<String> = (0..51).map(|n| format!("192.0.2.{n}")).collect();
    let bad = [
        ("name", json!(""), "name"),
        ("name", Value::Null, "name"),
        ("name", json!("x".repeat(101)), "name"),
        ("key_type", json!("staging"), "key_type"),
        ("key_type", Value::Null, "key_type"),
        ("expires_in", json!(0), "expires_in"),
        ("expires_in", json!(-1), "expires_in"),
        ("expires_in", json!("60"), "expires_in"),
        ("expires_in", json!(315_360_001), "expires_in"),
        ("allowed_ips", json!("192.0.2.1"), "allowed_ips"),
        ("allowed_ips", json!(["192.0.2.1", "192.0.2.1/24"]), "allowed_ips[1]"),
        ("allowed_ips", json!(["localhost"]), "allowed_ips[0]"),
        ("allowed_ips", json!(many), "allowed_ips"),
        ("allowed_referers", json!(["*"]), "allowed_referers[0]"),
        ("allowed_referers", json!(["app.example"]), "allowed_referers[0]"),
        ("allowed_referers", json!([1]), "allowed_referers[0]"),
        ("api_key", json!("mine"), "api_key"),
        ("surprise", json!(1), "surprise"),
    ];

    for (member, value, blamed) in bad {
        manager.post(&As::admin(), &keys, with(good.clone(), member, value)).await.assert_blames(blamed);
    }
    let all = manager.post(&As::admin(), &keys, json!({"expires_in": 0, "allowed_ips": ["x"]})).await;
    assert_eq!(all.blamed(), ["name", "key_type", "expires_in", "allowed_ips[0]"]);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_has_a_hundred_api_keys_at_most() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/api-keys", at("applications", &application));
    for place in 0..100 {
        let body = json!({"name": format!("k{place}"), "key_type": "production"});
        manager.post(&As::admin(), &keys, body).await.made();
    }

    let body = json!({"name": "one too many", "key_type": "production"});
    manager.post(&As::admin(), &keys, body).await.assert_refused(409, "100 API keys");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemes_of_an_api_are_known_words_and_tokens_where_not_said() {
    let manager = Manager::start().await;
    let made = manager.api("plain").await;
    assert_eq!(made["security"], json!(["token"]));

    for (value, blamed) in [
        (json!([]), "security"),
        (json!("token"), "security"),
        (json!(["token", "basic"]), "security[1]"),
        (json!(["token", "token"]), "security[1]"),
        (json!([1]), "security[0]"),
    ] {
        let body = with(api("bad"), "security", value);
        manager.post(&As::admin(), "/api/v1/apis", body).await.assert_blames(blamed);
    }
    let body = with(api("both"), "security", json!(["api_key", "token"]));
    let made = manager.post(&As::admin(), "/api/v1/apis", body).await.made();
    assert_eq!(made["security"], json!(["token", "api_key"]));
    let read = manager.get(&As::admin(), &at("apis", &made)).await.expect(200);
    assert_eq!(
        manager.put(&As::admin(), &at("apis", &made), read).await.expect(200)["security"],
        made["security"]
    );
    manager.stop().await;
}
