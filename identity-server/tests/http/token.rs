//! `POST /oauth2/token`: the plain ways through, and each refusal.

use serde_json::json;

use crate::actors::{As, Server, encode, part};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn a_person_gets_a_jwt_and_a_refresh_token_through_a_client() {
    let server = Server::start().await;
    let client = server
        .registers(json!({"audiences": ["https://api.example/token"], "access_token_lifetime": 600}))
        .await;
    server.enrols("alice", json!({})).await;

    let reply = server.signs_in(&client, "alice").await;

    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"));
    assert_eq!(reply.header("content-type"), "application/json");
    let (body, claims) = (reply.json(), reply.claims());
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(600)));
    assert!(body["refresh_token"].is_string() && body.get("scope").is_none());
    assert_eq!(claims["aud"], json!([client.id, "https://api.example/token"]));
    assert_eq!(
        (&claims["sub"], &claims["aut"], &claims["iss"]),
        (&json!("alice"), &json!("APPLICATION_USER"), &json!("https://localhost:9443"))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert_eq!(
        (&claims["azp"], &claims["client_id"], &claims["nbf"]),
        (&json!(client.id), &json!(client.id), &claims["iat"])
    );
    let header = part(&reply.str("access_token"), 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("at+jwt")));
    assert!(header["kid"].is_string() && header["x5t#S256"].is_string());
}

#[tokio::test]
async fn the_subject_is_the_name_as_registered_however_it_was_typed() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    server.enrols("Alice", json!({})).await;
    let form = [("grant_type", "password"), ("username", "aLICE"), ("password", "password-of-Alice")];
    assert_eq!(server.token(&client, &form).await.claims()["sub"], "Alice");
}

#[tokio::test]
async fn a_client_signs_in_for_itself_without_a_refresh_token() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "a b"})).await;
    let reply = server.token(&client, &[("grant_type", "client_credentials"), ("scope", "b a b")]).await;
    assert_eq!((reply.status, reply.str("scope")), (200, "a b".to_owned()));
    assert!(reply.json().get("refresh_token").is_none());
    let claims = reply.claims();
    assert_eq!((&claims["sub"], &claims["aut"]), (&json!(client.id), &json!("APPLICATION")));
}

#[tokio::test]
async fn attributes_come_as_the_scopes_allow_and_as_the_client_likes_them() {
    let server = Server::start().await;
    let as_array = server.registers(json!({"scope": "openid email groups"})).await;
    let as_text = server.registers(json!({"scope": "groups", "multi_valued_claims": "string"})).await;
    let known =
        json!({"emails": [{"value": "a@example.com"}], "groups": ["x", "y"], "name": {"givenName": "Al"}});
    server.enrols("alice", known).await;

    let claims = server.signs_in_for(&as_array, "alice", "email groups").await.claims();
    assert_eq!((&claims["email"], &claims["groups"]), (&json!("a@example.com"), &json!(["x", "y"])));
    assert!(claims.get("given_name").is_none());
    let claims = server.signs_in_for(&as_array, "alice", "openid").await.claims();
    assert!(claims.get("email").is_none() && claims["preferred_username"] == "alice");
    assert_eq!(server.signs_in(&as_text, "alice").await.claims()["groups"], "x,y");
}

#[tokio::test]
async fn every_algorithm_on_offer_signs_under_a_published_key() {
    let server = Server::start().await;
    for algorithm in ["RS384", "RS512", "PS256", "ES256", "EdDSA"] {
        let client = server.registers(json!({"access_token_signed_response_alg": algorithm})).await;
        let reply = server.token(&client, &[("grant_type", "client_credentials")]).await;
        let header = part(&reply.str("access_token"), 0);
        assert_eq!(header["alg"], algorithm);
        let keys = server.get("/oauth2/jwks", As::Nobody).await.json();
        let key =
            keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap().clone();
        assert_eq!((&key["alg"], &key["use"]), (&json!(algorithm), &json!("sig")));
        assert!(server.is_active(&client, &reply.str("access_token")).await);
    }
}

