//! An assertion buys one token: in sequence, in parallel, after a restart, and for each issuer by itself.

use e2e::idp::Idp;
use futures_util::future::join_all;
use serde_json::json;
use test_support::on_every_stage;

use super::world;

on_every_stage! {
    async fn an_assertion_buys_one_token_and_only_one(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let assertion = idp.sign_for("alice");

        let token = application.exchanges(&assertion).await.token();
        let second = application.exchanges(&assertion).await.refusal();

        assert_eq!(second, (400, "invalid_grant".into()));
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);
    }

    async fn fifty_at_once_share_one_success(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let assertion = idp.sign_for("alice");

        let answers = join_all((0..50).map(|_| application.exchanges(&assertion))).await;

        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        for answer in bad {
            assert_eq!(answer.refusal(), (400, "invalid_grant".into()), "{}", answer.text());
        }
        assert_eq!(application.calls("/pets/1.0/cats", &good[0].token()).await.status, 200);
    }

    async fn a_restart_forgets_no_assertion_and_no_token(stage: Stage) {
        let mut world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let assertion = idp.sign_for("alice");
        let token = application.exchanges(&assertion).await.token();

        world.restarts_the_manager().await;

        assert_eq!(application.exchanges(&assertion).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);
    }

    async fn two_issuers_may_use_the_same_jti(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        for idp in [world.trusted_idp().await, world.trusted_idp().await] {
            let answer = application.exchanges(&idp.sign(&idp.claims("alice").with("jti", "the same"))).await;

            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    async fn another_assertion_with_a_used_jti_is_a_replay(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let with_jti = |subject: &str| idp.sign(&idp.claims(subject).with("jti", "the same"));
        let _ = application.exchanges(&with_jti("alice")).await.token();

        assert_eq!(application.exchanges(&with_jti("bob")).await.refusal(), (400, "invalid_grant".into()));
    }

    async fn an_assertion_without_jti_is_known_by_its_digest(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let without = |subject: &str| idp.sign(&idp.claims(subject).without("jti"));
        let assertion = without("alice");

        let _ = application.exchanges(&assertion).await.token();

        assert_eq!(application.exchanges(&assertion).await.refusal(), (400, "invalid_grant".into()));
        let _ = application.exchanges(&without("bob")).await.token();
    }

    async fn a_refused_request_burns_no_jti(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let stranger = Idp::new(&idp.issuer, &idp.alias, &world.clock);
        let claims = idp.claims("alice");

        for refused in [stranger.sign(&claims), idp.sign(&claims.clone().with("aud", "others"))] {
            assert_eq!(application.exchanges(&refused).await.refusal(), (400, "invalid_grant".into()));
        }

        assert_eq!(application.exchanges(&idp.sign(&claims)).await.status, 200);
    }

    async fn a_reusable_assertion_buys_a_token_each_time(stage: Stage) {
        let world = world(stage).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "replay": "reusable" })).await;
        let application = world.subscribed_application("pets").await;
        let assertion = idp.sign_for("alice");

        let (first, second) = (application.exchanges(&assertion).await.token(), application.exchanges(&assertion).await.token());

        assert_ne!(first, second);
    }
}
