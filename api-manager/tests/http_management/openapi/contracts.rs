//! APIs whose document the gateway acts on: mocks, and those that judge requests.

use serde_json::json;

use super::document;
use crate::http_management::{As, Manager, api, at, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_mock_needs_a_document_and_no_backend() {
    let manager = Manager::start().await;
    manager
        .post(&As::admin(), "/api/v1/apis", with(api("bare"), "mock", json!(true)))
        .await
        .assert_blames("mock");
    let mut nowhere = document();
    nowhere["servers"] = json!([]);
    nowhere["x-countersign"] = json!({"context": "birds", "mock": true});

    let made = manager.imports("", &nowhere).await.made();
    assert_eq!((&made["mock"], &made["backends"]["production"]), (&json!(true), &json!([])));
    manager.acts(&As::admin(), &made, "publish").await.expect(200);
    assert_eq!(manager.exports(&made).await.expect(200)["x-countersign"]["mock"], true);
    let without = with(with(made.clone(), "mock", json!(false)), "backends", json!({}));
    manager.put(&As::admin(), &at("apis", &made), without).await.assert_blames("backends");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_judged_only_by_documents_that_can_be_judged_by() {
    let manager = Manager::start().await;
    let bare = with(api("bare"), "validate_requests", json!(true));
    manager.post(&As::admin(), "/api/v1/apis", bare).await.assert_blames("validate_requests");
    let mut backtracking = document();
    backtracking["x-countersign"] = json!({"validate_requests": true});
    backtracking["components"]["schemas"]["Bird"]["properties"]["name"]["pattern"] = json!("(?=x)");

    let refused = manager.imports("", &backtracking).await;
    refused.assert_blames("/components/schemas/Bird/properties/name/pattern");
    backtracking["components"]["schemas"]["Bird"]["properties"]["name"]["pattern"] = json!("^x");
    assert_eq!(manager.imports("", &backtracking).await.made()["validate_requests"], true);
    manager.stop().await;
}
