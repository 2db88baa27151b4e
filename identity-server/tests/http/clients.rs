//! `/api/v1/clients`

use serde_json::{Value, json};

use crate::actors::{As, OAuthClient, Server};

const PATH: &str = "/api/v1/clients";

#[tokio::test]
async fn a_client_is_registered_read_replaced_and_deleted() {
    let server = Server::start().await;
    let made = server
        .post_json(
            PATH,
            As::Admin,
            json!({"client_name": "shop", "grant_types": ["password"], "scope": "b a"}),
        )
        .await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""));
    let path = format!("{PATH}/{}", made.str("client_id"));
    assert!(made.header("location").ends_with(&path));
    assert!(made.json()["client_secret"].is_string() && made.json()["client_secret_expires_at"] == 0);

    let read = server.get(&path, As::Admin).await;
    assert_eq!((read.status, read.header("etag")), (200, "\"1\""));
    let mut body = read.json();
    assert!(body.get("client_secret").is_none());
    assert_eq!(
        (&body["scope"], &body["access_token_lifetime"], &body["refresh_token_lifetime"]),
        (&json!("a b"), &json!(3600), &json!(86400))
    );

    body["client_name"] = json!("market");
    let stale = server.put_json(&path, As::Admin, &[("if-match", "\"7\"")], body.clone()).await;
    assert_eq!(stale.status, 412);
    let replaced = server.put_json(&path, As::Admin, &[("if-match", "\"1\"")], body.clone()).await;
    assert_eq!(
        (replaced.status, replaced.header("etag"), replaced.str("client_name").as_str()),
        (200, "\"2\"", "market")
    );
    assert!(replaced.json().get("client_secret").is_none());

    assert_eq!(server.send("DELETE", &path, As::Admin, &[("if-match", "\"1\"")], "").await.status, 412);
    assert_eq!(server.delete(&path, As::Admin).await.status, 204);
    for gone in [
        server.get(&path, As::Admin).await,
        server.delete(&path, As::Admin).await,
        server.put_json(&path, As::Admin, &[], body).await,
    ] {
        assert_eq!(gone.status, 404);
    }
    assert_eq!(server.get(&format!("{PATH}/nothing"), As::Admin).await.status, 404);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let server = Server::start().await;
    let bad = json!({
        "client_name": "", "grant_types": ["password", "implicit", 5], "scope": "a\"b", "redirect_uris": ["/x"],
        "contacts": ["nobody"], "client_uri": "ftp://x", "token_endpoint_auth_method": "none", "audiences": [""],
        "access_token_lifetime": 0, "refresh_token_lifetime": "1", "multi_valued_claims": "csv",
        "access_token_signed_response_alg": "HS256", "enabled": "yes", "extra": 1,
    });
    let blamed = server.post_json(PATH, As::Admin, bad.clone()).await.blamed();
    for field in [
        "client_name",
        "grant_types[1]",
        "grant_types[2]",
        "scope",
        "redirect_uris[0]",
        "contacts[0]",
        "client_uri",
        "token_endpoint_auth_method",
        "audiences[0]",
        "access_token_lifetime",
        "refresh_token_lifetime",
        "multi_valued_claims",
        "access_token_signed_response_alg",
        "enabled",
        "extra",
    ] {
        assert!(blamed.contains(&field.to_owned()), "{field} in {blamed:?}");
    }
    let good = server.registers(json!({})).await;
    assert_eq!(server.put_json(&format!("{PATH}/{}", good.id), As::Admin, &[], bad).await.status, 422);
}

