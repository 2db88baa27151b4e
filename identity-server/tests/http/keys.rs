//! `/api/v1/keys` and what is published.

use serde_json::json;

use crate::actors::{As, Server, part};

#[tokio::test]
async fn a_rotated_key_signs_at_once_and_the_old_one_stays_published() {
    let server = Server::start().await;
    let client = server.registers(json!({"access_token_lifetime": 7_200})).await;
    let form = [("grant_type", "client_credentials")];
    let before = server.token(&client, &form).await.str("access_token");
    let certificate = server.get("/oauth2/certificate", As::Nobody).await;
    assert!(certificate.text.starts_with("-----BEGIN CERTIFICATE-----"));

    let rotated = server.send("POST", "/api/v1/keys/rotate", As::Admin, &[], "").await;
    assert_eq!((rotated.status, rotated.str("state")), (201, "current".to_owned()));
    assert!(!rotated.text.contains("PRIVATE"));

    let after = server.token(&client, &form).await.str("access_token");
    assert_eq!(part(&after, 0)["kid"], rotated.json()["kid"]);
    assert_ne!(part(&before, 0)["kid"], part(&after, 0)["kid"]);
    assert_ne!(server.get("/oauth2/certificate", As::Nobody).await.text, certificate.text);
    assert!(server.is_active(&client, &before).await);

    let published =
        async || server.get("/oauth2/jwks", As::Nobody).await.json()["keys"].as_array().unwrap().len();
    server.clock.advance(7_200);
    assert_eq!(published().await, 2);
    server.clock.advance(60);
    assert_eq!(published().await, 1);
}

#[tokio::test]
async fn the_key_set_holds_public_members_only_and_each_kid_once() {
    let server = Server::start().await;
    server.registers(json!({"access_token_signed_response_alg": "PS256"})).await;
    server.registers(json!({"access_token_signed_response_alg": "EdDSA"})).await;
    let set = server.get("/oauth2/jwks", As::Nobody).await.json();
    let keys = set["keys"].as_array().unwrap();
    let mut kids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    kids.dedup();
    assert_eq!((kids.len(), keys.len()), (3, 3));
    for key in keys {
        assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|name| key.get(name).is_none()));
        assert!(
            key["x5c"].is_array()
                && key["x5t#S256"].is_string()
                && key["use"] == "sig"
                && key["alg"].is_string()
        );
    }
}

#[tokio::test]
async fn keys_are_listed_and_rotated_by_algorithm() {
    let server = Server::start().await;
    let made = server.post_json("/api/v1/keys/rotate", As::Admin, json!({"algorithm": "ES256"})).await;
    assert_eq!((made.status, made.str("algorithm")), (201, "ES256".to_owned()));
    let list = server.get("/api/v1/keys", As::Admin).await.json();
    let states: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["current", "current"]);
    let bad = server.post_json("/api/v1/keys/rotate", As::Admin, json!({"algorithm": "none", "x": 1})).await;
    assert_eq!(bad.blamed(), ["algorithm", "x"]);
    let unreadable =
        server.send("POST", "/api/v1/keys/rotate", As::Admin, &[("content-type", "text/plain")], "{}").await;
    assert_eq!(unreadable.status, 415);
    assert_eq!(server.send("POST", "/api/v1/keys/rotate", As::Nobody, &[], "").await.status, 401);
}
