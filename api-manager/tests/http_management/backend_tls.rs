//! How an API's backends are spoken to: `backend_protocol` and `backend_tls`.

use serde_json::{Value, json};

use super::{As, Manager, api, at, with};
use crate::gateway::secure::Pair;

fn secure_api() -> Value {
    with(api("secure"), "backends", json!({"production": ["https://a.example"]}))
}

#[tokio::test(flavor = "multi_thread")]
async fn transport_comes_back_as_it_was_sent_and_is_shown_to_the_owner_alone() {
    let manager = Manager::start().await;
    let pair = Pair::self_signed("a.example");
    let hex = pair.pin().hex();
    let tls = json!({"ca": [pair.pem()], "pinned_sha256": [hex.to_uppercase()], "server_name": "A.example"});
    let body = with(with(secure_api(), "backend_tls", tls), "backend_protocol", json!("http2"));

    let made = manager.post(&As::admin(), "/api/v1/apis", body).await.made();
    assert_eq!(made["backend_protocol"], "http2");
    assert_eq!(made["backend_tls"]["ca"], json!([pair.pem()]));
    assert_eq!(made["backend_tls"]["pinned_sha256"], json!([hex]));
    assert_eq!(made["backend_tls"]["server_name"], "a.example");
    let read = manager.get(&As::admin(), &at("apis", &made)).await.expect(200);
    assert_eq!(read["backend_tls"], made["backend_tls"]);
    // What was read may be sent back.
    manager.put(&As::admin(), &at("apis", &made), read).await.expect(200);

    let plain = manager.post(&As::admin(), "/api/v1/apis", api("plain")).await.made();
    assert_eq!((&plain["backend_protocol"], &plain["backend_tls"]), (&json!("http1"), &Value::Null));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_member_of_backend_tls_is_named_with_what_to_do() {
    let manager = Manager::start().await;
    let good = Pair::self_signed("a.example");
    let expired = Pair::authority().signed_long_ago("a.example").pem();
    let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
    let many = good.pem().repeat(11);
    for (tls, field, says) in [
        (json!({}), "backend_tls.ca", "required"),
        (json!({"ca": "x"}), "backend_tls.ca", "list"),
        (json!({"ca": ["x"]}), "backend_tls.ca[0]", "PEM"),
        (json!({"ca": [good.pem(), key]}), "backend_tls.ca[1]", "private key"),
        (json!({"ca": [expired]}), "backend_tls.ca[0]", "has expired at"),
        (json!({"ca": [many]}), "backend_tls.ca[0]", "too many"),
        (json!({"pinned_sha256": ["00"]}), "backend_tls.pinned_sha256[0]", "SHA-256"),
        (json!({"pinned_sha256": [1]}), "backend_tls.pinned_sha256[0]", ""),
        (json!({"server_name": "*.example"}), "backend_tls.server_name", "host name"),
        (json!({"server_name": "a:443"}), "backend_tls.server_name", "host name"),
        (json!({"verify": false}), "backend_tls.verify", ""),
        (json!("off"), "backend_tls", "object"),
    ] {
        let refused =
            manager.post(&As::admin(), "/api/v1/apis", with(secure_api(), "backend_tls", tls.clone())).await;
        refused.assert_blames(field);
        let errors = refused.json["errors"].as_array().unwrap();
        let found = errors
            .iter()
            .any(|error| error["field"] == field && error["detail"].as_str().unwrap().contains(says));
        assert!(found, "{tls}: {}", refused.json);
    }
    let tls = json!({"ca": [good.pem()]});
    let no_https = with(api("plain"), "backends", json!({"production": ["http://a.example"]}));
    manager
        .post(&As::admin(), "/api/v1/apis", with(no_https, "backend_tls", tls))
        .await
        .assert_blames("backend_tls");
    manager
        .post(&As::admin(), "/api/v1/apis", with(secure_api(), "backend_protocol", json!("h2")))
        .await
        .assert_blames("backend_protocol");
    manager.stop().await;
}
