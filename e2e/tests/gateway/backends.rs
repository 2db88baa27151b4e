//! An API goes on while one of its backends does not.

use e2e::backend::Backend;
use serde_json::json;

use super::Inside;

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_dealt_out_by_weight_and_go_on_when_a_backend_is_gone() {
    let (light, heavy) = (Backend::start().await.unwrap(), Backend::start().await.unwrap());
    let members = json!({ "backends": { "production": [light.url(), { "url": heavy.url(), "weight": 3 }] } });
    let inside = Inside::with_api("pets", &members).await;
    for _ in 0..40 {
        let _ = inside.calls("/pets/1.0/cats").await.expect(200);
    }
    assert_eq!((light.reached(), heavy.reached()), (10, 30));

    drop(heavy);
    for _ in 0..40 {
        let _ = inside.calls("/pets/1.0/cats").await.expect(200);
    }
    assert_eq!(light.reached(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_backend_gets_nothing_new_and_sandbox_keys_never_reach_production() {
    let (drained, sandbox) = (Backend::start().await.unwrap(), Backend::start().await.unwrap());
    let inside = Inside::with_api("pets", &json!({})).await;
    let backends = json!({
        "production": [inside.world.backend.url(), { "url": drained.url(), "weight": 0 }],
        "sandbox": [sandbox.url()],
    });
    inside.world.publisher().changes(&inside.api, &json!({ "backends": backends })).await;
    for _ in 0..10 {
        let _ = inside.calls("/pets/1.0/cats").await.expect(200);
    }
    assert_eq!((inside.world.backend.reached(), drained.reached(), sandbox.reached()), (10, 0, 0));

    let keys = json!({ "key_type": "sandbox", "grant_types": ["client_credentials"] });
    let path = format!("applications/{}/keys", inside.application.id);
    let keys = inside.world.developer().posts(&path, &keys).await.expect(201);
    let form = [("grant_type", "client_credentials")];
    let asks = inside.application.token_request().form(&form);
    let asks = asks.basic(&keys.member("consumer_key"), &keys.member("consumer_secret"));
    let token = inside.application.sends_as_is(asks).await.token();
    let _ = inside.application.calls("/pets/1.0/cats", &token).await.expect(200);
    assert_eq!((inside.world.backend.reached(), sandbox.reached()), (10, 1));
}
