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
