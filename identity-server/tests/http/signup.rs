//! `POST /api/v1/signup`

use serde_json::json;

use crate::actors::{As, Server};

const PATH: &str = "/api/v1/signup";

#[tokio::test]
async fn a_person_signs_up_and_then_in() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "profile email roles"})).await;
    let body = json!({"username": "alice", "password": "password-of-alice", "email": "a@example.com", "given_name": "Alice"});
    let reply = server.post_json(PATH, As::Nobody, body.clone()).await;
    assert_eq!((reply.status, reply.str("username")), (201, "alice".to_owned()));
    assert!(!reply.text.contains("password"));
    let claims = server.signs_in(&client, "alice").await.claims();
    assert_eq!((&claims["email"], &claims["given_name"]), (&json!("a@example.com"), &json!("Alice")));
    assert_eq!(server.post_json(PATH, As::Nobody, body).await.status, 409);
}

#[tokio::test]
async fn every_bad_field_of_a_sign_up_is_named_at_once() {
    let server = Server::start().await;
    let bad =
        json!({"username": " x", "password": "short", "email": "nobody", "name": "", "roles": ["admin"]});
    assert_eq!(
        server.post_json(PATH, As::Nobody, bad).await.blamed(),
        ["username", "password", "email", "name", "roles"]
    );
    assert_eq!(
        server.post_json(PATH, As::Nobody, json!({})).await.blamed(),
        ["username", "password", "email"]
    );
    let name = json!({"username": "alexander", "password": "Alexander", "email": "a@example.com"});
    assert_eq!(server.post_json(PATH, As::Nobody, name).await.blamed(), ["password"]);
}

#[tokio::test]
async fn sign_up_can_be_switched_off() {
    let server = Server::start_with(|settings| settings.signup = false).await;
    let body = json!({"username": "alice", "password": "password-of-alice", "email": "a@example.com"});
    assert_eq!(server.post_json(PATH, As::Nobody, body).await.status, 403);
}

#[tokio::test]
async fn nobody_signs_up_under_the_administrators_name() {
    let server = Server::start().await;
    for name in ["admin", "Admin", "ADMIN"] {
        let body = json!({"username": name, "password": "password-of-alice", "email": "a@example.com"});
        assert_eq!(server.post_json(PATH, As::Nobody, body).await.blamed(), ["username"], "{name}");
    }
}
