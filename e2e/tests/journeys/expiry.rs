//! Tokens end to the second, also those that the gateway has in its cache.

use e2e::actors::JWT_BEARER;
use serde_json::json;
use test_support::on_every_stage;

use super::timeless_world;

on_every_stage! {
    async fn a_token_in_a_warm_cache_ends_to_the_second(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.trusted_idp().await;
        let api = world.publisher().publishes("pets", &world.backend.url()).await;
        let body = json!({ "name": "short", "tier": "Unlimited", "access_token_lifetime": 100 });
        let application = world.developer().registers_with(&body, &[JWT_BEARER]).await;
        world.developer().subscribes(&application, &api).await;
        let answer = application.exchanges(&idp.sign_for("alice")).await;
        let token = answer.token();
        assert_eq!(answer.json()["expires_in"], 100);
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);

        world.clock.advance(99);
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200, "in its last second");
        world.clock.advance(1);
        let ended = application.calls("/pets/1.0/cats", &token).await;

        assert_eq!(ended.refusal(), (401, "900901".into()));
        assert!(ended.challenge().contains("error=\"invalid_token\""), "{}", ended.challenge());
        assert_eq!(application.introspects(&token).await.json(), json!({ "active": false }));
    }

    async fn a_token_ends_with_the_assertion_that_bought_it(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let now = world.clock.now().0;

        let answer = application.exchanges(&idp.sign(&idp.claims("alice").with("exp", now + 50))).await;

        assert_eq!(answer.expect(200).json()["expires_in"], 50);
    }

    async fn a_token_may_outlive_its_assertion_where_the_identity_provider_says_so(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "outlive_assertion": true })).await;
        let body = json!({ "name": "long", "tier": "Unlimited", "access_token_lifetime": 1_000 });
        let application = world.developer().registers_with(&body, &[JWT_BEARER]).await;
        let now = world.clock.now().0;

        let answer = application.exchanges(&idp.sign(&idp.claims("alice").with("exp", now + 50))).await;

        assert_eq!(answer.expect(200).json()["expires_in"], 1_000);
    }
}