#[tokio::test]
async fn scopes_are_narrowed_and_none_left_is_refused() {
    let server = Server::start().await;
    let client = server.registers(json!({"scope": "a b"})).await;
    let scope = |scope| [("grant_type", "client_credentials"), ("scope", scope)];
    assert_eq!(server.token(&client, &scope("a c")).await.str("scope"), "a");
    assert_eq!(server.token(&client, &scope("")).await.str("scope"), "a b");
    assert_eq!(server.token(&client, &scope("c")).await.refusal(), (400, "invalid_scope".into()));
    assert_eq!(server.token(&client, &scope("a\"b")).await.refusal(), (400, "invalid_scope".into()));
    assert_eq!(server.token(&client, &scope("a+b")).await.refusal(), (400, "invalid_scope".into()));
}

#[tokio::test]
async fn an_unknown_person_a_wrong_password_and_an_inactive_one_are_refused_in_the_same_words() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    server.enrols("alice", json!({})).await;
    server.enrols("bob", json!({"active": false})).await;
    let attempt = async |name: &str, password: &str| {
        let form = [("grant_type", "password"), ("username", name), ("password", password)];
        server.token(&client, &form).await
    };
    let wrong = attempt("alice", "wrong-password").await;
    assert_eq!(wrong.refusal(), (400, "invalid_grant".into()));
    assert_eq!(attempt("nobody", "wrong-password").await.text, wrong.text);
    assert_eq!(attempt("bob", "password-of-bob").await.text, wrong.text);
}

#[tokio::test]
async fn five_failures_lock_a_name_for_a_while_whether_or_not_it_exists() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    server.enrols("alice", json!({})).await;
    let wrong = [("grant_type", "password"), ("username", "alice"), ("password", "wrong-password")];
    for _ in 0..5 {
        assert_eq!(server.token(&client, &wrong).await.refusal(), (400, "invalid_grant".into()));
    }
    assert_eq!(server.signs_in(&client, "alice").await.refusal(), (400, "invalid_grant".into()));
    server.clock.advance(2);
    assert_eq!(server.signs_in(&client, "alice").await.status, 200);
}

#[tokio::test]
async fn grants_are_refused_by_name_after_the_client_was_known() {
    let server = Server::start().await;
    let client = server.registers(json!({"grant_types": ["client_credentials"]})).await;
    let ask = async |form: &[(&str, &str)]| server.token(&client, form).await.refusal();
    assert_eq!(ask(&[]).await, (400, "invalid_request".into()));
    assert_eq!(ask(&[("grant_type", "")]).await, (400, "invalid_request".into()));
    assert_eq!(ask(&[("grant_type", "implicit")]).await, (400, "unsupported_grant_type".into()));
    assert_eq!(ask(&[("grant_type", "Password")]).await, (400, "unsupported_grant_type".into()));
    let password = [("grant_type", "password"), ("username", "x"), ("password", "y")];
    assert_eq!(ask(&password).await, (400, "unauthorized_client".into()));
    assert_eq!(ask(&[("grant_type", "password"), ("username", "x")]).await, (400, "invalid_request".into()));
    assert_eq!(ask(&[("grant_type", "refresh_token")]).await, (400, "invalid_request".into()));
    let stranger =
        server.post_form("/oauth2/token", As::Basic(&client.id, "wrong"), &[("grant_type", "x")]).await;
    assert_eq!(stranger.refusal(), (401, "invalid_client".into()));
}

#[tokio::test]
async fn a_client_may_say_who_it_is_in_the_header_or_the_body_but_not_both() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let grant = ("grant_type", "client_credentials");
    let ask = async |who: As<'_>, form: &[(&str, &str)]| server.post_form("/oauth2/token", who, form).await;

    assert_eq!(ask(As::Nobody, &[grant, ("client_id", id), ("client_secret", secret)]).await.status, 200);
    assert_eq!(ask(As::Basic(id, secret), &[grant, ("client_id", id)]).await.status, 200);
    let encoded = id.replace('-', "%2D");
    assert_eq!(ask(As::Basic(&encoded, secret), &[grant]).await.status, 200);

    let both = ask(As::Basic(id, secret), &[grant, ("client_id", id), ("client_secret", secret)]).await;
    assert_eq!(both.refusal(), (400, "invalid_request".into()));
    for (who, form) in [
        (As::Basic(id, "wrong"), vec![grant]),
        (As::Basic("unknown", secret), vec![grant]),
        (As::Basic("", ""), vec![grant]),
        (As::Nobody, vec![grant]),
        (As::Nobody, vec![grant, ("client_id", id)]),
        (As::Nobody, vec![grant, ("client_id", id), ("client_secret", "wrong")]),
    ] {
        let refused = ask(who, &form).await;
        assert_eq!(refused.refusal(), (401, "invalid_client".into()));
        assert!(refused.header("www-authenticate").starts_with("Basic "));
    }
}

