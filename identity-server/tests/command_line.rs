//! What the command line changes, a running server sees.

use std::time::Duration;

use identity_server::commands::{self, NewClient};
use shared_claims::clock::Clock;
use shared_claims::secret::Secret;

use crate::actors::{As, OAuthClient, Server, password_of};

#[tokio::test]
async fn clients_and_users_of_the_command_line_sign_in_at_once() {
    let server = Server::start().await;
    let new = NewClient {
        name: "shop".into(),
        grant_types: vec!["password".into()],
        audiences: vec!["https://api.example".into()],
        scopes: vec!["a".into()],
    };
    let (id, secret) = commands::create_client(&server.settings, &Clock::System, new).await.unwrap();
    let password = Secret::new(password_of("alice"));
    commands::create_user(&server.settings, &Clock::System, "alice", password.clone()).await.unwrap();
    let client = OAuthClient { id, secret: secret.expose().to_owned() };
    assert_eq!(server.signs_in(&client, "alice").await.status, 200);

    let again = commands::create_user(&server.settings, &Clock::System, "ALICE", password).await;
    assert!(again.unwrap_err().to_string().contains("taken"));
}

#[tokio::test]
async fn a_key_rotated_by_the_command_line_is_published_within_a_second() {
    let server = Server::start().await;
    let kid = commands::rotate_keys(&server.settings, &server.clock).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let keys = server.get("/oauth2/jwks", As::Nobody).await;
    assert!(keys.text.contains(&kid));
    let before = server.get("/oauth2/certificate", As::Nobody).await.text;
    server.clock.advance(2);
    let after = server.get("/oauth2/certificate", As::Nobody).await.text;
    assert_ne!(before, after);
    assert_eq!(commands::certificate(&server.settings, &server.clock).await.unwrap(), after);
}

#[tokio::test]
async fn wrong_arguments_are_all_named() {
    let server = Server::start().await;
    let new = NewClient {
        name: "shop".into(),
        grant_types: vec!["implicit".into()],
        audiences: vec![],
        scopes: vec!["a\"".into()],
    };
    let wrong = commands::create_client(&server.settings, &Clock::System, new).await.unwrap_err().to_string();
    assert!(wrong.contains("implicit") && wrong.contains("--scopes"), "{wrong}");
    let short = commands::create_user(&server.settings, &Clock::System, "bob", Secret::new("x")).await;
    assert!(short.unwrap_err().to_string().contains("too short"));
}
