//! What the gateway lets through, what it refuses, and how it stands by when the backend fails.

use e2e::client::Call;
use serde_json::json;
use test_support::on_every_stage;
use uuid::Uuid;

use super::{application_with_scopes, world};

on_every_stage! {
    async fn a_call_without_a_good_token_never_reaches_the_backend(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        let url = application.gateway("/pets/1.0/cats");

        let nothing = application.sends_as_is(Call::get(&url)).await;
        assert_eq!(nothing.refusal(), (401, "900902".into()));
        assert!(nothing.challenge().starts_with("Bearer"), "{}", nothing.challenge());
        assert!(!nothing.challenge().contains("error="), "{}", nothing.challenge());
        assert!(!nothing.member("message").is_empty() && !nothing.member("description").is_empty());

        let unknown = Uuid::now_v7().to_string();
        for token in [unknown.clone(), unknown.to_uppercase(), "junk".into(), format!("{unknown} x"), "x".repeat(20_000)] {
            let refused = application.calls("/pets/1.0/cats", &token).await;
            assert!(matches!(refused.status, 400 | 401 | 431), "{token:.40}: {}", refused.text());
            if refused.status == 401 {
                assert!(refused.challenge().contains("error=\"invalid_token\""), "{token:.40}: {}", refused.challenge());
            }
        }
        for header in ["Bearer", "Bearer ", "Token x", "Basic YTpi", "Bearer,x"] {
            let refused = application.sends_as_is(Call::get(&url).header("authorization", header)).await;
            assert!(matches!(refused.status, 400 | 401), "{header}: {} {}", refused.status, refused.text());
        }
        assert_eq!(world.backend.reached(), 0);
    }

    async fn a_token_opens_what_its_application_has_subscribed_to_and_nothing_else(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let _ = world.publisher().publishes("petshop", &world.backend.url()).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        assert_eq!(application.calls("/petshop/1.0/cats", &token).await.refusal(), (403, "900908".into()));
        for strange in ["/nowhere/1.0/cats", "/pets/2.0/cats", "/pet/1.0/cats", "/pets/1.0x/cats", "/PETS/1.0/cats", "/"] {
            let refused = application.calls(strange, &token).await;
            assert_eq!(refused.status, 404, "{strange}: {}", refused.text());
        }
        assert_eq!(world.backend.reached(), 0);
    }

    async fn a_blocked_subscription_stops_and_an_unblocked_one_goes_on(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let api = world.publisher().publishes("pets", &world.backend.url()).await;
        let application = world.developer().registers("app").await;
        let subscription = world.developer().subscribes(&application, &api).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);

        let act = async |action: &str| {
            let answer = world.developer().posts(&format!("subscriptions/{subscription}/{action}"), &json!({})).await;
            assert!(matches!(answer.status, 200 | 204), "{action}: {} {}", answer.status, answer.text());
        };
        act("block").await;
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.refusal(), (401, "900907".into()));
        act("unblock").await;
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);
    }

    async fn an_api_answers_as_far_along_as_its_life_is(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let publisher = world.publisher();
        let api = publisher.publishes("pets", &world.backend.url()).await;
        let application = world.developer().registers("app").await;
        world.developer().subscribes(&application, &api).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        let status = async || application.calls("/pets/1.0/cats", &token).await.status;

        assert_eq!(status().await, 200);
        publisher.moves(&api, "block").await;
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.refusal(), (503, "700700".into()));
        let illegal = publisher.tries_to_move(&api, "retire").await;
        assert!(matches!(illegal.status, 400 | 409 | 422), "{} {}", illegal.status, illegal.text());
        assert!(illegal.text().contains("republish") && illegal.text().contains("deprecate"), "{}", illegal.text());
        publisher.moves(&api, "republish").await;
        assert_eq!(status().await, 200);
        publisher.moves(&api, "deprecate").await;
        assert_eq!(status().await, 200);
        publisher.moves(&api, "retire").await;
        assert_eq!(status().await, 404);
    }

    async fn an_operation_wants_its_scope(stage: Stage) {
        let world = world(stage).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "scopes": ["pets:read"] })).await;
        let application = application_with_scopes(&world).await;
        let token = application.exchanges_for(&idp.sign_for("alice"), "pets:read").await.token();

        let refused = application.calls("/pets/1.0/write", &token).await;

        assert_eq!(refused.refusal(), (403, "900910".into()));
        assert!(refused.challenge().contains("error=\"insufficient_scope\""), "{}", refused.challenge());
        assert!(refused.challenge().contains("scope=\"pets:write\""), "{}", refused.challenge());
        assert_eq!(application.calls("/pets/1.0/read", &token).await.status, 200);
        let open = application.sends_as_is(Call::get(application.gateway("/pets/1.0/open"))).await;
        assert_eq!(open.status, 200, "{}", open.text());
    }

    async fn what_reaches_the_backend_is_the_callers_request_without_what_is_nobodys_business(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        let call = Call::get(application.gateway("/pets/1.0/cats?q=a%20b"))
            .bearer(&token)
            .header("connection", "x-hop, te")
            .header("x-hop", "1")
            .header("x-request-id", "a-request")
            .header("x-kept", "yes");
        let answer = application.sends_as_is(call).await.expect(200);

        let body = answer.json();
        let headers = &body["headers"];
        assert_eq!(body["path"], "/cats?q=a%20b");
        assert_eq!(headers["x-kept"], "yes");
        assert_eq!(headers["x-request-id"], "a-request");
        for gone in ["authorization", "x-hop", "connection", "te"] {
            assert_eq!(headers.get(gone), None, "{gone}");
        }
        for set in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
            assert!(headers.get(set).is_some(), "{set}: {headers}");
        }
        assert_eq!(headers["x-forwarded-proto"], "https");
    }

    async fn bodies_stream_both_ways(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        let lines = application.calls("/pets/1.0/stream", &token).await;
        let upload = Call::post(application.gateway("/pets/1.0/length")).bearer(&token).body(vec![7; 3 << 20]);
        let counted = application.sends_as_is(upload).await;

        assert_eq!(lines.text().lines().count(), 10, "{}", lines.text());
        assert_eq!(counted.expect(200).json()["length"], 3 << 20);
    }

    async fn the_backends_own_refusals_pass_through(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        let refused = application.calls("/pets/1.0/status/401", &token).await;

        assert_eq!(refused.status, 401);
        assert_eq!(refused.challenge(), "Basic realm=\"backend\"");
        assert_eq!(application.calls("/pets/1.0/status/503", &token).await.json(), json!({ "status": 503 }));
    }

    async fn a_backend_that_fails_is_told_apart_from_a_gateway_that_refuses(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        let members = json!({
            "operations": [{ "method": "GET", "path": "/*" }],
            "timeouts": { "connect": 1_000, "first_byte": 200, "idle": 1_000 },
        });
        let closed = closed_port().await;
        let away = world.publisher().publishes_with("away", &closed, &members).await;
        let slow = world.publisher().publishes_with("slow", &world.backend.url(), &members).await;
        for api in [&away, &slow] {
            world.developer().subscribes(&application, api).await;
        }

        let refused = application.calls("/away/1.0/cats", &token).await;
        assert!(matches!(refused.status, 502 | 503), "{} {}", refused.status, refused.text());
        assert_eq!(refused.refusal().1, "101503", "{}", refused.text());
        let late = application.calls("/slow/1.0/slow/5000", &token).await;
        assert_eq!(late.refusal(), (504, "101504".into()), "{}", late.text());

        let call = Call::get(application.gateway("/pets/1.0/broken")).bearer(&token);
        let broken = world.http.try_send(call).await;
        assert!(broken.is_err(), "half an answer must not pass for a whole one: {broken:?}");
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200, "and the gateway goes on");
    }
}

/// A URL where nobody listens.
async fn closed_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}
