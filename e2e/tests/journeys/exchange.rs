//! The scenario itself, and what an exchange gives.

use e2e::actors::certificate;
use e2e::idp::{Algorithm, Idp, KeyKind};
use serde_json::json;
use test_support::on_every_stage;

use super::{application_with_scopes, whole_world, world};

on_every_stage! {
    async fn a_user_signs_in_exchanges_the_jwt_and_calls_the_api(stage: Stage) {
        let world = whole_world(stage).await;
        let client = world.client().await;
        let alice = client.welcomes("alice").await;
        let pem = certificate(&world.http, world.places()).await;
        let jwt = client.signs_in(&alice).await.token();
        let issuer = issuer_of(&jwt);
        let trust = json!({ "name": issuer, "alias": client.id, "certificates": [pem] });
        let _ = world.administrator().asks_to_trust(&trust).await.expect(201);
        let application = world.subscribed_application("pets").await;

        let token = application.exchanges(&jwt).await.token();
        let answer = application.calls("/pets/1.0/cats?colour=red", &token).await.expect(200);

        assert_eq!(answer.member("path"), "/cats?colour=red");
        assert_eq!(answer.json()["headers"]["authorization"], json!(null));
        assert_eq!(application.introspects(&token).await.member("sub"), "alice");
    }

    async fn an_exchange_answers_as_rfc_6749_wants(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;

        let answer = application.exchanges(&idp.sign_for("alice")).await.expect(200);

        let body = answer.json();
        assert!(uuid::Uuid::try_parse(&answer.member("access_token")).is_ok());
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["expires_in"].as_i64().unwrap() > 0);
        assert!(uuid::Uuid::try_parse(&answer.member("refresh_token")).is_ok());
        assert!(answer.header("content-type").starts_with("application/json"));
        assert!(answer.header("cache-control").contains("no-store"));
    }

    async fn a_refresh_token_comes_only_where_the_application_lists_that_grant(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let body = json!({ "name": "no refresh", "tier": "Unlimited" });
        let application = world.developer().registers_with(&body, &[e2e::actors::JWT_BEARER]).await;

        let answer = application.exchanges(&idp.sign_for("alice")).await.expect(200);

        assert_eq!(answer.json().get("refresh_token"), None);
    }

    async fn a_refresh_buys_another_token_once(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let first = application.exchanges(&idp.sign_for("alice")).await.expect(200);

        let second = application.refreshes(&first.member("refresh_token")).await;

        let token = second.token();
        assert_ne!(token, first.member("access_token"));
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);
        assert_eq!(application.introspects(&token).await.member("sub"), "alice");
    }

    async fn a_key_of_every_kind_signs_assertions(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let idp = Idp::with_key(&format!("https://{kind:?}.example"), "us", kind, &world.clock);
            world.administrator().trusts(&idp).await;

            let answer = application.exchanges(&idp.sign_for("alice")).await;

            assert_eq!(answer.status, 200, "{kind:?}: {}", answer.text());
        }
    }

    async fn every_rsa_algorithm_fits_an_rsa_key(stage: Stage) {
        use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        let idp = world.strange_idp();
        let names = [RS256, RS384, RS512, PS256, PS384, PS512].map(Algorithm::as_str);
        world.administrator().trusts_with(&idp, &json!({ "algorithms": names })).await;
        for algorithm in [RS256, RS384, RS512, PS256, PS384, PS512] {
            let answer = application.exchanges(&idp.signing_with(algorithm).sign_for("alice")).await;

            assert_eq!(answer.status, 200, "{algorithm:?}: {}", answer.text());
        }
    }

    async fn a_scope_is_granted_as_far_as_the_identity_provider_may_vouch(stage: Stage) {
        let world = world(stage).await;
        let application = application_with_scopes(&world).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "scopes": ["pets:read"] })).await;

        let narrowed = application.exchanges_for(&idp.sign_for("alice"), "pets:read pets:write").await;
        let refused = application.exchanges_for(&idp.sign_for("alice"), "pets:write").await;

        assert_eq!(narrowed.expect(200).member("scope"), "pets:read");
        assert_eq!(refused.refusal(), (400, "invalid_scope".into()));
    }

    async fn the_check_explains_and_changes_nothing(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        let idp = world.trusted_idp().await;
        let good = idp.sign_for("alice");
        let bad = idp.sign(&idp.claims("alice").with("aud", "others"));

        let passed = world.administrator().checks(&good).await.expect(200);
        let failed = world.administrator().checks(&bad).await.expect(200);

        assert!(!passed.text().contains("\"failed\""), "{}", passed.text());
        assert!(failed.text().contains("\"failed\"") && failed.text().contains(&idp.alias), "{}", failed.text());
        let _ = application.exchanges(&good).await.token();
    }
}

fn issuer_of(jwt: &str) -> String {
    use base64::Engine;
    let payload = jwt.split('.').nth(1).expect("a JWT");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    claims["iss"].as_str().expect("an issuer").to_owned()
}
