//! Applications, their keys and secrets.

use futures_util::future::join_all;
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};
use shared_claims::oauth::JWT_BEARER;

use super::actors::Idp;
use super::{As, Manager, at};
use test_support::on_every_stage;

on_every_stage! {
    async fn every_developer_has_one_default_application_from_the_first_use(stage: Stage) {
        let manager = Manager::on(stage).await;
        let alice = Idp::trusted(&manager).await.person("alice", "apim:subscribe");

        let lists = join_all((0..10).map(|_| manager.get(&alice, "/api/v1/applications"))).await;

        for list in lists {
            assert_eq!(list.expect(200)["items"].as_array().unwrap().len(), 1);
        }
        let default = manager.get(&alice, "/api/v1/applications").await.expect(200)["items"][0].clone();
        assert_eq!((&default["name"], &default["tier"]), (&json!("DefaultApplication"), &json!("Unlimited")));
        let again = json!({"name": "DefaultApplication", "tier": "Gold"});
        manager.post(&alice, "/api/v1/applications", again).await.assert_refused(409, "already exists");
        let path = at("applications", &default);
        manager.delete(&alice, &path).await.assert_refused(409, "DefaultApplication");
        manager.put(&alice, &path, json!({"name": "mine", "tier": "Gold"})).await.assert_blames("name");
        let changed = json!({"name": "DefaultApplication", "tier": "Gold"});
        assert_eq!(manager.put(&alice, &path, changed).await.expect(200)["tier"], "Gold");
        manager.stop().await;
    }

    async fn an_application_takes_everything_that_it_ever_bought_along(stage: Stage) {
        let manager = Manager::on(stage).await;
        let (api, application) =
            (manager.published("pets").await, manager.application(&As::admin(), "app").await);
        let subscription = manager.subscribes(&As::admin(), &application, &api).await.made();
        let keys = format!("{}/keys", at("applications", &application));
        let body = json!({"key_type": "production", "grant_types": ["client_credentials"]});
        let key = pair(&manager.post(&As::admin(), &keys, body).await.made());
        let token = manager.token(&key, "client_credentials").await.expect(200);
        assert!(is_active(&manager, &token).await);

        manager.delete(&As::admin(), &at("applications", &application)).await.expect(204);

        assert!(!is_active(&manager, &token).await);
        manager.token(&key, "client_credentials").await.expect(401);
        assert_eq!(manager.get(&As::admin(), &at("subscriptions", &subscription)).await.status, 404);
        assert_eq!(manager.get(&As::admin(), &keys).await.status, 404);
        manager.stop().await;
    }
}

