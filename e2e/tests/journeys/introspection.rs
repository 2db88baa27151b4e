//! What the two servers say about tokens (RFC 7662), and to whom.

use e2e::client::{Answer, Call};
use serde_json::json;
use test_support::on_every_stage;

use super::{whole_world, world};

on_every_stage! {
    async fn a_live_opaque_token_is_described_to_its_application(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        let answer = application.introspects(&token).await.expect(200);

        let body = answer.json();
        assert_eq!(body["active"], true);
        assert_eq!(body["sub"], "alice");
        assert_eq!(body["client_id"], application.key.as_str());
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["exp"].as_i64().unwrap() > body["iat"].as_i64().unwrap());
        assert!(answer.header("cache-control").contains("no-store"));
    }

    async fn what_is_not_alive_is_inactive_and_nothing_else(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        for token in ["junk", "00000000-0000-4000-8000-000000000000", &"x".repeat(10_000), "a.b.c"] {
            let answer = application.introspects(token).await;

            assert_eq!((answer.status, answer.json()), (200, json!({ "active": false })), "{token:.40}");
        }
    }

    async fn nobody_introspects_or_revokes_without_credentials(stage: Stage) {
        let world = whole_world(stage).await;
        for server in [&world.places().identity, &world.places().manager] {
            for path in ["introspect", "revoke"] {
                let call = || Call::post(format!("{server}/oauth2/{path}")).form(&[("token", "x")]);

                let nobody = world.http.send(call()).await;
                let stranger = world.http.send(call().basic("nobody", "x")).await;
                let got = world.http.send(Call::get(format!("{server}/oauth2/{path}?token=x"))).await;

                assert_eq!(nobody.refusal(), (401, "invalid_client".into()), "{path}: {}", nobody.text());
                assert_eq!(stranger.refusal(), (401, "invalid_client".into()), "{path}: {}", stranger.text());
                assert_eq!(got.status, 405, "{path}");
            }
        }
    }

    async fn a_request_without_a_token_is_invalid_and_a_wrong_hint_does_no_harm(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        let url = format!("{}/oauth2/introspect", world.places().manager);
        let ask = async |form: &[(&str, &str)]| application.sends(Call::post(&url).form(form)).await;

        assert_eq!(ask(&[("x", "y")]).await.refusal(), (400, "invalid_request".into()));
        for hint in ["refresh_token", "access_token", "surprise"] {
            assert_eq!(ask(&[("token", &token), ("token_type_hint", hint)]).await.json()["active"], true, "{hint}");
        }
    }

    async fn a_jwt_of_the_identity_server_lives_until_it_is_revoked(stage: Stage) {
        let world = whole_world(stage).await;
        let client = world.client().await;
        let alice = client.welcomes("alice").await;
        let jwt = client.signs_in(&alice).await.token();
        let ask = async |path: &str| -> Answer {
            let call = Call::post(format!("{}/oauth2/{path}", world.places().identity)).form(&[("token", &jwt)]);
            world.http.send(call.basic(&client.id, &client.secret)).await
        };

        let alive = ask("introspect").await.json();
        assert_eq!((&alive["active"], &alive["sub"]), (&json!(true), &json!("alice")));
        let _ = ask("revoke").await.expect(200);
        assert_eq!(ask("introspect").await.json(), json!({ "active": false }));
        let _ = ask("revoke").await.expect(200);
    }
}
