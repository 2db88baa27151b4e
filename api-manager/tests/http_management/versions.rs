//! `If-Match`: a change to what somebody else has changed meanwhile.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{As, Manager, api, at};
use test_support::on_every_stage;

on_every_stage! {
    async fn of_many_changes_to_one_version_one_holds(stage: Stage) {
        let manager = Manager::on(stage).await;
        for (path, body) in resources(&manager).await {
            let answers = join_all((0..10).map(|_| manager.put_if("\"1\"", &path, body.clone()))).await;

            assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{path}");
            assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409 | 412)), "{path}");
        }
        manager.stop().await;
    }

    async fn a_change_to_another_version_is_refused_and_changes_nothing(stage: Stage) {
        let manager = Manager::on(stage).await;
        for (path, body) in resources(&manager).await {
            let before = manager.get(&As::admin(), &path).await;
            assert_eq!(before.header("etag"), "\"1\"", "{path}");

            for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1", "\"x\""] {
                manager.put_if(stale, &path, body.clone()).await.assert_refused(412, "changed");
                manager.delete_if(stale, &path).await.assert_refused(412, "changed");
            }
            assert_eq!(manager.get(&As::admin(), &path).await.json, before.json);

            let changed = manager.put_if("\"1\"", &path, body.clone()).await;
            assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""), "{path}");
            manager.put_if("\"1\"", &path, body.clone()).await.assert_refused(412, "changed");
            manager.put_if("*", &path, body).await.expect(200);
            manager.delete_if("\"3\"", &path).await.expect(204);
            assert_eq!(manager.get(&As::admin(), &path).await.status, 404);
        }
        manager.stop().await;
    }
}

/// Every resource that has a version, with a body that replaces it.
async fn resources(manager: &Manager) -> Vec<(String, Value)> {
    let pets = manager.published("pets").await;
    let application = manager.application(&As::admin(), "app").await;
    let keys = format!("{}/keys", at("applications", &application));
    manager.post(&As::admin(), &keys, json!({"key_type": "production"})).await.made();
    manager.post(&As::admin(), "/api/v1/tiers", json!({"name": "Tiny"})).await.made();
    let subscription = manager.subscribes(&As::admin(), &application, &pets).await.made();
    let draft = manager.api("draft").await;
    vec![
        (at("apis", &draft), api("draft")),
        (format!("{keys}/production"), json!({"grant_types": ["client_credentials"]})),
        (at("subscriptions", &subscription), json!({"tier": "Unlimited"})),
        (at("applications", &application), json!({"name": "renamed", "tier": "Gold"})),
        ("/api/v1/tiers/Tiny".to_owned(), json!({"requests": 1, "per_seconds": 1})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_can_insist_on_a_version_too() {
    let manager = Manager::start().await;
    let made = manager.api("pets").await;
    let request = |tag: &str| {
        let path = format!("{}/lifecycle", at("apis", &made));
        manager.request(&As::admin(), http::Method::POST, &path).header("if-match", tag)
    };

    manager.send_json(request("\"7\""), json!({"action": "publish"})).await.assert_refused(412, "changed");
    let moved = manager.send_json(request("\"1\""), json!({"action": "publish"})).await;
    assert_eq!((moved.status, moved.header("etag")), (200, "\"2\""));
    manager.stop().await;
}
