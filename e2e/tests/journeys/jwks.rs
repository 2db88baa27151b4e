//! Identity providers whose keys are fetched: rotation without us, floods that fetch nothing, and absence.

use e2e::idp::Idp;
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::{timeless_world, world};

/// Longer than the interval in which an unknown `kid` asks for the set once.
const LATER: i64 = 31;

fn signed(idp: &Idp, kid: &str) -> String {
    let mut header = idp.header();
    header["kid"] = Value::from(kid);
    idp.sign_under(&header, &idp.claims("alice"))
}

on_every_stage! {
    async fn keys_rotate_at_the_identity_provider_without_anybody_telling_us(stage: Stage) {
        let world = timeless_world(stage).await;
        let (old, application) = (world.strange_idp(), world.subscribed_application("pets").await);
        let new = Idp::new(&old.issuer, &old.alias, &world.clock);
        world.backend.serves("/jwks.json", &json!({ "keys": [old.jwk("old")] }));
        let trust = json!({ "name": old.issuer, "alias": old.alias, "jwks_uri": format!("{}/jwks.json", world.backend.url()) });
        let _ = world.administrator().asks_to_trust(&trust).await.expect(201);
        let first = application.exchanges(&signed(&old, "old")).await;
        assert_eq!(first.status, 200, "{}", first.text());

        world.backend.serves("/jwks.json", &json!({ "keys": [new.jwk("new")] }));
        world.clock.advance(LATER);
        let rotated = application.exchanges(&signed(&new, "new")).await;

        assert_eq!(rotated.status, 200, "{}", rotated.text());
        assert_eq!(application.exchanges(&signed(&old, "old")).await.refusal(), (400, "invalid_grant".into()));
    }

    async fn a_flood_of_unknown_key_ids_fetches_once(stage: Stage) {
        let world = timeless_world(stage).await;
        let (idp, application) = (world.strange_idp(), world.subscribed_application("pets").await);
        world.backend.serves("/jwks.json", &json!({ "keys": [idp.jwk("known")] }));
        let trust = json!({ "name": idp.issuer, "alias": idp.alias, "jwks_uri": format!("{}/jwks.json", world.backend.url()) });
        let _ = world.administrator().asks_to_trust(&trust).await.expect(201);
        assert_eq!(application.exchanges(&signed(&idp, "known")).await.status, 200);
        world.clock.advance(LATER);
        let before = world.backend.reached();

        // A key ID is a hint: what a known key has signed is good under any. So the flood is a stranger's.
        let stranger = Idp::new(&idp.issuer, &idp.alias, &world.clock);
        let flood = (0..30).map(|number| signed(&stranger, &format!("unknown {number}"))).collect::<Vec<_>>();
        let answers = futures_util::future::join_all(flood.iter().map(|jwt| application.exchanges(jwt))).await;

        assert!(answers.iter().all(|answer| answer.status == 400), "{:?}", answers[0].text());
        assert!(world.backend.reached() - before <= 1, "{} fetches", world.backend.reached() - before);
        assert_eq!(application.exchanges(&signed(&idp, "known")).await.status, 200);
    }

    async fn an_identity_provider_that_cannot_be_reached_is_not_the_clients_fault(stage: Stage) {
        let world = world(stage).await;
        let (idp, application) = (world.strange_idp(), world.subscribed_application("pets").await);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        drop(listener);
        let trust = json!({ "name": idp.issuer, "alias": idp.alias, "jwks_uri": uri });
        let _ = world.administrator().asks_to_trust(&trust).await.expect(201);

        let answer = application.exchanges(&signed(&idp, "any")).await;

        assert_eq!(answer.refusal(), (503, "temporarily_unavailable".into()), "{}", answer.text());
        assert!(!answer.header("retry-after").is_empty());
    }
}
