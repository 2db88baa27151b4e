//! Deny rules over the wire.

use http::Request;
use http_body_util::Full;
use serde_json::json;

use super::actors::Idp;
use super::{As, Manager, at};

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_rule_is_made_read_replaced_and_removed_and_holds_at_once() {
    let manager = Manager::start().await;
    let pets = manager.published("pets").await;
    let call = async || {
        let url = format!("https://{}/pets/1.0.0/cats", manager.running.gateway);
        manager.send(Request::get(url).body(Full::default()).unwrap()).await
    };
    assert_eq!(call().await.status, 401);
    let body = json!({"conditions": {"ip": "127.0.0.1", "api_id": pets["id"]}, "reason": "floods"});

    let rule = manager.post(&As::admin(), "/api/v1/deny-rules", body).await.made();

    assert_eq!(rule["conditions"]["ip"], "127.0.0.1/32");
    assert_eq!((&rule["enabled"], &rule["expires_at"]), (&json!(true), &json!(null)));
    assert_eq!(call().await.status, 403);
    let path = at("deny-rules", &rule);
    assert_eq!(manager.get(&As::admin(), &path).await.expect(200), rule);
    assert_eq!(manager.get(&As::admin(), "/api/v1/deny-rules").await.expect(200)["items"], json!([rule]));

    let mut disabled = rule.clone();
    disabled["enabled"] = json!(false);
    disabled["expires_at"] = json!("2099-01-31T12:00:00+01:00");
    manager.put_if("\"9\"", &path, disabled.clone()).await.assert_refused(412, "");
    let changed = manager.put(&As::admin(), &path, disabled).await.expect(200);
    assert_eq!(changed["expires_at"], "2099-01-31T11:00:00Z");
    assert_eq!(call().await.status, 401);
    assert_eq!(manager.delete(&As::admin(), &path).await.status, 204);
    manager.get(&As::admin(), &path).await.assert_refused(404, "deny rule");
    manager.delete(&As::admin(), &path).await.assert_refused(404, "deny rule");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_deny_rule_is_named_at_once() {
    let manager = Manager::start().await;
    let post = async |body| manager.post(&As::admin(), "/api/v1/deny-rules", body).await;
    let nobody = "01890000-0000-7000-8000-000000000000";

    assert_eq!(post(json!({})).await.blamed(), ["conditions"]);
    assert_eq!(post(json!({"conditions": {}})).await.blamed(), ["conditions.ip"]);
    let bad = json!({"conditions": {"ip": "1.2.3.4/24", "application_id": "x", "api_id": 1, "issuer": "i", "user": "u"},
        "enabled": "yes", "reason": 1, "expires_at": "tomorrow", "until": 1});
    let answer = post(bad).await;
    for field in [
        "conditions.ip",
        "conditions.application_id",
        "conditions.api_id",
        "conditions.issuer",
        "conditions.user",
        "enabled",
        "reason",
        "expires_at",
        "until",
    ] {
        answer.assert_blames(field);
    }
    let answer = post(json!({"conditions": {"application_id": nobody, "api_id": nobody}})).await;
    assert_eq!(answer.blamed(), ["conditions.application_id", "conditions.api_id"]);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_keep_anybody_away() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let publisher = idp.person("pat", "apim:api_view apim:api_create apim:api_publish apim:subscribe");
    let body = json!({"conditions": {"ip": "10.0.0.0/8"}});
    manager.post(&publisher, "/api/v1/deny-rules", body.clone()).await.assert_refused(403, "apim:admin");
    manager.get(&publisher, "/api/v1/deny-rules").await.assert_refused(403, "apim:admin");
    let rule = manager.post(&idp.person("ada", "apim:admin"), "/api/v1/deny-rules", body).await.made();
    manager.delete(&publisher, &at("deny-rules", &rule)).await.assert_refused(403, "apim:admin");
    manager.stop().await;
}
