//! What the servers publish about themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::client::{Call, Http};
use test_support::{Stage, on_every_stage};

use super::whole_world;

on_every_stage! {
    async fn the_identity_server_publishes_keys_without_secrets_and_an_issuer_that_is_its_own(stage: Stage) {
        let world = whole_world(stage).await;
        let identity = &world.places().identity;
        let get = async |path: &str| world.http.send(Call::get(format!("{identity}{path}"))).await.expect(200);

        let keys = get("/oauth2/jwks").await.json();
        let keys = keys["keys"].as_array().unwrap();
        let kids: BTreeSet<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
        assert_eq!(kids.len(), keys.len());
        for key in keys {
            for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(key.get(secret), None, "{secret}");
            }
            assert!(key["kty"].is_string() && key["alg"].is_string() && key["use"] == "sig", "{key}");
        }

        let openid = get("/.well-known/openid-configuration").await.json();
        let oauth = get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(openid["issuer"], oauth["issuer"]);
        for member in ["issuer", "token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"] {
            assert!(oauth[member].as_str().unwrap().starts_with("https://"), "{member}: {}", oauth[member]);
        }
        let grants = oauth["grant_types_supported"].as_array().unwrap();
        assert!(grants.iter().any(|grant| grant == "password"), "{grants:?}");
    }

    async fn both_servers_say_how_they_are_and_what_they_offer(stage: Stage) {
        let world = whole_world(stage).await;
        for server in [&world.places().identity, &world.places().manager] {
            for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json"] {
                let answer = world.http.send(Call::get(format!("{server}{path}"))).await;
                assert_eq!(answer.status, 200, "{server}{path}: {}", answer.text());
            }
            let docs = world.http.send(Call::get(format!("{server}/docs"))).await;
            assert!(matches!(docs.status, 200 | 301..=308), "{server}/docs: {}", docs.status);
        }
    }
}

/// A client acknowledges the session tickets after 40 ms at the earliest where it has nothing to say (RFC 1122, section
/// 4.2.3.2): an answer that waits for that is never faster, whatever else the machine does.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_on_a_connection_waits_for_no_acknowledgement() {
    let world = whole_world(Stage::Sqlite).await;
    for server in [&world.places().identity, &world.places().manager] {
        let mut fastest = Duration::MAX;
        for _ in 0..20 {
            let (stranger, began) = (Http::new(), Instant::now());
            let answer = stranger.send(Call::get(format!("{server}/health/live"))).await;
            fastest = fastest.min(began.elapsed());
            assert_eq!(answer.status, 200);
        }
        assert!(fastest < Duration::from_millis(40), "{server}: {fastest:?}");
    }
}
