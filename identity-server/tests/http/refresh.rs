//! Refresh tokens, on both databases.

use serde_json::json;
use test_support::on_every_stage;

use crate::actors::Server;

on_every_stage! {
    async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_family(stage: Stage) {
        let server = Server::on(stage).await;
        let client = server.registers(json!({})).await;
        server.enrols("alice", json!({})).await;
        let first = server.signs_in(&client, "alice").await;

        let second = server.refreshes(&client, &first.str("refresh_token")).await;
        assert_eq!(second.status, 200);
        assert_eq!(second.claims()["sub"], "alice");
        assert_ne!(second.str("refresh_token"), first.str("refresh_token"));
        server.clock.advance(11);
        let reused = server.refreshes(&client, &first.str("refresh_token")).await;
        assert_eq!(reused.refusal(), (400, "invalid_grant".into()));

        let third = server.refreshes(&client, &second.str("refresh_token")).await;
        assert_eq!(third.refusal(), (400, "invalid_grant".into()));
        for token in [first.str("access_token"), second.str("access_token"), second.str("refresh_token")] {
            assert!(!server.is_active(&client, &token).await);
        }
    }

    async fn a_client_that_lost_the_answer_may_ask_again_for_ten_seconds(stage: Stage) {
        let server = Server::on(stage).await;
        let client = server.registers(json!({})).await;
        server.enrols("alice", json!({})).await;
        let first = server.signs_in(&client, "alice").await.str("refresh_token");

        let lost = server.refreshes(&client, &first).await;
        server.clock.advance(10);
        let again = server.refreshes(&client, &first).await;
        assert_eq!((lost.status, again.status), (200, 200));
        assert_eq!(server.refreshes(&client, &again.str("refresh_token")).await.status, 200);

        // The successor was used now: whoever presents the first one again is not the client.
        assert_eq!(server.refreshes(&client, &first).await.refusal(), (400, "invalid_grant".into()));
        assert!(!server.is_active(&client, &again.str("access_token")).await);
    }

    async fn of_many_parallel_refreshes_one_chain_survives(stage: Stage) {
        let server = Server::on(stage).await;
        let client = server.registers(json!({})).await;
        server.enrols("alice", json!({})).await;
        let first = server.signs_in(&client, "alice").await.str("refresh_token");

        let replies = futures_util::future::join_all((0..12).map(|_| server.refreshes(&client, &first))).await;

        let mut live = 0;
        for reply in replies {
            assert_eq!(reply.status, 200, "{reply:?}");
            live += usize::from(server.is_active(&client, &reply.str("refresh_token")).await);
        }
        assert_eq!(live, 1);
    }

    async fn a_refresh_token_survives_a_restart(stage: Stage) {
        let mut server = Server::on(stage).await;
        let client = server.registers(json!({})).await;
        server.enrols("alice", json!({})).await;
        let first = server.signs_in(&client, "alice").await;
        server.restart().await;
        assert!(server.is_active(&client, &first.str("access_token")).await);
        assert_eq!(server.refreshes(&client, &first.str("refresh_token")).await.status, 200);
    }
}

#[tokio::test]
async fn a_scope_may_shrink_and_come_back_but_not_grow() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "a b c"})).await;
    server.enrols("alice", json!({})).await;
    let mut token = server.signs_in_for(&client, "alice", "a b").await.str("refresh_token");
    let refresh = async |token: &str, scope: &str| {
        server
            .token(&client, &[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)])
            .await
    };
    assert_eq!(refresh(&token, "a c").await.refusal(), (400, "invalid_scope".into()));
    for scope in ["a", "a b"] {
        let reply = refresh(&token, scope).await;
        assert_eq!(reply.str("scope"), scope);
        token = reply.str("refresh_token");
    }
}

#[tokio::test]
async fn a_refresh_token_ends_unused_and_at_last_in_any_case() {
    let server = Server::start().await;
    let client = server.registers(json!({"refresh_token_lifetime": 2_592_000})).await;
    let hasty = server.registers(json!({"refresh_token_lifetime": 60})).await;
    server.enrols("alice", json!({})).await;
    let idle = server.signs_in(&hasty, "alice").await.str("refresh_token");
    let mut token = server.signs_in(&client, "alice").await.str("refresh_token");
    server.clock.advance(60);
    assert_eq!(server.refreshes(&hasty, &idle).await.refusal(), (400, "invalid_grant".into()));
    server.clock.advance(29 * 86_400);
    token = server.refreshes(&client, &token).await.str("refresh_token");
    server.clock.advance(86_400);
    assert_eq!(server.refreshes(&client, &token).await.refusal(), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_refresh_token_is_good_for_its_own_client_only() {
    let server = Server::start().await;
    let (client, other) = (server.registers(json!({})).await, server.registers(json!({})).await);
    server.enrols("alice", json!({})).await;
    let token = server.signs_in(&client, "alice").await.str("refresh_token");
    assert_eq!(server.refreshes(&other, &token).await.refusal(), (400, "invalid_grant".into()));
    for junk in ["x", &token.to_uppercase(), "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(server.refreshes(&client, junk).await.refusal(), (400, "invalid_grant".into()));
    }
    assert_eq!(server.refreshes(&client, &token).await.status, 200);
}

#[tokio::test]
async fn sessions_end_with_the_user_its_activity_or_its_password() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    for (name, change) in [
        ("gone", None),
        ("idle", Some(json!({"userName": "idle", "active": false}))),
        ("anew", Some(json!({"userName": "anew", "password": "another-password"}))),
    ] {
        let id = server.enrols(name, json!({})).await;
        let signed_in = server.signs_in(&client, name).await;
        server.clock.advance(1);
        let path = format!("/Users/{id}");
        match change {
            None => assert_eq!(server.scim("DELETE", &path, json!({})).await.status, 204),
            Some(change) => assert_eq!(server.scim("PUT", &path, change).await.status, 200),
        }
        let refused = server.refreshes(&client, &signed_in.str("refresh_token")).await;
        assert_eq!(refused.refusal(), (400, "invalid_grant".into()), "{name}");
        assert!(!server.is_active(&client, &signed_in.str("access_token")).await, "{name}");
    }
}

#[tokio::test]
async fn a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let server = Server::start().await;
    let client = server.registers(json!({"grant_types": ["password"]})).await;
    server.enrols("alice", json!({})).await;
    let reply = server.signs_in(&client, "alice").await;
    assert_eq!(reply.status, 200);
    assert!(reply.json().get("refresh_token").is_none());
}
