//! Why the gateway refused, over the wire.

use http::{Method, Request};
use http_body_util::Full;

use super::actors::Idp;
use super::{As, Manager, api};

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained_by_its_request_id() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let every = "apim:api_view apim:api_create apim:api_publish apim:subscribe";
    let (pat, mallory) = (idp.person("pat", every), idp.person("mallory", every));
    let pets = manager.post(&pat, "/api/v1/apis", api("pets")).await.made();
    manager.acts(&pat, &pets, "publish").await.expect(200);
    let url = format!("https://{}/pets/1.0.0/cats", manager.running.gateway);
    let call = Request::builder().method(Method::GET).uri(url).body(Full::default()).unwrap();

    let refused = manager.send(call).await;

    assert_eq!(refused.status, 401);
    let path = format!("/api/v1/decisions/{}", refused.header("x-request-id"));
    let decision = manager.get(&pat, &path).await.expect(200);
    assert_eq!(decision["api_id"], pets["id"]);
    assert_eq!(decision["status"], 401);
    assert_eq!(decision["reason"], "missing_credentials");
    assert_eq!(decision["path"], "/pets/1.0.0/cats");
    let checks = decision["checks"].as_array().unwrap();
    let failed = checks.iter().find(|check| check["state"] == "failed").unwrap();
    assert_eq!((failed["name"].as_str(), failed["seen"].as_str()), (Some("credentials"), Some("none")));
    assert!(failed["remedy"].as_str().unwrap().starts_with("Send "));
    assert_eq!(checks.last().unwrap()["state"], "not_reached");

    manager.get(&As::admin(), &path).await.expect(200);
    manager.get(&mallory, &path).await.assert_refused(404, "decision");
    manager.get(&pat, "/api/v1/decisions/unknown").await.assert_refused(404, "decision");
    manager.get(&As::nobody(), &path).await.assert_refused(401, "");
    manager.get(&idp.person("x", "openid"), &path).await.assert_refused(403, "apim:api_view");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_with_a_slash_is_found_in_percent_encoding() {
    let manager = Manager::start().await;
    let url = format!("https://{}/nowhere", manager.running.gateway);
    let call = Request::builder().uri(url).header("x-request-id", "job/7:a+b");

    let refused = manager.send(call.body(Full::default()).unwrap()).await;

    assert_eq!((refused.status, refused.header("x-request-id")), (404, "job/7:a+b"));
    let decision = manager.get(&As::admin(), "/api/v1/decisions/job%2F7:a+b").await.expect(200);
    assert_eq!(
        (decision["request_id"].as_str(), &decision["api_id"]),
        (Some("job/7:a+b"), &serde_json::Value::Null)
    );
    manager.stop().await;
}
