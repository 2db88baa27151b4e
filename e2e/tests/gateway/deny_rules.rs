//! Callers are kept away by rules of the administrators.

use serde_json::json;

use super::{Inside, read_and_write};

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_subject_is_refused_from_one_call_to_the_next_and_others_are_not() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let bob = inside.application.exchanges(&inside.idp.sign_for("bob")).await.token();
    let _ = inside.calls("/pets/1.0/cats").await.expect(200);

    let rule = json!({ "conditions": { "subject": "alice", "api_id": inside.api.id }, "reason": "floods" });
    let _ = inside.world.administrator().posts("deny-rules", &rule).await.expect(201);

    assert_eq!(inside.calls("/pets/1.0/cats").await.refusal(), (403, "900805".into()));
    assert_eq!(inside.application.calls("/pets/1.0/cats", &bob).await.status, 200);

    let everybody = json!({ "conditions": { "ip": "127.0.0.0/8" }, "reason": "all of us" });
    let _ = inside.world.administrator().posts("deny-rules", &everybody).await.expect(201);
    assert_eq!(inside.application.calls("/pets/1.0/cats", &bob).await.refusal(), (403, "900805".into()));
    assert_eq!(inside.world.backend.reached(), 2);
}
