//! Other ways to show who calls than an opaque token.

use e2e::client::Call;
use serde_json::json;

use super::Inside;

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_opens_what_its_application_has_subscribed_to_until_it_is_revoked() {
    let inside = Inside::with_api("pets", &json!({ "security": ["token", "api_key"] })).await;
    let keys = format!("applications/{}/api-keys", inside.application.id);
    let made = json!({ "name": "shop window", "key_type": "production", "allowed_ips": ["127.0.0.0/8"] });
    let made = inside.world.developer().posts(&keys, &made).await.expect(201);
    let url = inside.application.gateway("/pets/1.0/cats");
    let call = || Call::get(&url).header("apikey", &made.member("api_key"));

    let report = inside.application.sends_as_is(call()).await.expect(200).json();
    assert_eq!(report["headers"]["apikey"], json!(null));
    let _ = inside.calls("/pets/1.0/cats").await.expect(200);
    let both = call().bearer(&inside.token);
    assert_eq!(inside.application.sends_as_is(both).await.status, 400);

    let one = format!("{}/api/v1/{keys}/{}", inside.world.places().manager, made.member("id"));
    let delete = Call::delete(one).basic("admin", e2e::world::ADMIN_PASSWORD);
    let _ = inside.world.http.send(delete).await.expect(204);
    assert_eq!(inside.application.sends_as_is(call()).await.status, 401);
}
