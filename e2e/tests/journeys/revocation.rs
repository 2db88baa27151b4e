//! Taking tokens back: one by one, and everything of a lineage.

use serde_json::{Value, json};
use test_support::on_every_stage;

use super::world;

on_every_stage! {
    async fn a_revoked_token_stops_at_the_gateway(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);

        application.revokes(&token).await;

        let refused = application.calls("/pets/1.0/cats", &token).await;
        assert_eq!(refused.refusal(), (401, "900901".into()));
        assert!(refused.challenge().contains("error=\"invalid_token\""), "{}", refused.challenge());
        assert_eq!(application.introspects(&token).await.json(), json!({ "active": false }));
        application.revokes(&token).await;
        application.revokes("unknown").await;
    }

    async fn a_restart_revives_nothing_that_was_revoked(stage: Stage) {
        let mut world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        application.revokes(&token).await;

        world.restarts_the_manager().await;

        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 401);
    }

    async fn an_application_cannot_revoke_the_token_of_another(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let other = world.developer().registers("another").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        let url = format!("{}/oauth2/revoke", world.places().manager);
        let _ = other.sends(e2e::client::Call::post(url).form(&[("token", &token)])).await;

        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);
    }

    async fn a_revoked_refresh_token_ends_its_family(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let first = application.exchanges(&idp.sign_for("alice")).await.expect(200);
        let second = application.refreshes(&first.member("refresh_token")).await.expect(200);

        application.revokes(&second.member("refresh_token")).await;

        let answer = application.refreshes(&second.member("refresh_token")).await;
        assert_eq!(answer.refusal(), (400, "invalid_grant".into()));
        assert_eq!(application.calls("/pets/1.0/cats", &second.member("access_token")).await.status, 401);
    }

    async fn whatever_a_lineage_bought_can_be_taken_back_at_once(stage: Stage) {
        let world = world(stage).await;
        let administrator = world.administrator();
        let idp = world.strange_idp();
        let id = administrator.trusts(&idp).await;
        let application = world.subscribed_application("pets").await;
        let other = world.trusted_idp().await;
        let kept = application.exchanges(&other.sign_for("carol")).await.token();

        let lines: [(&str, Value); 3] = [
            ("a subject", json!({ "subject": "alice", "issuer": idp.issuer })),
            ("an assertion", json!({ "assertion": { "issuer": idp.issuer, "jti": "the one" } })),
            ("an identity provider", json!({ "identity_provider_id": id })),
        ];
        for (name, what) in lines {
            let jti = if name == "an assertion" { "the one".to_owned() } else { format!("jti of {name}") };
            let bought = application.exchanges(&idp.sign(&idp.claims("alice").with("jti", jti))).await.expect(200);
            let tokens = [bought.member("access_token"), {
                application.refreshes(&bought.member("refresh_token")).await.token()
            }];
            let alive = application.calls("/pets/1.0/cats", &tokens[1]).await;
            assert_eq!(alive.status, 200, "{name}: {}", alive.text());

            let answer = administrator.revokes(&what).await;

            assert!((200..300).contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
            for token in &tokens {
                let refused = application.calls("/pets/1.0/cats", token).await;
                assert_eq!(refused.refusal(), (401, "900901".into()), "{name}");
            }
            assert_eq!(application.calls("/pets/1.0/cats", &kept).await.status, 200, "{name}");
        }

        let answer = administrator.revokes(&json!({ "application_id": application.id })).await;
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
        assert_eq!(application.calls("/pets/1.0/cats", &kept).await.status, 401);
        let fresh = application.exchanges(&other.sign_for("carol")).await.token();
        assert_eq!(application.calls("/pets/1.0/cats", &fresh).await.status, 200, "bought afterwards");
    }
}
