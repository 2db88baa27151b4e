//! What a good request is answered with.

use actix_web::http::Method;
use serde_json::{Value, json};
use shared_claims::oauth::JWT_BEARER;
use shared_claims::opaque::is_canonical;

use super::idp::Idp;
use super::{NOW, World};

#[tokio::test]
async fn an_assertion_buys_an_opaque_token_that_stands_for_its_subject() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);

    let answer = world.exchange(&key, &idp.sign_for("alice")).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = answer.member("access_token");
    assert!(is_canonical(token.as_bytes()) && is_canonical(answer.member("refresh_token").as_bytes()));
    assert_eq!(
        (answer.member("token_type").as_str(), answer.member("scope").as_str()),
        ("Bearer", "default")
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["expires_in"], 600, "capped by the assertion");
    let meaning = world.introspect(&token).await;
    assert_eq!(
        meaning,
        json!({
            "active": true, "scope": "default", "client_id": key.id, "sub": "alice", "username": "alice",
            "iss": "https://idp.example", "token_type": "Bearer", "exp": NOW.0 + 600, "iat": NOW.0, "nbf": NOW.0,
            "aut": "APPLICATION_USER", "key_type": "production",
        })
    );
}

#[tokio::test]
async fn a_token_lives_as_its_application_says_within_what_its_assertion_allows() {
    let world = World::new().await;
    let idp = Idp::new("https://idp.example", "client-1", &world.clock);
    let id = world.trusts(&idp, json!({})).await;
    let key = world.key().await;
    let long = || {
        idp.sign(
            &idp.claims("alice").with("exp", NOW.0 + 80_000).with("jti", uuid::Uuid::now_v7().to_string()),
        )
    };

    assert_eq!(world.exchange(&key, &long()).await.json()["expires_in"], 3_600);
    world.changes(&id, json!({ "outlive_assertion": true })).await;
    assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.json()["expires_in"], 3_600);

    // On the leeway alone: worth what is left of that.
    world.changes(&id, json!({ "outlive_assertion": false })).await;
    let late = idp.sign(&idp.claims("alice").without("iat").with("exp", NOW.0 - 10));
    assert_eq!(world.exchange(&key, &late).await.json()["expires_in"], 20);
}

#[tokio::test]
async fn a_token_is_inactive_from_the_second_it_expires() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let token = world.exchange(&key, &idp.sign_for("alice")).await.member("access_token");

    world.clock.advance(599);
    assert!(world.is_active(&token).await);
    world.clock.advance(1);
    assert_eq!(world.introspect(&token).await, json!({ "active": false }));
}

#[tokio::test]
async fn scopes_are_narrowed_to_what_application_and_provider_allow_and_stated() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let narrow = Idp::new("https://narrow.example", "client-1", &world.clock);
    world.trusts(&narrow, json!({ "scopes": ["read"] })).await;
    let ask = async |idp: &Idp, scope: &str| {
        let assertion = idp.sign_for("alice");
        world.token(&key, &[("grant_type", JWT_BEARER), ("assertion", &assertion), ("scope", scope)]).await
    };

    assert_eq!(ask(&idp, "").await.member("scope"), "default");
    assert_eq!(ask(&idp, "write read read").await.member("scope"), "read write");
    assert_eq!(ask(&idp, "read fly").await.member("scope"), "read");
    assert_eq!(ask(&idp, "default read").await.member("scope"), "default read");
    assert_eq!(ask(&narrow, "read write").await.member("scope"), "read");
    assert_eq!(ask(&idp, "fly").await.code(), (400, "invalid_scope".to_owned()));
    assert_eq!(ask(&narrow, "write").await.code(), (400, "invalid_scope".to_owned()));
    assert_eq!(ask(&idp, "a\"b").await.code(), (400, "invalid_scope".to_owned()));
}

#[tokio::test]
async fn an_application_gets_a_token_of_its_own_without_refresh() {
    let world = World::new().await;
    let key = world.key().await;

    let answer = world.token(&key, &[("grant_type", "client_credentials"), ("scope", "read")]).await;

    assert_eq!((answer.status.as_u16(), answer.json()["expires_in"].as_i64()), (200, Some(3_600)));
    assert!(!answer.text.contains("refresh_token"));
    let meaning = world.introspect(&answer.member("access_token")).await;
    assert_eq!(
        (meaning["sub"].as_str(), meaning["aut"].as_str()),
        (Some(key.id.as_str()), Some("APPLICATION"))
    );
    assert_eq!(meaning.get("username"), None);
}

