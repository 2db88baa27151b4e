//! The management REST for people: JWTs of a provider that was allowed to open it, as far as their scopes go.

use e2e::actors::draft;
use e2e::client::{Answer, Call};
use serde_json::json;
use test_support::on_every_stage;

use super::world;

on_every_stage! {
    async fn a_jwt_opens_what_its_scopes_name(stage: Stage) {
        let world = world(stage).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "management": true })).await;
        let rest = format!("{}/api/v1", world.places().manager);
        let jwt = |scope: &str| idp.sign(&idp.claims("paula").with("scope", scope));
        let creates = async |jwt: &str, context: &str| -> Answer {
            let body = draft(context, &world.backend.url());
            world.http.send(Call::post(format!("{rest}/apis")).json(&body).bearer(jwt)).await
        };

        let viewer = jwt("apim:api_view");
        assert_eq!(world.http.send(Call::get(format!("{rest}/apis")).bearer(&viewer)).await.status, 200);
        let refused = creates(&viewer, "pets").await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.challenge().contains("insufficient_scope"), "{}", refused.challenge());

        let maker = jwt("apim:api_view apim:api_create");
        for context in ["pets", "shops"] {
            let made = creates(&maker, context).await;
            assert_eq!(made.status, 201, "a JWT is good for any number of calls: {}", made.text());
        }
        let trust = Call::get(format!("{rest}/identity-providers")).bearer(&maker);
        assert_eq!(world.http.send(trust).await.status, 403);
    }

    async fn a_provider_that_was_not_allowed_to_opens_nothing(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let jwt = idp.sign(&idp.claims("paula").with("scope", "apim:admin"));
        let call = Call::get(format!("{}/api/v1/apis", world.places().manager)).bearer(&jwt);

        let refused = world.http.send(call).await;

        assert!(matches!(refused.status, 401 | 403), "{} {}", refused.status, refused.text());
    }

    async fn the_first_look_gives_a_developer_a_default_application(stage: Stage) {
        let world = world(stage).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "management": true })).await;
        let jwt = idp.sign(&idp.claims("dora").with("scope", "apim:subscribe"));
        let list = || Call::get(format!("{}/api/v1/applications", world.places().manager)).bearer(&jwt);

        let (first, second) = tokio::join!(world.http.send(list()), world.http.send(list()));

        for answer in [first, second, world.http.send(list()).await] {
            let items = answer.clone().expect(200).json()["items"].as_array().cloned().unwrap_or_default();
            assert_eq!(items.len(), 1, "{}", answer.text());
            assert_eq!(items[0]["name"], "DefaultApplication");
        }
    }
}