#[tokio::test]
async fn unreadable_basic_credentials_are_refused() {
    let server = Server::start().await;
    let long = format!("Basic {}", "QUFB".repeat(25_000));
    for header in ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Digest x", &long] {
        let headers = [FORM, ("authorization", header)];
        let reply =
            server.send("POST", "/oauth2/token", As::Nobody, &headers, "grant_type=client_credentials").await;
        assert!([400, 401, 431].contains(&reply.status), "{header:.20} {}", reply.status);
    }
}

#[tokio::test]
async fn forms_that_could_be_read_in_two_ways_are_refused() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    let who = || As::Basic(&client.id, &client.secret);
    let good = "grant_type=client_credentials";
    let ask = async |path: &str, headers: &[(&str, &str)], body: String| {
        server.send("POST", path, who(), headers, body).await
    };

    let repeated = ask("/oauth2/token", &[FORM], format!("{good}&{good}")).await;
    assert_eq!(repeated.refusal(), (400, "invalid_request".into()));
    let json = ask(
        "/oauth2/token",
        &[("content-type", "application/json")],
        r#"{"grant_type":"client_credentials"}"#.into(),
    )
    .await;
    assert_eq!(json.refusal(), (400, "invalid_request".into()));
    let untyped = ask("/oauth2/token", &[], good.into()).await;
    assert_eq!(untyped.refusal(), (400, "invalid_request".into()));
    let broken = ask("/oauth2/token", &[FORM], format!("{good}&x=%zz")).await;
    assert_eq!(broken.refusal(), (400, "invalid_request".into()));
    let in_query = ask("/oauth2/token?client_secret=x", &[FORM], good.into()).await;
    assert_eq!(in_query.refusal(), (400, "invalid_request".into()));
    let huge = ask("/oauth2/token", &[FORM], format!("{good}&x={}", "a".repeat(1 << 20))).await;
    assert_eq!(huge.refusal(), (413, "invalid_request".into()));

    let odd_case =
        [("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"), ("accept", "application/xml")];
    assert_eq!(ask("/oauth2/token", &odd_case, format!("{good}&unknown=1")).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_answered_with_the_one_there_is() {
    let server = Server::start().await;
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let reply =
                server.send(method, &format!("{path}?grant_type=password"), As::Nobody, &[], "").await;
            assert_eq!((reply.status, reply.header("allow")), (405, "POST"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_disabled_client_is_unknown_and_a_deleted_one_too() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    let path = format!("/api/v1/clients/{}", client.id);
    let form = [("grant_type", "client_credentials")];
    let token = server.token(&client, &form).await.str("access_token");
    let disabled = json!({"client_name": "shop", "grant_types": ["client_credentials"], "enabled": false});
    assert_eq!(server.put_json(&path, As::Admin, &[], disabled).await.status, 200);
    assert_eq!(server.token(&client, &form).await.refusal(), (401, "invalid_client".into()));
    let seen = server.post_form("/oauth2/introspect", As::Admin, &[("token", &token)]).await;
    assert_eq!(seen.json(), json!({"active": false}));
    assert_eq!(server.delete(&path, As::Admin).await.status, 204);
    assert_eq!(server.token(&client, &form).await.refusal(), (401, "invalid_client".into()));
}

#[tokio::test]
async fn a_login_storm_is_turned_away_and_starves_nobody() {
    let server = Server::start_with(|settings| settings.hashing_threads = 1).await;
    let client = server.registers(json!({})).await;
    let form = encode(&[("grant_type", "password"), ("username", "x"), ("password", "wrong-password")]);
    let attempts = (0..80).map(|_| {
        server.send("POST", "/oauth2/token", As::Basic(&client.id, &client.secret), &[FORM], form.clone())
    });
    let replies = futures_util::future::join_all(attempts).await;
    let turned_away: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!turned_away.is_empty());
    assert!(turned_away.iter().all(|reply| !reply.header("retry-after").is_empty()));
    assert!(replies.iter().any(|reply| reply.status == 400));
    assert_eq!(server.get("/health/live", As::Nobody).await.status, 200);
}