fn pair(key: &Value) -> (String, String) {
    (key["consumer_key"].as_str().unwrap().to_owned(), key["consumer_secret"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_comes_back_as_it_was_sent_and_can_be_sent_back() {
    let manager = Manager::start().await;
    let sent =
        json!({"name": "Äpp", "tier": "Silver", "description": "two\nlines", "access_token_lifetime": 60});
    let made = manager.post(&As::admin(), "/api/v1/applications", sent.clone()).await.made();
    for (member, value) in sent.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }

    let read = manager.get(&As::admin(), &at("applications", &made)).await.expect(200);
    assert_eq!(read, made);
    let mut replaced = manager.put(&As::admin(), &at("applications", &made), read).await.expect(200);
    replaced["updated_at"] = made["updated_at"].clone();
    assert_eq!(replaced, made);
    let plain = manager.application(&As::admin(), "plain").await;
    assert_eq!((&plain["access_token_lifetime"], &plain["description"]), (&json!(3600), &json!("")));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_used_once_by_each_owner() {
    let manager = Manager::start().await;
    let alice = Idp::trusted(&manager).await.person("alice", "apim:subscribe");
    manager.application(&As::admin(), "app").await;
    let body = json!({"name": "app", "tier": "Gold"});

    manager
        .post(&As::admin(), "/api/v1/applications", body.clone())
        .await
        .assert_refused(409, "an application already exists with name app");
    let other = manager.application(&As::admin(), "other").await;
    manager.put(&As::admin(), &at("applications", &other), body).await.assert_refused(409, "already exists");
    manager.application(&alice, "app").await;
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_a_second_key_of_a_type_is_refused() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/keys", at("applications", &application));
    let body = json!({"key_type": "production", "grant_types": [JWT_BEARER, "client_credentials"]});

    let made = manager.post(&As::admin(), &keys, body.clone()).await.made();

    assert_eq!((&made["key_type"], &made["grant_types"]), (&json!("production"), &body["grant_types"]));
    assert!(
        made["consumer_key"].as_str().unwrap().len() >= 22
            && made["consumer_secret"].as_str().unwrap().len() == 43
    );
    manager.post(&As::admin(), &keys, body).await.assert_refused(409, "keys/production/secret");
    let sandbox = manager.post(&As::admin(), &keys, json!({"key_type": "sandbox"})).await.made();
    assert_eq!(sandbox["grant_types"], json!([JWT_BEARER]));
    for path in [keys.clone(), format!("{keys}/production")] {
        let shown = manager.get(&As::admin(), &path).await;
        assert!(!shown.json.to_string().contains("consumer_secret"), "{}", shown.json);
        assert!(shown.header("cache-control").contains("no-store"));
    }
    manager.get(&As::admin(), &format!("{keys}/staging")).await.assert_refused(404, "key");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_secret_dies_at_once_unless_an_overlap_is_asked_for() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/keys", at("applications", &application));
    let body = json!({"key_type": "production", "grant_types": ["client_credentials"]});
    let first = pair(&manager.post(&As::admin(), &keys, body).await.made());
    manager.token(&first, "client_credentials").await.expect(200);
    let secret = format!("{keys}/production/secret");

    // No body at all is allowed: there is nothing that must be said.
    let request = manager.request(&As::admin(), Method::POST, &secret).body(Full::default()).unwrap();
    let second = pair(&manager.send(request).await.expect(200));
    manager.token(&first, "client_credentials").await.expect(401);
    manager.token(&second, "client_credentials").await.expect(200);

    let third = manager.post(&As::admin(), &secret, json!({"overlap_seconds": 60})).await.expect(200);
    assert!(third["previous_secret_until"].is_string());
    manager.token(&second, "client_credentials").await.expect(200);
    manager.token(&pair(&third), "client_credentials").await.expect(200);
    assert_eq!(first.0, third["consumer_key"].as_str().unwrap());
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_lists_and_ends_when_deleted() {
    let manager = Manager::start().await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/keys", at("applications", &application));
    let key = pair(&manager.post(&As::admin(), &keys, json!({"key_type": "production"})).await.made());
    let path = format!("{keys}/production");

    assert_eq!(manager.token(&key, "client_credentials").await.expect(400)["error"], "unauthorized_client");
    let changed =
        manager.put(&As::admin(), &path, json!({"grant_types": ["client_credentials"]})).await.expect(200);
    assert_eq!(changed["grant_types"], json!(["client_credentials"]));
    let token = manager.token(&key, "client_credentials").await.expect(200);
    assert!(is_active(&manager, &token).await);
    manager.delete(&As::admin(), &path).await.expect(204);
    assert!(!is_active(&manager, &token).await);
    assert_eq!(manager.token(&key, "client_credentials").await.expect(401)["error"], "invalid_client");
    manager.post(&As::admin(), &keys, json!({"key_type": "production"})).await.made();
    manager.stop().await;
}

async fn is_active(manager: &Manager, token: &Value) -> bool {
    let request = manager.request(&As::admin(), Method::POST, "/oauth2/introspect");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let body = format!("token={}", token["access_token"].as_str().unwrap());
    manager.send(request.body(Full::from(body)).unwrap()).await.expect(200)["active"].as_bool().unwrap()
}