#[tokio::test]
async fn a_refresh_token_comes_only_where_the_key_lists_that_grant() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key_for(&[JWT_BEARER]).await);
    assert!(!world.exchange(&key, &idp.sign_for("alice")).await.text.contains("refresh_token"));
}

#[tokio::test]
async fn introspection_wants_to_know_who_asks() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    let token = world.token(&key, &[("grant_type", "client_credentials")]).await.member("access_token");
    let form = [("token", token.as_str())];
    let ask = async |credentials| world.post("/oauth2/introspect", credentials, &form).await;

    assert_eq!(ask(None).await.code(), (401, "invalid_client".to_owned()));
    assert_eq!(ask(Some(("admin", "wrong"))).await.code(), (401, "invalid_client".to_owned()));
    assert_eq!(ask(Some((&other.id, "wrong"))).await.code(), (401, "invalid_client".to_owned()));
    for credentials in [("admin", "admin"), (other.id.as_str(), other.secret.as_str())] {
        let answer = ask(Some(credentials)).await;
        assert_eq!(
            (answer.json()["active"].as_bool(), answer.header("cache-control").as_str()),
            (Some(true), "no-store")
        );
    }
    let hinted = [("token", token.as_str()), ("token_type_hint", "refresh_token")];
    assert_eq!(
        world.post("/oauth2/introspect", Some(("admin", "admin")), &hinted).await.json()["active"],
        true
    );
}

#[tokio::test]
async fn whatever_is_no_live_access_token_is_inactive_and_nothing_more_is_said() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let pair = world.exchange(&key, &idp.sign_for("alice")).await;
    let upper = pair.member("access_token").to_uppercase();
    let braced = format!("{{{}}}", pair.member("access_token"));
    let simple = pair.member("access_token").replace('-', "");
    let unknown = "00000000-0000-0000-0000-000000000000";
    let long = "x".repeat(60_000);
    let refresh = pair.member("refresh_token");

    for token in ["", "junk", unknown, &long, &upper, &braced, &simple, &refresh] {
        assert_eq!(world.introspect(token).await, json!({ "active": false }), "{:.40}", token);
    }
    let missing = world.post("/oauth2/introspect", Some(("admin", "admin")), &[("x", "y")]).await;
    assert_eq!(missing.code(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn the_key_set_is_public() {
    let world = World::new().await;
    let answer = world.send(actix_web::test::TestRequest::get().uri("/oauth2/jwks")).await;
    let key = answer.json()["keys"][0].clone();
    assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("EC"), &json!("ES256"), &json!("sig")));
    assert_eq!(key.get("d"), None);
}

#[tokio::test]
async fn lineage_is_listed_without_tokens() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let first = world.exchange(&key, &idp.sign(&idp.claims("alice").with("jti", "j-1"))).await;
    let second = world.refresh(&key, &first.member("refresh_token")).await;
    assert_eq!(second.status, 200, "{}", second.text);

    let list = world.manage(Method::GET, "/api/v1/grants?subject=alice", Value::Null).await;

    let items = list.json()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[0]["assertion_jti"], &items[0]["issuer"]),
        (&json!("j-1"), &json!("https://idp.example"))
    );
    assert_eq!((&items[1]["parent"], &items[1]["family"]), (&items[0]["id"], &items[0]["id"]));
    assert_eq!(items[0]["refresh"]["successor"], items[1]["id"]);
    for token in [first.member("access_token"), second.member("refresh_token")] {
        assert!(!list.text.contains(&token));
    }
    let page = world.manage(Method::GET, "/api/v1/grants?limit=1", Value::Null).await.json();
    assert_eq!((page["items"].as_array().map(Vec::len), page["next"].is_string()), (Some(1), true));
    for bad in ["application_id=x", "after=%00", "subject=%00", "limit=0"] {
        let refused = world.manage(Method::GET, &format!("/api/v1/grants?{bad}"), Value::Null).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text);
    }
}
