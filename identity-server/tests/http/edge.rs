//! Who may call the REST, and what holds for every answer.

use serde_json::json;

use crate::actors::{As, Server};

#[tokio::test]
async fn strangers_are_asked_who_they_are() {
    let server = Server::start().await;
    for path in ["/api/v1/clients", "/api/v1/keys", "/scim/v2/Users"] {
        for who in [As::Nobody, As::Basic("admin", "wrong"), As::Basic("root", "admin"), As::Bearer("x")] {
            let reply = server.get(path, who).await;
            assert_eq!(reply.status, 401, "{path}");
            let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
            assert_eq!(challenges.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_bearer_needs_the_scope_that_the_route_names() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "identity:clients identity:users"})).await;
    let form = [("grant_type", "client_credentials"), ("scope", "identity:clients")];
    let token = server.token(&client, &form).await.str("access_token");
    assert_eq!(server.get("/api/v1/clients", As::Bearer(&token)).await.status, 200);
    let refused = server.get("/api/v1/keys", As::Bearer(&token)).await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("www-authenticate").contains("scope=\"identity:keys\""));
    assert_eq!(server.get("/scim/v2/Users", As::Bearer(&token)).await.status, 403);

    server.post_form("/oauth2/revoke", As::Admin, &[("token", &token)]).await;
    assert_eq!(server.get("/api/v1/clients", As::Bearer(&token)).await.status, 401);
}

#[tokio::test]
async fn a_person_manages_only_as_an_administrator() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "openid identity:users"})).await;
    server.enrols("alice", json!({})).await;
    server.enrols("root", json!({"roles": ["admin"]})).await;
    let plain = server.signs_in(&client, "alice").await;
    assert_eq!(plain.str("scope"), "openid");
    assert_eq!(server.get("/scim/v2/Users", As::Bearer(&plain.str("access_token"))).await.status, 403);
    let refused = server.signs_in_for(&client, "alice", "identity:users").await;
    assert_eq!(refused.refusal(), (400, "invalid_scope".into()));
    let admin = server.signs_in(&client, "root").await.str("access_token");
    assert_eq!(server.get("/scim/v2/Users", As::Bearer(&admin)).await.status, 200);
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing() {
    let server = Server::start().await;
    let body = json!({"client_name": "shop", "grant_types": ["password"]}).to_string();
    let post = async |header: (&str, &str)| {
        let headers = [("content-type", "application/json"), header];
        server.send("POST", "/api/v1/clients", As::Admin, &headers, body.clone()).await.status
    };
    assert_eq!(post(("origin", "https://evil.example")).await, 403);
    assert_eq!(post(("origin", "null")).await, 403);
    assert_eq!(post(("sec-fetch-site", "cross-site")).await, 403);
    assert_eq!(post(("origin", "https://localhost:9443")).await, 201);
}

#[tokio::test]
async fn metadata_names_the_issuer_byte_for_byte_and_only_what_works() {
    let server = Server::start_with(|settings| settings.issuer = "https://id.example/a".to_owned()).await;
    for path in [
        "/.well-known/oauth-authorization-server/a",
        "/.well-known/oauth-authorization-server",
        "/a/.well-known/openid-configuration",
        "/.well-known/openid-configuration",
    ] {
        let reply = server.get(path, As::Nobody).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, "*"), "{path}");
        assert_eq!(
            (reply.str("issuer").as_str(), reply.header("content-type")),
            ("https://id.example/a", "application/json")
        );
        assert!(reply.json().get("authorization_endpoint").is_none());
        for name in ["token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"] {
            assert!(reply.str(name).starts_with("https://localhost:9443/oauth2/"), "{name}");
        }
    }
    let openid = server.get("/.well-known/openid-configuration", As::Nobody).await.json();
    assert_eq!(openid["id_token_signing_alg_values_supported"], json!(["RS256"]));
}

#[tokio::test]
async fn what_is_published_can_be_cached_and_asked_for_by_head() {
    let server = Server::start().await;
    for path in ["/oauth2/jwks", "/oauth2/certificate", "/.well-known/openid-configuration"] {
        let full = server.get(path, As::Nobody).await;
        assert!(full.header("cache-control").contains("max-age"));
        let tag = full.header("etag").to_owned();
        let cached = server.send("GET", path, As::Nobody, &[("if-none-match", &tag)], "").await;
        assert_eq!((cached.status, cached.text.as_str()), (304, ""));
        let head = server.send("HEAD", path, As::Nobody, &[], "").await;
        assert_eq!((head.status, head.header("etag"), head.text.as_str()), (200, tag.as_str(), ""));
        let post = server.send("POST", path, As::Nobody, &[], "").await;
        assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD"));
    }
}

#[tokio::test]
async fn every_answer_carries_careful_headers_and_unknown_paths_are_problems() {
    let server = Server::start().await;
    let lost = server.get("/nowhere", As::Nobody).await;
    assert_eq!((lost.status, lost.header("content-type")), (404, "application/problem+json"));
    for reply in [lost, server.get("/health/live", As::Nobody).await] {
        assert_eq!(
            (reply.header("x-content-type-options"), reply.header("x-frame-options")),
            ("nosniff", "DENY")
        );
        assert!(reply.headers.get("server").is_none());
    }
    let wrong = server.send("PATCH", "/api/v1/clients", As::Admin, &[], "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD, POST"));
}

#[tokio::test]
async fn the_api_describes_itself_and_counts_what_it_does() {
    let server = Server::start().await;
    let description = server.get("/openapi.json", As::Nobody).await.json();
    for path in ["/oauth2/token", "/api/v1/clients/{client_id}", "/scim/v2/Users/{id}", "/api/v1/keys/rotate"]
    {
        assert!(description["paths"].get(path).is_some(), "{path}");
    }
    assert_eq!(server.get("/docs/", As::Nobody).await.status, 200);
    assert_eq!(server.get("/health/ready", As::Nobody).await.status, 200);
    let client = server.registers(json!({})).await;
    server.token(&client, &[("grant_type", "client_credentials")]).await;
    server.post_form("/oauth2/token", As::Nobody, &[("grant_type", "odd")]).await;
    let metrics = server.get("/metrics", As::Nobody).await.text;
    for line in [
        r#"identity_server_token_requests_total{grant="client_credentials",outcome="issued"} 1"#,
        r#"identity_server_token_requests_total{grant="other",outcome="invalid_client"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}
