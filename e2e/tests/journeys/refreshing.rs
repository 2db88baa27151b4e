//! Refresh tokens rotate; a spent one that comes back ends its whole family (RFC 9700, section 4.14.2).

use e2e::client::{Answer, Call};
use e2e::world::{Databases, World};
use shared_claims::clock::{Clock, UnixTime};
use test_support::{Stage, on_every_stage};

use super::{application_with_scopes, timeless_world};

/// Longer than the window in which a client that lost the answer may retry.
const LONG_AFTER: i64 = 11;

async fn timeless_whole_world(stage: Stage) -> World {
    let databases =
        Databases { identity: Some(stage.database_url().await), manager: stage.database_url().await };
    World::start(databases, Clock::manual(UnixTime(1_900_000_000))).await
}

on_every_stage! {
    async fn a_spent_refresh_token_of_the_api_manager_ends_its_family(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let first = application.exchanges(&idp.sign_for("alice")).await.expect(200);
        let second = application.refreshes(&first.member("refresh_token")).await.expect(200);
        assert_ne!(first.member("refresh_token"), second.member("refresh_token"));

        world.clock.advance(LONG_AFTER);
        let reused = application.refreshes(&first.member("refresh_token")).await;

        assert_eq!(reused.refusal(), (400, "invalid_grant".into()), "{}", reused.text());
        let newest = application.refreshes(&second.member("refresh_token")).await;
        assert_eq!(newest.refusal(), (400, "invalid_grant".into()), "{}", newest.text());
        assert_eq!(application.calls("/pets/1.0/cats", &second.member("access_token")).await.status, 401);
    }

    async fn a_spent_refresh_token_of_the_identity_server_ends_its_family(stage: Stage) {
        let world = timeless_whole_world(stage).await;
        let client = world.client().await;
        let alice = client.welcomes("alice").await;
        let refresh = async |token: &str| -> Answer {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            let call = Call::post(format!("{}/oauth2/token", world.places().identity)).form(&form);
            world.http.send(call.basic(&client.id, &client.secret)).await
        };
        let first = client.signs_in(&alice).await.expect(200).member("refresh_token");

        let second = refresh(&first).await.expect(200).member("refresh_token");
        let retried = refresh(&first).await;
        assert_eq!(retried.status, 200, "a client that lost the answer tries again: {}", retried.text());

        world.clock.advance(LONG_AFTER);
        assert_eq!(refresh(&first).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(refresh(&second).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(refresh(&retried.member("refresh_token")).await.refusal(), (400, "invalid_grant".into()));
    }

    async fn a_refresh_narrows_a_scope_and_never_widens_it(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.trusted_idp().await;
        let application = application_with_scopes(&world).await;
        let bought = application.exchanges_for(&idp.sign_for("alice"), "pets:read pets:write").await.expect(200);
        let refresh = async |token: &str, scope: &str| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
            application.asks_for_a_token(&form).await
        };

        let wider = refresh(&bought.member("refresh_token"), "pets:read pets:write admin").await;
        let narrower = refresh(&bought.member("refresh_token"), "pets:read").await;

        assert_eq!(wider.refusal(), (400, "invalid_scope".into()), "{}", wider.text());
        assert_eq!(narrower.expect(200).member("scope"), "pets:read");
    }
}
