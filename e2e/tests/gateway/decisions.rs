//! Whoever was refused can find out why.

use e2e::client::Call;
use serde_json::{Value, json};

use super::{Inside, read_and_write};

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained_to_the_owner_by_its_request_id() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let strange = inside.world.developer().registers("not-subscribed").await;
    let token = strange.exchanges(&inside.idp.sign_for("alice")).await.token();

    let refused = strange.calls("/pets/1.0/cats", &token).await.expect(403);
    let decision = inside.asks(&format!("decisions/{}", refused.header("x-request-id"))).await;

    assert_eq!((&decision["reason"], &decision["status"]), (&json!("not_subscribed"), &json!(403)));
    let checks = decision["checks"].as_array().unwrap();
    let state = |name: &str| checks.iter().find(|check| check["name"] == name).map(|check| &check["state"]);
    assert_eq!(state("api"), Some(&Value::from("passed")));
    assert_eq!(state("subscription"), Some(&Value::from("failed")));
    assert!(!decision.to_string().contains(&token));
    let nobody = format!("{}/api/v1/decisions/unknown", inside.world.places().manager);
    let nobody = inside.world.http.send(Call::get(nobody).basic("admin", e2e::world::ADMIN_PASSWORD)).await;
    assert_eq!(nobody.status, 404);
}
