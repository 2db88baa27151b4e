//! Introspection and revocation.

use serde_json::json;

use crate::actors::{As, Server};

#[tokio::test]
async fn introspection_tells_what_a_live_token_says() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "a"})).await;
    server.enrols("alice", json!({})).await;
    let issued = server.signs_in(&client, "alice").await;
    let who = || As::Basic(&client.id, &client.secret);

    let form = [("token", issued.str("access_token")), ("token_type_hint", "nonsense".to_owned())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let seen = server.post_form("/oauth2/introspect", who(), &form).await.json();
    assert_eq!((&seen["active"], &seen["sub"], &seen["scope"]), (&json!(true), &json!("alice"), &json!("a")));
    assert_eq!((&seen["client_id"], &seen["token_type"]), (&json!(client.id), &json!("Bearer")));
    assert!(
        seen["exp"].is_i64() && seen["iat"].is_i64() && seen["aud"].is_array() && seen["jti"].is_string()
    );

    let seen = server
        .post_form("/oauth2/introspect", who(), &[("token", &issued.str("refresh_token"))])
        .await
        .json();
    assert_eq!((&seen["active"], &seen["token_type"]), (&json!(true), &json!("refresh_token")));
}

#[tokio::test]
async fn introspection_says_nothing_about_a_token_that_is_not_good() {
    let server = Server::start().await;
    let client = server.registers(json!({"access_token_lifetime": 10})).await;
    let token = server.token(&client, &[("grant_type", "client_credentials")]).await.str("access_token");
    let tampered = format!("{}A", &token[..token.len() - 1]);
    let foreign = token.rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    let huge = "a".repeat(1 << 20);
    for bad in ["", "x", "a.b.c", "00000000-0000-0000-0000-000000000000", &foreign, &huge] {
        assert!(!server.is_active(&client, bad).await, "{bad:.40}");
    }
    assert!(tampered == token || !server.is_active(&client, &tampered).await);
    assert!(server.is_active(&client, &token).await);
    server.clock.advance(10);
    assert!(!server.is_active(&client, &token).await);
}

#[tokio::test]
async fn a_token_that_was_looked_at_before_is_looked_at_anew() {
    let server = Server::start().await;
    let client = server.registers(json!({"access_token_lifetime": 60})).await;
    let form = [("grant_type", "client_credentials")];
    let (first, second) = (
        server.token(&client, &form).await.str("access_token"),
        server.token(&client, &form).await.str("access_token"),
    );
    assert!(server.is_active(&client, &first).await && server.is_active(&client, &second).await);

    let revoked = server.post_form("/oauth2/revoke", As::Admin, &[("token", &first)]).await;
    assert_eq!(revoked.status, 200);
    assert!(!server.is_active(&client, &first).await, "it was revoked");
    assert!(server.is_active(&client, &second).await);
    server.clock.advance(60);
    assert!(!server.is_active(&client, &second).await, "it has expired");
}

#[tokio::test]
async fn introspection_wants_to_know_who_asks_and_about_what() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    let ask =
        async |who: As<'_>, form: &[(&str, &str)]| server.post_form("/oauth2/introspect", who, form).await;
    let refused = ask(As::Nobody, &[("token", "x")]).await;
    assert_eq!(refused.refusal(), (401, "invalid_client".into()));
    assert_eq!(
        ask(As::Basic("admin", "wrong"), &[("token", "x")]).await.refusal(),
        (401, "invalid_client".into())
    );
    assert_eq!(
        ask(As::Basic(&client.id, &client.secret), &[]).await.refusal(),
        (400, "invalid_request".into())
    );
    assert_eq!(ask(As::Bearer("x"), &[("token", "x")]).await.status, 401);
}

#[tokio::test]
async fn a_client_learns_about_its_own_tokens_and_those_meant_for_it() {
    let server = Server::start().await;
    let api = server.registers(json!({})).await;
    let client = server.registers(json!({"audiences": [api.id]})).await;
    let stranger = server.registers(json!({})).await;
    let privileged = server.registers(json!({"scope": "identity:introspect"})).await;
    let form = [("grant_type", "client_credentials")];
    let token = server.token(&client, &form).await.str("access_token");
    assert!(server.is_active(&client, &token).await && server.is_active(&api, &token).await);
    assert!(!server.is_active(&stranger, &token).await && server.is_active(&privileged, &token).await);
    let bearer = server.token(&privileged, &form).await.str("access_token");
    let seen = server.post_form("/oauth2/introspect", As::Bearer(&bearer), &[("token", &token)]).await;
    assert_eq!(seen.json()["active"], true);
    let seen = server.post_form("/oauth2/introspect", As::Admin, &[("token", &token)]).await;
    assert_eq!(seen.json()["active"], true);
}

#[tokio::test]
async fn a_refresh_token_takes_its_access_tokens_along_and_an_access_token_goes_alone() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    server.enrols("alice", json!({})).await;
    let who = || As::Basic(&client.id, &client.secret);
    let (one, two) = (server.signs_in(&client, "alice").await, server.signs_in(&client, "alice").await);
    let revoke =
        async |token: &str| server.post_form("/oauth2/revoke", who(), &[("token", token)]).await.status;

    assert_eq!(revoke(&one.str("access_token")).await, 200);
    assert!(!server.is_active(&client, &one.str("access_token")).await);
    assert!(server.is_active(&client, &one.str("refresh_token")).await);

    assert_eq!(revoke(&two.str("refresh_token")).await, 200);
    assert_eq!(revoke(&two.str("refresh_token")).await, 200);
    assert!(!server.is_active(&client, &two.str("access_token")).await);
    assert!(!server.is_active(&client, &two.str("refresh_token")).await);
    assert_eq!(
        server.refreshes(&client, &two.str("refresh_token")).await.refusal(),
        (400, "invalid_grant".into())
    );
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_only() {
    let server = Server::start().await;
    let (client, other) = (server.registers(json!({})).await, server.registers(json!({})).await);
    server.enrols("alice", json!({})).await;
    let issued = server.signs_in(&client, "alice").await;
    let revoke =
        async |who: As<'_>, form: &[(&str, &str)]| server.post_form("/oauth2/revoke", who, form).await;
    for token in [issued.str("access_token"), issued.str("refresh_token")] {
        let refused = revoke(As::Basic(&other.id, &other.secret), &[("token", &token)]).await;
        assert_eq!(refused.refusal(), (400, "unauthorized_client".into()));
        assert!(server.is_active(&client, &token).await);
    }
    let who = || As::Basic(&client.id, &client.secret);
    assert_eq!(revoke(who(), &[("token", "unknown"), ("token_type_hint", "odd")]).await.status, 200);
    assert_eq!(revoke(who(), &[]).await.refusal(), (400, "invalid_request".into()));
    assert_eq!(revoke(As::Nobody, &[("token", "x")]).await.refusal(), (401, "invalid_client".into()));
}
