//! Other ways to show who calls than an opaque token.

use std::pin::Pin;

use e2e::client::Call;
use e2e::idp::Idp;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_client_certificate_opens_the_api_in_its_applications_name_and_another_does_not() {
    let inside = Inside::with_api("pets", &json!({ "security": ["client_certificate"] })).await;
    // An identity provider is at hand as somebody with a key and a certificate.
    let (machine, stranger) = (inside.world.strange_idp(), inside.world.strange_idp());
    let (own, other) = (machine.certificate(), stranger.certificate());
    let registered = json!({ "certificate": own, "key_type": "production" });
    let certificates = format!("applications/{}/certificates", inside.application.id);
    let _ = inside.world.developer().posts(&certificates, &registered).await.expect(201);

    assert_eq!(status_for(&inside, Some((&machine, &own))).await, "200");
    assert_eq!(status_for(&inside, Some((&stranger, &other))).await, "401");
    assert_eq!(status_for(&inside, None).await, "401");
    assert_eq!(inside.world.backend.reached(), 1);
}

/// What the gateway answers to a client with this certificate in TLS.
async fn status_for(inside: &Inside, holder: Option<(&Idp, &str)>) -> String {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    if let Some((holder, certificate)) = holder {
        connector.set_certificate(&X509::from_pem(certificate.as_bytes()).unwrap()).unwrap();
        connector.set_private_key(holder.key()).unwrap();
    }
    let ssl = connector.build().configure().unwrap().verify_hostname(false).into_ssl("localhost").unwrap();
    let gateway = inside.world.places().gateway.trim_start_matches("https://").to_owned();
    let mut stream = SslStream::new(ssl, TcpStream::connect(gateway).await.unwrap()).unwrap();
    Pin::new(&mut stream).connect().await.unwrap();
    let head = b"GET /pets/1.0/cats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    // Some end without a farewell in TLS.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned()
}
