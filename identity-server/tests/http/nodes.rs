//! Two nodes on one PostgreSQL.

use std::time::Duration;

use serde_json::json;
use shared_claims::secret::Secret;
use shared_server::database::DatabaseUrl;
use test_support::Stage;

use crate::actors::{As, Server, part};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_start_together_are_one_server() {
    let Some(stage) = Stage::postgres_or_leave_out("two_nodes_that_start_together_are_one_server").await
    else {
        return;
    };
    let url = stage.database_url().await;
    let start = || {
        Server::start_with(|settings| {
            settings.database_url = DatabaseUrl::parse(&url, &settings.data_dir).unwrap();
            // Keys are sealed in the database, so the nodes share what opens them.
            settings.master_key = Some(Secret::new("5a".repeat(32)));
        })
    };
    let (one, two) = tokio::join!(start(), start());
    let keys = async |server: &Server| server.get("/oauth2/jwks", As::Nobody).await.json();
    assert_eq!(keys(&one).await, keys(&two).await);

    let client = one.registers(json!({})).await;
    one.enrols("alice", json!({})).await;
    let issued = one.signs_in(&client, "alice").await;
    assert!(two.is_active(&client, &issued.str("access_token")).await);
    let refreshed = two.refreshes(&client, &issued.str("refresh_token")).await;
    assert_eq!(refreshed.status, 200);
    one.post_form("/oauth2/revoke", As::Admin, &[("token", &refreshed.str("refresh_token"))]).await;
    assert!(!two.is_active(&client, &refreshed.str("access_token")).await);

    let form = [("grant_type", "client_credentials")];
    let other = one.registers(json!({})).await;
    assert_eq!(two.token(&other, &form).await.status, 200);
    assert_eq!(one.delete(&format!("/api/v1/clients/{}", other.id), As::Admin).await.status, 204);
    assert_eq!(two.token(&other, &form).await.status, 401, "a deleted client is gone on every node");

    let rotated = one.send("POST", "/api/v1/keys/rotate", As::Admin, &[], "").await;
    assert_eq!(rotated.str("state"), "next");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(two.get("/oauth2/jwks", As::Nobody).await.text.contains(&rotated.str("kid")));
    for server in [&one, &two] {
        server.clock.advance(2);
        let token = server.token(&client, &[("grant_type", "client_credentials")]).await.str("access_token");
        assert_eq!(part(&token, 0)["kid"], rotated.json()["kid"]);
    }
}
