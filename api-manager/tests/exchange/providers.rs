//! Identity providers by REST: what is registered comes back, what is wrong is named, what is refused is explained.

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::idp::{Idp, KeyKind};
use super::{Answer, NOW, World, basic};

const PATH: &str = "/api/v1/identity-providers";

fn idp(world: &World) -> Idp {
    Idp::new("https://idp.example", "client-1", &world.clock)
}

fn fields(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_registered_comes_back_with_its_certificate_described() {
    let world = World::new().await;
    let idp = idp(&world);
    let body = json!({ "name": idp.issuer, "alias": idp.alias, "certificates": [idp.certificate()] });

    let made = world.manage(Method::POST, PATH, body).await;

    assert_eq!((made.status.as_u16(), made.header("etag").as_str()), (201, "\"1\""));
    let location = made.header("location");
    let read = world.manage(Method::GET, &location, Value::Null).await;
    assert_eq!(read.text, made.text);
    let provider = read.json();
    assert_eq!((&provider["issuer"], &provider["enabled"]), (&json!("https://idp.example"), &json!(true)));
    assert_eq!(
        (&provider["replay"], &provider["max_assertion_lifetime"]),
        (&json!("single-use"), &json!(86_400))
    );
    assert_eq!(provider["algorithms"].as_array().map(Vec::len), Some(6));
    let certificate = &provider["certificates"][0];
    assert_eq!(certificate["subject"], "CN=idp");
    assert_eq!(certificate["thumbprint_sha256"].as_str().map(str::len), Some(64));
    assert_eq!(certificate["not_before"], NOW.minus(86_400).rfc3339());
    let list = world.manage(Method::GET, &format!("{PATH}?limit=1"), Value::Null).await.json();
    assert_eq!((&list["items"][0], &list["next"]), (&provider, &Value::Null));
}

#[tokio::test]
async fn a_provider_goes_back_as_it_came_and_a_lost_update_is_refused() {
    let world = World::new().await;
    let id = world.trusts(&idp(&world), json!({})).await;
    let path = format!("{PATH}/{id}");
    let read = world.manage(Method::GET, &path, Value::Null).await.json();
    let put = async |etag: &str| {
        let request = TestRequest::put().uri(&path).insert_header(basic("admin", "admin"));
        world.send(request.insert_header((header::IF_MATCH, etag.to_owned())).set_json(read.clone())).await
    };

    let first = put("\"1\"").await;
    assert_eq!((first.status.as_u16(), first.header("etag").as_str()), (200, "\"2\""), "{}", first.text);
    assert_eq!(put("\"1\"").await.status, 412);
    assert_eq!(put("\"2\"").await.status, 200);
    assert_eq!(first.json()["certificates"], read["certificates"]);
}

#[tokio::test]
async fn every_bad_field_is_named_in_one_answer() {
    let world = World::new().await;
    let bad = json!({ "name": "", "alias": "", "certificates": ["x"] });
    let answer = world.manage(Method::POST, PATH, bad).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(fields(&answer), ["name", "alias", "certificates[0]"]);

    let long = "x".repeat(256);
    let wrong_types = json!({
        "name": 1, "issuer": 2, "alias": [], "certificates": "x", "jwks_uri": 3, "enabled": "yes", "algorithms": "RS256",
        "replay": "twice", "max_assertion_lifetime": "1", "scopes": [1], "outlive_assertion": 1, "management": null,
        "colour": "red",
    });
    let answer = world.manage(Method::POST, PATH, wrong_types).await;
    for field in [
        "name",
        "issuer",
        "alias",
        "certificates",
        "jwks_uri",
        "enabled",
        "algorithms",
        "replay",
        "max_assertion_lifetime",
        "scopes[0]",
        "outlive_assertion",
        "colour",
    ] {
        assert!(fields(&answer).contains(&field.to_owned()), "{field}: {}", answer.text);
    }
    let too_long = json!({ "name": long, "issuer": long, "alias": long, "certificates": vec!["x"; 11] });
    assert_eq!(
        fields(&world.manage(Method::POST, PATH, too_long).await),
        ["name", "issuer", "alias", "certificates"]
    );
    assert_eq!(fields(&world.manage(Method::POST, PATH, json!({})).await), ["name", "alias", "certificates"]);
}

#[tokio::test]
async fn a_certificate_is_refused_with_its_own_reason() {
    let world = World::new().await;
    let idp = idp(&world);
    let key = String::from_utf8(idp.key().private_key_to_pem_pkcs8().unwrap()).unwrap();
    let public = String::from_utf8(idp.key().public_key_to_pem().unwrap()).unwrap();
    for (pem, reason) in [
        ("x".to_owned(), "is not a PEM certificate"),
        (key, "never send it"),
        (public, "instead of a certificate"),
        (idp.certificate_for(NOW.plus(60), NOW.plus(120)), "is not valid before"),
        (idp.certificate_for(NOW.minus(120), NOW.minus(60)), "has expired"),
    ] {
        let body = json!({ "name": "n", "alias": "a", "certificates": [pem] });
        let answer = world.manage(Method::POST, PATH, body).await;
        assert_eq!(answer.status, 422, "{reason}");
        assert!(answer.json()["errors"][0]["detail"].as_str().unwrap().contains(reason), "{}", answer.text);
        assert!(!answer.text.contains("PRIVATE KEY"), "nothing of it comes back");
    }
}

#[tokio::test]
async fn a_name_and_an_issuer_are_taken_once() {
    let world = World::new().await;
    let idp = idp(&world);
    world.trusts(&idp, json!({})).await;
    for body in [
        json!({ "name": idp.issuer, "issuer": "other", "alias": "a", "certificates": [idp.certificate()] }),
        json!({ "name": "other", "issuer": idp.issuer, "alias": "a", "certificates": [idp.certificate()] }),
    ] {
        assert_eq!(world.manage(Method::POST, PATH, body).await.status, 409);
    }
}

#[tokio::test]
async fn only_administrators_touch_them() {
    let world = World::new().await;
    for path in [PATH.to_owned(), format!("{PATH}/x"), "/api/v1/grants".to_owned()] {
        let answer = world.send(TestRequest::get().uri(&path)).await;
        assert_eq!(answer.status, 401, "{path}");
    }
}

fn states(answer: &Answer) -> Vec<(String, String)> {
    let checks = answer.json()["checks"].as_array().cloned().unwrap_or_default();
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    checks.iter().map(|check| (text(check, "name"), text(check, "state"))).collect()
}

async fn check(world: &World, body: Value) -> Answer {
    let answer = world.manage(Method::POST, "/api/v1/identity-providers/check", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

#[tokio::test]
async fn the_check_walks_the_exchange_and_uses_nothing_up() {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let good = idp.sign_for("alice");

    for _ in 0..2 {
        let answer = check(&world, json!({ "assertion": good, "client_id": key.id })).await;
        assert_eq!(answer.json()["accepted"], true, "{}", answer.text);
    }
    let names: Vec<String> =
        states(&check(&world, json!({ "assertion": good })).await).into_iter().map(|s| s.0).collect();
    assert_eq!(
        names,
        [
            "format",
            "issuer",
            "enabled",
            "signature",
            "iss",
            "sub",
            "aud",
            "exp",
            "lifetime",
            "nbf",
            "iat",
            "jti",
            "replay"
        ]
    );
    assert_eq!(world.exchange(&key, &good).await.status, 200);
    let used = check(&world, json!({ "assertion": good })).await;
    assert_eq!(states(&used).last().unwrap(), &("replay".to_owned(), "failed".to_owned()));
}

#[tokio::test]
async fn the_check_stops_where_the_exchange_would_and_names_the_remedy() {
    let world = World::new().await;
    let idp = world.trusted_idp().await;
    let stranger = Idp::with_key(&idp.issuer, &idp.alias, KeyKind::P256, &world.clock);
    let key = world.key_for(&["client_credentials"]).await;
    for (name, body) in [
        ("format", json!({ "assertion": "junk" })),
        ("issuer", json!({ "assertion": idp.sign(&idp.claims("a").with("iss", "x")) })),
        ("signature", json!({ "assertion": stranger.sign_for("alice") })),
        ("aud", json!({ "assertion": idp.sign(&idp.claims("a").with("aud", "other")) })),
        ("exp", json!({ "assertion": idp.sign(&idp.claims("a").without("exp")) })),
        ("client", json!({ "assertion": idp.sign_for("a"), "client_id": "nobody" })),
        ("grant_type", json!({ "assertion": idp.sign_for("a"), "client_id": key.id })),
    ] {
        let answer = check(&world, body).await;
        let states = states(&answer);
        let place = states.iter().position(|(_, state)| state == "failed").unwrap();
        assert_eq!(states[place].0, name);
        assert!(states[..place].iter().all(|(_, state)| state == "passed"), "{name}");
        assert!(states[place + 1..].iter().all(|(_, state)| state == "not_reached"), "{name}");
        let failed = &answer.json()["checks"][place];
        assert!(failed["remedy"].is_string() && failed["seen"].is_string(), "{name}");
        assert_eq!(answer.json()["accepted"], false);
    }
    let wrong = check(&world, json!({ "assertion": idp.sign(&idp.claims("a").with("aud", "other")) })).await;
    assert!(wrong.text.contains("client-1") && wrong.text.contains("other"));
    let missing = world.manage(Method::POST, "/api/v1/identity-providers/check", json!({})).await;
    assert_eq!(fields(&missing), ["assertion"]);
}

#[tokio::test]
async fn a_bearer_of_a_provider_for_management_holds_the_rights_of_its_scopes() {
    let world = World::new().await;
    let idp = idp(&world);
    let id = world.trusts(&idp, json!({ "management": true })).await;
    let call = async |token: String| {
        let request =
            TestRequest::get().uri(PATH).insert_header((header::AUTHORIZATION, format!("Bearer {token}")));
        world.send(request).await
    };
    let with = |subject: &str, scope: &str| idp.sign(&idp.claims(subject).with("scope", scope));

    let administrator = with("alice", "openid apim:admin");
    for _ in 0..2 {
        assert_eq!(call(administrator.clone()).await.status, 200, "as often as it likes");
    }
    let viewer = call(with("alice", "apim:api_view")).await;
    assert_eq!(viewer.status, 403);
    assert!(viewer.header("www-authenticate").contains("insufficient_scope"));
    assert_eq!(call(with("alice", "")).await.status, 403);
    assert_eq!(call(with("admin", "apim:api_view")).await.status, 403, "not the bootstrap administrator");
    let expired =
        idp.sign(&idp.claims("alice").with("scope", "apim:admin").without("iat").with("exp", NOW.0 - 30));
    let refused = call(expired).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").contains("invalid_token"));
    assert_eq!(call("junk".to_owned()).await.status, 401);

    world.changes(&id, json!({ "management": false })).await;
    assert_eq!(call(administrator).await.status, 401);
}

#[tokio::test]
async fn a_bearer_administrator_introspects() {
    let world = World::new().await;
    let idp = idp(&world);
    world.trusts(&idp, json!({ "management": true })).await;
    let key = world.key().await;
    let token = world.token(&key, &[("grant_type", "client_credentials")]).await.member("access_token");
    let ask = async |scope: &str| {
        let bearer = idp.sign(&idp.claims("alice").with("scope", scope));
        let request = super::form_to("/oauth2/introspect", None);
        let request = request.insert_header((header::AUTHORIZATION, format!("Bearer {bearer}")));
        world.send(request.set_payload(format!("token={token}"))).await
    };

    assert_eq!(ask("apim:admin").await.json()["active"], true);
    assert_eq!(ask("apim:api_view").await.code(), (403, "insufficient_scope".to_owned()));
}
