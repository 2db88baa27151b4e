//! Deleting what is in use is refused, with the reason and the way out.

use serde_json::json;

use super::{As, Manager, api, at, with};
use test_support::on_every_stage;

on_every_stage! {
    async fn a_tier_in_use_is_not_deleted(stage: Stage) {
        let manager = Manager::on(stage).await;
        for name in ["Offered", "Used"] {
            manager.post(&As::admin(), "/api/v1/tiers", json!({ "name": name })).await.made();
        }
        let offering = with(api("pets"), "tiers", json!(["Offered"]));
        let made = manager.post(&As::admin(), "/api/v1/apis", offering).await.made();
        let body = json!({"name": "app", "tier": "Used"});
        let application = manager.post(&As::admin(), "/api/v1/applications", body).await.made();

        manager.delete(&As::admin(), "/api/v1/tiers/Unlimited").await.assert_refused(409, "stays");
        manager.delete(&As::admin(), "/api/v1/tiers/Offered").await.assert_refused(409, "offer");
        manager
            .delete(&As::admin(), "/api/v1/tiers/Used")
            .await
            .assert_refused(409, "applications or subscriptions");

        manager.delete(&As::admin(), &at("apis", &made)).await.expect(204);
        manager.delete(&As::admin(), &at("applications", &application)).await.expect(204);
        for name in ["Offered", "Used", "Gold"] {
            manager.delete(&As::admin(), &format!("/api/v1/tiers/{name}")).await.expect(204);
        }
        manager.stop().await;
    }

    async fn an_api_with_subscriptions_is_not_deleted_before_it_is_retired(stage: Stage) {
        let manager = Manager::on(stage).await;
        let (made, application) =
            (manager.published("pets").await, manager.application(&As::admin(), "app").await);
        let subscription = manager.subscribes(&As::admin(), &application, &made).await.made();
        let path = at("apis", &made);

        manager.delete(&As::admin(), &path).await.assert_refused(409, "1 subscriptions");
        manager.acts(&As::admin(), &made, "demote").await.expect(200);
        manager.delete(&As::admin(), &path).await.assert_refused(409, "1 subscriptions");
        for action in ["publish", "deprecate", "retire"] {
            manager.acts(&As::admin(), &made, action).await.expect(200);
        }
        manager.delete(&As::admin(), &path).await.expect(204);
        manager.get(&As::admin(), &at("subscriptions", &subscription)).await.expect(404);
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callable_api_is_not_deleted() {
    let manager = Manager::start().await;
    let made = manager.published("pets").await;
    let path = at("apis", &made);
    for action in ["publish", "block", "deprecate"] {
        manager.acts(&As::admin(), &made, action).await.expect(200);
        manager.delete(&As::admin(), &path).await.assert_refused(409, "demote it");
    }

    manager.acts(&As::admin(), &made, "retire").await.expect(200);
    manager.delete(&As::admin(), &path).await.expect(204);
    manager.delete(&As::admin(), &path).await.expect(404);
    manager.post(&As::admin(), "/api/v1/apis", api("pets")).await.made();
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_goes_on_to_offer_what_subscriptions_are_on() {
    let manager = Manager::start().await;
    let (made, application) =
        (manager.published("pets").await, manager.application(&As::admin(), "app").await);
    manager.subscribes(&As::admin(), &application, &made).await.made();

    let without = with(api("pets"), "tiers", json!(["Unlimited", "Silver"]));
    manager.put(&As::admin(), &at("apis", &made), without).await.assert_blames("tiers");
    let with_more = with(api("pets"), "tiers", json!(["Gold", "Silver"]));
    manager.put(&As::admin(), &at("apis", &made), with_more).await.expect(200);
    manager.stop().await;
}
