//! Who may knock at the token endpoint of the API manager, and for what.

use e2e::actors::JWT_BEARER;
use serde_json::json;
use test_support::on_every_stage;

use super::world;

on_every_stage! {
    async fn an_unknown_client_is_refused_before_its_assertion_is_looked_at(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let assertion = idp.sign_for("alice");
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
        let request = || application.token_request().form(&form);

        for (name, id, secret) in [
            ("an unknown key", "nobody", application.secret.as_str()),
            ("a wrong secret", &application.key, "wrong"),
            ("an empty secret", &application.key, ""),
            ("nothing at all", "", ""),
        ] {
            let answer = application.sends_as_is(request().basic(id, secret)).await;

            assert_eq!(answer.refusal(), (401, "invalid_client".into()), "{name}: {}", answer.text());
            assert!(answer.challenge().starts_with("Basic"), "{name}");
        }
        for header in ["Basic !!!", "Basic bm9jb2xvbg==", "Basic", "Basic /////w=="] {
            let answer = application.sends_as_is(request().header("authorization", header)).await;
            assert!(matches!(answer.status, 400 | 401), "{header}: {} {}", answer.status, answer.text());
        }
        assert_eq!(application.sends_as_is(request()).await.refusal(), (401, "invalid_client".into()));
        assert_eq!(application.sends(request()).await.status, 200, "the assertion was not burnt");
    }

    async fn credentials_may_come_in_the_body(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let assertion = idp.sign_for("alice");
        let form = |secret| {
            let credentials = [("client_id", application.key.as_str()), ("client_secret", secret)];
            let grant = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
            application.token_request().form(&[credentials, grant].concat())
        };

        let wrong = application.sends_as_is(form("wrong")).await.refusal();

        assert!(matches!(wrong.0, 400 | 401));
        assert_eq!(wrong.1, "invalid_client");
        assert_eq!(application.sends_as_is(form(&application.secret)).await.status, 200);
    }

    async fn the_keys_of_a_deleted_application_open_nothing(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.developer().registers("doomed").await;
        let other = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        assert!(matches!(world.developer().deletes(&application).await.status, 200 | 204));

        assert_eq!(application.exchanges(&idp.sign_for("alice")).await.refusal(), (401, "invalid_client".into()));
        assert_eq!(other.introspects(&token).await.json(), json!({ "active": false }));
    }

    async fn a_grant_that_the_application_does_not_list_is_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let body = json!({ "name": "machine", "tier": "Unlimited" });
        let machine = world.developer().registers_with(&body, &["client_credentials"]).await;

        let refused = machine.exchanges(&idp.sign_for("alice")).await;
        let unsupported = machine.asks_for_a_token(&[("grant_type", "implicit")]).await;
        let own = machine.asks_for_a_token(&[("grant_type", "client_credentials")]).await;

        assert_eq!(refused.refusal(), (400, "unauthorized_client".into()));
        assert_eq!(unsupported.refusal(), (400, "unsupported_grant_type".into()));
        assert_eq!(own.expect(200).json().get("refresh_token"), None);
    }

    async fn a_refresh_token_is_good_for_its_own_application_only(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let thief = world.developer().registers("thief").await;
        let bought = application.exchanges(&idp.sign_for("alice")).await.expect(200);
        let refresh = bought.member("refresh_token");

        assert_eq!(thief.refreshes(&refresh).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(thief.refreshes(&bought.member("access_token")).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(application.refreshes(&refresh).await.status, 200, "the owner lost nothing");
    }
}