#[tokio::test]
async fn each_field_is_refused_when_empty_too_long_or_of_another_type() {
    let server = Server::start().await;
    let good = json!({"client_name": "shop", "grant_types": ["password"]});
    let long = "x".repeat(5_000);
    for (field, values) in [
        ("client_name", vec![json!(""), json!(" "), json!(long), json!(5), json!("a\u{0}b"), json!(null)]),
        (
            "grant_types",
            vec![json!([]), json!("password"), json!(["refresh_token"]), json!(null), json!([""])],
        ),
        ("scope", vec![json!(long), json!(5), json!(["a"])]),
        (
            "redirect_uris",
            vec![json!("https://x"), json!([""]), json!([long]), json!([7]), json!(["http://evil.example"])],
        ),
        ("contacts", vec![json!(["a@b@c"]), json!({})]),
        ("audiences", vec![json!("x"), json!([long]), json!([null])]),
        ("access_token_lifetime", vec![json!(-1), json!(86_401), json!(1.5), json!("60")]),
        ("refresh_token_lifetime", vec![json!(0), json!(99_999_999), json!(true)]),
        ("enabled", vec![json!(1)]),
    ] {
        for value in values {
            let mut body = good.clone();
            body[field] = value.clone();
            let blamed = server.post_json(PATH, As::Admin, body).await.blamed();
            assert!(
                blamed.iter().all(|name| name.starts_with(field)),
                "{field}={value:.40} blames {blamed:?}"
            );
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let server = Server::start().await;
    let send = async |kind: &str, body: &str| {
        server.send("POST", PATH, As::Admin, &[("content-type", kind)], body.to_owned()).await.status
    };
    for bad in ["", "{", "[]", "5", r#"{"client_name":"a","client_name":"b"}"#] {
        assert_eq!(send("application/json", bad).await, 400, "{bad}");
    }
    assert_eq!(send("text/plain", r#"{"client_name":"a"}"#).await, 415);
    assert_eq!(send("application/x-www-form-urlencoded", "client_name=a").await, 415);
    let huge = format!(r#"{{"client_name":"{}"}}"#, "a".repeat(1 << 20));
    assert_eq!(send("application/json", &huge).await, 413);
    let deep = format!(r#"{{"client_name":{}1{}}}"#, "[".repeat(300), "]".repeat(300));
    assert_eq!(send("application/json", &deep).await, 400);
}

#[tokio::test]
async fn clients_are_listed_by_pages() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.registers(json!({})).await;
    }
    let first = server.get(&format!("{PATH}?limit=2"), As::Admin).await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = first["next"].as_str().unwrap();
    let second = server.get(&format!("{PATH}?limit=2&after={next}"), As::Admin).await.json();
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));
    assert!(second["items"][0].get("client_secret").is_none());
    assert_eq!(server.get(&format!("{PATH}?limit=0"), As::Admin).await.blamed(), ["limit"]);
}

#[tokio::test]
async fn a_secret_is_rotated_with_or_without_an_overlap() {
    let server = Server::start().await;
    let old = server.registers(json!({})).await;
    let path = format!("{PATH}/{}/secret", old.id);
    let form = [("grant_type", "client_credentials")];

    let rotated = server.post_json(&path, As::Admin, json!({"overlap_seconds": 60})).await;
    let new = OAuthClient { secret: rotated.str("client_secret"), ..old.clone() };
    assert_eq!((server.token(&old, &form).await.status, server.token(&new, &form).await.status), (200, 200));
    server.clock.advance(60);
    assert_eq!((server.token(&old, &form).await.status, server.token(&new, &form).await.status), (401, 200));

    let at_once = server.send("POST", &path, As::Admin, &[], "").await;
    let newest = OAuthClient { secret: at_once.str("client_secret"), ..old.clone() };
    assert_eq!(
        (server.token(&new, &form).await.status, server.token(&newest, &form).await.status),
        (401, 200)
    );

    assert_eq!(
        server.post_json(&path, As::Admin, json!({"overlap_seconds": -1, "x": 1})).await.blamed(),
        ["overlap_seconds", "x"]
    );
    let unknown = format!("{PATH}/01890000-0000-7000-8000-000000000000/secret");
    assert_eq!(server.post_json(&unknown, As::Admin, json!({})).await.status, 404);
}
