//! Forms and credentials that are bad, each refused before the assertion is looked at.

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use shared_claims::oauth::JWT_BEARER;

use super::{World, basic, form_to};

const TOKEN: &str = "/oauth2/token";

#[tokio::test]
async fn a_bad_form_is_an_invalid_request() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let with_key = || Some((key.id.as_str(), key.secret.as_str()));
    let assertion = idp.sign_for("alice");
    let body = format!("grant_type={JWT_BEARER}&assertion={assertion}");
    let form = |body: String| form_to(TOKEN, with_key()).set_payload(body);
    let typed = |media: &str| {
        let request = TestRequest::post().uri(TOKEN).insert_header(basic(&key.id, &key.secret));
        request.insert_header((header::CONTENT_TYPE, media.to_owned())).set_payload(body.clone())
    };
    let both = format!("{body}&client_id={}&client_secret={}", key.id, key.secret);

    for (name, request, status) in [
        ("repeated parameter", form(format!("{body}&assertion=x")), 400),
        ("repeated scope", form(format!("{body}&scope=a&scope=a")), 400),
        ("both credentials", form(both), 400),
        ("JSON", typed("application/json"), 400),
        ("text", typed("text/plain"), 400),
        ("multipart", typed("multipart/form-data; boundary=x"), 400),
        ("another charset", typed("application/x-www-form-urlencoded; charset=ISO-8859-1"), 400),
        ("no assertion", form(format!("grant_type={JWT_BEARER}")), 400),
        ("an empty assertion", form(format!("grant_type={JWT_BEARER}&assertion=")), 400),
        ("no grant type", form("assertion=x".to_owned()), 400),
        ("a broken escape", form(format!("{body}&scope=%zz")), 400),
        ("1 MiB", form(format!("{body}&x={}", "x".repeat(1 << 20))), 413),
        (
            "a secret in the URL",
            form_to("/oauth2/token?client_secret=x", with_key()).set_payload(body.clone()),
            400,
        ),
        (
            "an assertion in the URL",
            form_to("/oauth2/token?assertion=x", with_key()).set_payload(body.clone()),
            400,
        ),
    ] {
        let answer = world.send(request).await;
        assert_eq!(answer.code(), (status, "invalid_request".to_owned()), "{name}: {}", answer.text);
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
    }
    assert_eq!(world.send(form(body.clone())).await.status, 200, "nothing of it was used up");
}

#[tokio::test]
async fn other_methods_are_refused_with_the_one_there_is() {
    let world = World::new().await;
    for path in [TOKEN, "/oauth2/introspect", "/oauth2/revoke"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = world.send(TestRequest::with_uri(path).method(method)).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow").as_str()), (405, "POST"), "{path}");
            assert_eq!(answer.member("error"), "invalid_request");
        }
    }
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_are_answered_alike() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let assertion = idp.sign_for("alice");
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];

    let wrong = world.post(TOKEN, Some((&key.id, "wrong")), &form).await;
    let unknown = world.post(TOKEN, Some(("nobody", &key.secret)), &form).await;
    let empty = world.post(TOKEN, Some(("", "")), &form).await;
    let nul =
        world.post(TOKEN, None, &[form[0], form[1], ("client_id", "a\0"), ("client_secret", "x")]).await;
    let named = world.post(TOKEN, None, &[form[0], form[1], ("client_id", &key.id)]).await;
    let absent = world.post(TOKEN, None, &form).await;

    for answer in [&unknown, &empty, &nul, &named, &absent] {
        assert_eq!((answer.status, &answer.text), (wrong.status, &wrong.text));
    }
    assert_eq!(wrong.code(), (401, "invalid_client".to_owned()));
    assert!(wrong.header("www-authenticate").starts_with("Basic "));
    assert_eq!(world.token(&key, &form).await.status, 200, "and the assertion was not looked at");
}

#[tokio::test]
async fn credentials_are_taken_encoded_raw_and_in_the_body() {
    let world = World::new().await;
    let key = world.key().await;
    let form = [("grant_type", "client_credentials")];
    let encoded: String = key.secret.bytes().map(|byte| format!("%{byte:02X}")).collect();

    assert_eq!(world.post(TOKEN, Some((&key.id, &encoded)), &form).await.status, 200);
    let body = [form[0], ("client_id", key.id.as_str()), ("client_secret", key.secret.as_str())];
    assert_eq!(world.post(TOKEN, None, &body).await.status, 200);
    let repeated = [form[0], ("client_id", key.id.as_str())];
    assert_eq!(world.token(&key, &repeated).await.status, 200);
}

#[tokio::test]
async fn the_key_of_a_deleted_application_is_unknown_and_its_tokens_are_worth_nothing() {
    let world = World::new().await;
    let key = world.key().await;
    let token = world.token(&key, &[("grant_type", "client_credentials")]).await.member("access_token");
    assert!(world.is_active(&token).await);

    let path = format!("/api/v1/applications/{}", key.application_id);
    let deleted = world.manage(Method::DELETE, &path, Value::Null).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);

    let answer = world.token(&key, &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.code(), (401, "invalid_client".to_owned()));
    assert!(!world.is_active(&token).await);
}

#[tokio::test]
async fn a_rotated_secret_overlaps_with_the_old_one() {
    let world = World::new().await;
    let key = world.key().await;
    let path = format!("/api/v1/applications/{}/keys/production/secret", key.application_id);
    let rotated = world.manage(Method::POST, &path, json!({})).await;
    assert!(rotated.status.is_success(), "{}", rotated.text);
    let new = super::Key { secret: rotated.member("consumer_secret"), ..key.clone() };

    assert_ne!(new.secret, key.secret);
    assert_eq!(world.token(&new, &[("grant_type", "client_credentials")]).await.status, 200);
}

#[tokio::test]
async fn a_grant_type_must_be_known_and_listed() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key_for(&["client_credentials"]).await);

    let unlisted = world.exchange(&key, &idp.sign_for("alice")).await;
    assert_eq!(unlisted.code(), (400, "unauthorized_client".to_owned()));
    for grant_type in ["password", "urn:x", "JWT-bearer", "authorization_code"] {
        let unknown = world.token(&key, &[("grant_type", grant_type)]).await;
        assert_eq!(unknown.code(), (400, "unsupported_grant_type".to_owned()), "{grant_type}");
    }
    let empty = world.token(&key, &[("grant_type", "")]).await;
    assert_eq!(empty.code(), (400, "invalid_request".to_owned()));
}
