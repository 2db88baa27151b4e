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

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_providers_jwt_opens_the_api_itself_for_the_application_that_its_client_is_mapped_to() {
    let inside = Inside::with_api("pets", &json!({ "security": ["jwt"] })).await;
    let providers = inside.asks("identity-providers").await;
    let mapping = json!({
        "identity_provider_id": providers["items"][0]["id"], "client_id": "mobile", "key_type": "production",
    });
    let mapped = format!("applications/{}/mapped-clients", inside.application.id);
    let mapped = inside.world.administrator().posts(&mapped, &mapping).await.expect(201);
    let jwt = inside.idp.sign(&inside.idp.claims("alice").with("azp", "mobile"));

    let _ = inside.application.calls("/pets/1.0/cats", &jwt).await.expect(200);
    let strange = inside.idp.sign(&inside.idp.claims("alice").with("azp", "desktop"));
    assert!(matches!(inside.application.calls("/pets/1.0/cats", &strange).await.status, 401 | 403));
    let expired = inside.idp.sign(&inside.idp.claims("alice").with("azp", "mobile").with("exp", 1_000));
    assert_eq!(inside.application.calls("/pets/1.0/cats", &expired).await.status, 401);
    // The API takes JWTs only.
    assert_eq!(inside.calls("/pets/1.0/cats").await.status, 401);

    let one = format!("applications/{}/mapped-clients/{}", inside.application.id, mapped.member("id"));
    let one = format!("{}/api/v1/{one}", inside.world.places().manager);
    let _ = inside
        .world
        .http
        .send(Call::delete(one).basic("admin", e2e::world::ADMIN_PASSWORD))
        .await
        .expect(204);
    assert!(matches!(inside.application.calls("/pets/1.0/cats", &jwt).await.status, 401 | 403));
}
