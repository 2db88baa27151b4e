//! Single use, on both databases.

use futures_util::future::join_all;
use serde_json::json;
use test_support::on_every_stage;

use super::idp::Idp;
use super::{Key, World};

on_every_stage! {
    async fn an_assertion_buys_one_token_and_only_one_even_after_a_restart(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        let assertion = idp.sign_for("alice");
        let replayed = (400, "invalid_grant".to_owned(), "JWT Token has been replayed.".to_owned());

        let token = world.exchange(&key, &assertion).await.member("access_token");
        assert_eq!(world.exchange(&key, &assertion).await.refusal(), replayed);
        let world = world.restarted().await;

        assert_eq!(world.exchange(&key, &assertion).await.refusal(), replayed);
        assert!(world.is_active(&token).await);
        // Until it could not be taken anyway.
        world.clock.advance(629);
        assert_eq!(world.exchange(&key, &assertion).await.refusal(), replayed);
        world.clock.advance(1);
        assert_eq!(world.exchange(&key, &assertion).await.member("error_description"), "JSON Web Token is expired.");
    }

    async fn of_fifty_at_once_exactly_one_succeeds(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        // Fifty different assertions of one jti.
        let assertions: Vec<String> = (0..50)
            .map(|n| idp.sign(&idp.claims("alice").with("jti", "one").with("n", n)))
            .collect();

        let answers = join_all(assertions.iter().map(|assertion| world.exchange(&key, assertion))).await;

        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == (400, "invalid_grant".to_owned())));
    }

    async fn the_same_jti_of_two_issuers_is_two_assertions(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (one, key) = (world.trusted_idp().await, world.key().await);
        let two = Idp::new("https://two.example", "client-1", &world.clock);
        world.trusts(&two, json!({})).await;

        for idp in [one, two] {
            let assertion = idp.sign(&idp.claims("alice").with("jti", "the same"));
            assert_eq!(world.exchange(&key, &assertion).await.status, 200);
        }
    }

    async fn an_assertion_without_a_jti_is_known_by_what_was_signed(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        let assertion = idp.sign(&idp.claims("alice").without("jti"));
        let other = idp.sign(&idp.claims("bob").without("jti"));

        assert_eq!(world.exchange(&key, &assertion).await.status, 200);
        assert_eq!(world.exchange(&key, &assertion).await.status, 400);
        assert_eq!(world.exchange(&key, &other).await.status, 200);
    }

    async fn a_refused_request_neither_burns_nor_poisons_a_jti(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let (idp, key, other) = (world.trusted_idp().await, world.key().await, world.key().await);
        let claims = idp.claims("alice").with("jti", "precious");
        let stranger = Idp::new(&idp.issuer, &idp.alias, &world.clock);
        let good = idp.sign(&claims);

        assert_eq!(world.exchange(&key, &stranger.sign(&claims)).await.status, 400);
        assert_eq!(world.exchange(&key, &idp.sign(&claims.clone().with("aud", "x"))).await.status, 400);
        let wrong = Key { secret: "wrong".to_owned(), ..other.clone() };
        assert_eq!(world.exchange(&wrong, &good).await.status, 401);
        let form = [("grant_type", shared_claims::oauth::JWT_BEARER), ("assertion", good.as_str()), ("scope", "fly")];
        assert_eq!(world.token(&key, &form).await.status, 400);

        assert_eq!(world.exchange(&key, &good).await.status, 200);
        assert_eq!(world.exchange(&other, &good).await.status, 400, "one token, whoever asks");
    }

    async fn a_reusable_assertion_buys_a_token_each_time(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let key = world.key().await;
        let idp = Idp::new("https://idp.example", "client-1", &world.clock);
        world.trusts(&idp, json!({ "replay": "reusable" })).await;
        let assertion = idp.sign_for("alice");

        let first = world.exchange(&key, &assertion).await.member("access_token");
        let second = world.exchange(&key, &assertion).await.member("access_token");

        assert!(!first.is_empty() && !second.is_empty() && first != second);
    }

    async fn trusting_an_issuer_anew_lets_no_spent_assertion_in(stage: test_support::Stage) {
        let world = World::on(stage).await;
        let key = world.key().await;
        let idp = Idp::new("https://idp.example", "client-1", &world.clock);
        let id = world.trusts(&idp, json!({})).await;
        let assertion = idp.sign_for("alice");
        assert_eq!(world.exchange(&key, &assertion).await.status, 200);

        let path = format!("/api/v1/identity-providers/{id}");
        world.manage(actix_web::http::Method::DELETE, &path, serde_json::Value::Null).await;
        world.trusts(&idp, json!({})).await;

        assert_eq!(world.exchange(&key, &assertion).await.member("error_description"), "JWT Token has been replayed.");
    }
}
