//! Subscriptions and tiers.

use futures_util::future::join_all;
use serde_json::json;

use super::actors::Idp;
use super::{As, Manager, at};
use test_support::on_every_stage;

on_every_stage! {
    async fn an_application_subscribes_once_to_a_published_api(stage: Stage) {
        let manager = Manager::on(stage).await;
        let (api, application) = (manager.api("pets").await, manager.application(&As::admin(), "app").await);
        manager.subscribes(&As::admin(), &application, &api).await.assert_refused(409, "not published yet");
        manager.acts(&As::admin(), &api, "publish").await.expect(200);

        let admin = As::admin();
        let answers = join_all((0..10).map(|_| manager.subscribes(&admin, &application, &api))).await;

        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            refused.assert_refused(409, "subscribes to this API already");
        }
        let other = manager.application(&As::admin(), "other").await;
        for (action, words) in [("block", "blocked"), ("deprecate", "deprecated"), ("retire", "retired")] {
            manager.acts(&As::admin(), &api, action).await.expect(200);
            manager.subscribes(&As::admin(), &other, &api).await.assert_refused(409, words);
        }
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_moved_blocked_unblocked_and_ended() {
    let manager = Manager::start().await;
    let (api, application) =
        (manager.published("pets").await, manager.application(&As::admin(), "app").await);
    let made = manager.subscribes(&As::admin(), &application, &api).await.made();
    let path = at("subscriptions", &made);
    assert_eq!((&made["state"], &made["tier"]), (&json!("active"), &json!("Gold")));

    assert_eq!(
        manager.put(&As::admin(), &path, json!({"tier": "Unlimited"})).await.expect(200)["tier"],
        "Unlimited"
    );
    let read = manager.get(&As::admin(), &path).await.expect(200);
    manager.put(&As::admin(), &path, read).await.expect(200);
    for _ in 0..2 {
        let blocked = manager.post(&As::admin(), &format!("{path}/block"), json!({})).await.expect(200);
        assert_eq!(blocked["state"], "blocked");
    }
    assert_eq!(manager.get(&As::admin(), &path).await.header("etag"), "\"4\"");
    let again = manager.post(&As::admin(), &format!("{path}/unblock"), json!({})).await.expect(200);
    assert_eq!(again["state"], "active");
    manager.delete(&As::admin(), &path).await.expect(204);
    manager.delete(&As::admin(), &path).await.expect(404);
    manager.subscribes(&As::admin(), &application, &api).await.made();
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_see_who_subscribes_to_their_apis() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let pat = idp.person("pat", "apim:api_create apim:api_publish");
    let alice = idp.person("alice", "apim:subscribe");
    let api = manager.post(&pat, "/api/v1/apis", super::api("pets")).await.made();
    manager.acts(&pat, &api, "publish").await.expect(200);
    let other = manager.published("birds").await;
    let application = manager.application(&alice, "app").await;
    let hers = manager.subscribes(&alice, &application, &api).await.made();
    manager.subscribes(&alice, &application, &other).await.made();
    let count = async |caller: &As, query: &str| {
        let list = manager.get(caller, &format!("/api/v1/subscriptions{query}")).await.expect(200);
        list["items"].as_array().unwrap().len()
    };

    assert_eq!((count(&pat, "").await, count(&alice, "").await), (1, 2));
    assert_eq!(count(&alice, &format!("?api_id={}", api["id"].as_str().unwrap())).await, 1);
    assert_eq!(count(&pat, &format!("?api_id={}", other["id"].as_str().unwrap())).await, 0);
    manager.get(&pat, &at("subscriptions", &hers)).await.expect(200);
    manager.delete(&pat, &at("subscriptions", &hers)).await.assert_refused(403, "apim:subscribe");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_comes_back_as_it_was_sent_and_can_be_sent_back() {
    let manager = Manager::start().await;
    let sent = json!({"name": "Tiny", "description": "few", "requests": 5, "per_seconds": 10, "burst": 2});
    let made = manager.post(&As::admin(), "/api/v1/tiers", sent.clone()).await.made();
    for (member, value) in sent.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }

    let read = manager.get(&As::admin(), "/api/v1/tiers/Tiny").await.expect(200);
    manager.put(&As::admin(), "/api/v1/tiers/Tiny", read).await.expect(200);
    manager.post(&As::admin(), "/api/v1/tiers", sent).await.assert_refused(409, "already");
    let open =
        manager.put(&As::admin(), "/api/v1/tiers/Tiny", json!({"description": "many"})).await.expect(200);
    assert!(open["requests"].is_null() && open["burst"].is_null());
    let list = manager.get(&As::admin(), "/api/v1/tiers?limit=3").await.expect(200);
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|tier| tier["name"].as_str().unwrap()).collect();
    assert_eq!((names, &list["next"]), (vec!["Bronze", "Gold", "Silver"], &json!("Silver")));
    manager.stop().await;
}
