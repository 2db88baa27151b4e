//! Backends behind TLS: whom the gateway takes for them, and whom it does not.

use api_manager::domain::api::transport::BackendTls;
use api_manager::gateway::Limits;
use api_manager::settings::{PREFIX, Settings};
use shared_claims::jose::Compact;
use shared_claims::jwk::Jwk;
use shared_claims::signature::{Algorithm, KeyKind, PrivateKey, SigningHeader};
use shared_server::settings::Loader;

use super::backend::{Backend, full};
use super::secure::{Pair, describes, with_tls};
use super::{Answer, NOW, World, api};

const HTTP1: &[u8] = b"\x08http/1.1";

fn trusting(authority: &Pair) -> BackendTls {
    BackendTls { ca: vec![authority.pem()], ..BackendTls::default() }
}

fn pinning(pair: &Pair) -> BackendTls {
    BackendTls { pinned_keys: vec![pair.pin()], ..BackendTls::default() }
}

/// What a call hears of an API at `backend` that says `tls`.
async fn hears(world: &World, context: &str, backend: &Backend, tls: Option<BackendTls>) -> Answer {
    let mut api = api(context, &backend.url);
    if let Some(tls) = tls {
        api = with_tls(api, tls);
    }
    let api = world.publishes(api).await;
    let token = world.subscribed(&api).await;
    world.calls(&format!("/{context}/1.0/x"), &token).await
}

fn is_unreachable_without_details(answer: &Answer) {
    assert_eq!(answer.refusal(), (502, "101503".to_owned()));
    for detail in ["127.0.0.1", "localhost", "certificate", "TLS", "ssl", "verify", "pin"] {
        assert!(!answer.text.to_lowercase().contains(&detail.to_lowercase()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_backend_of_an_unknown_authority_is_502_unless_the_api_trusts_it() {
    let authority = Pair::authority();
    let backend = Backend::secure(&authority.signs("localhost"), "localhost", HTTP1, describes).await;
    let world = World::start().await;

    is_unreachable_without_details(&hears(&world, "by-system", &backend, None).await);
    let other = trusting(&Pair::authority());
    is_unreachable_without_details(&hears(&world, "by-other", &backend, Some(other)).await);
    let answer = hears(&world, "by-own", &backend, Some(trusting(&authority))).await;
    assert!(answer.text.starts_with("HTTP/1.1 sni=localhost host=localhost:"), "{answer:?}");
}

#[tokio::test]
async fn a_self_signed_certificate_may_be_trusted_as_it_is() {
    let pair = Pair::self_signed("localhost");
    let backend = Backend::secure(&pair, "localhost", HTTP1, describes).await;
    let world = World::start().await;

    assert_eq!(hears(&world, "own", &backend, Some(trusting(&pair))).await.status, 200);
    // The leaf of somebody else's authority may end the chain as well.
    let leaf = Pair::authority().signs("localhost");
    let backend = Backend::secure(&leaf, "localhost", HTTP1, describes).await;
    assert_eq!(hears(&world, "leaf", &backend, Some(trusting(&leaf))).await.status, 200);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_502_unless_the_api_asks_for_that_name() {
    let authority = Pair::authority();
    let backend = Backend::secure(&authority.signs("inner.example"), "localhost", HTTP1, describes).await;
    let world = World::start().await;

    is_unreachable_without_details(&hears(&world, "wrong", &backend, Some(trusting(&authority))).await);
    let server_name = Some("inner.example".to_owned());
    let named = BackendTls { server_name, ..trusting(&authority) };
    let answer = hears(&world, "named", &backend, Some(named)).await;
    assert!(answer.text.contains("sni=inner.example host=localhost:"), "{answer:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_502_also_where_its_key_is_pinned() {
    let authority = Pair::authority();
    let expired = authority.signed_long_ago("localhost");
    let backend = Backend::secure(&expired, "localhost", HTTP1, describes).await;
    let world = World::start().await;

    for (context, tls) in [("trusted", trusting(&authority)), ("pinned", pinning(&expired))] {
        is_unreachable_without_details(&hears(&world, context, &backend, Some(tls)).await);
    }
}

#[tokio::test]
async fn a_pinned_key_stands_in_for_chain_and_name_and_no_other_key_does() {
    let pair = Pair::self_signed("whatever.example");
    let backend = Backend::secure(&pair, "localhost", HTTP1, describes).await;
    let world = World::start().await;

    assert_eq!(hears(&world, "pinned", &backend, Some(pinning(&pair))).await.status, 200);
    let other = pinning(&Pair::self_signed("whatever.example"));
    is_unreachable_without_details(&hears(&world, "other", &backend, Some(other)).await);
}

#[tokio::test]
async fn with_an_authority_and_a_pin_both_have_to_be_right() {
    let authority = Pair::authority();
    let leaf = authority.signs("localhost");
    let backend = Backend::secure(&leaf, "localhost", HTTP1, describes).await;
    let world = World::start().await;

    let both = BackendTls { pinned_keys: vec![leaf.pin()], ..trusting(&authority) };
    assert_eq!(hears(&world, "both", &backend, Some(both)).await.status, 200);
    let wrong_pin = BackendTls { pinned_keys: vec![authority.pin()], ..trusting(&authority) };
    is_unreachable_without_details(&hears(&world, "pin", &backend, Some(wrong_pin)).await);
    let wrong_authority = BackendTls { pinned_keys: vec![leaf.pin()], ..trusting(&Pair::authority()) };
    is_unreachable_without_details(&hears(&world, "ca", &backend, Some(wrong_authority)).await);
}

#[tokio::test]
async fn certificates_that_cannot_be_read_trust_nobody() {
    let backend = Backend::secure(&Pair::self_signed("localhost"), "localhost", HTTP1, describes).await;
    let world = World::start().await;

    let broken = BackendTls { ca: vec!["broken".to_owned()], ..BackendTls::default() };
    is_unreachable_without_details(&hears(&world, "broken", &backend, Some(broken)).await);
}

/// A world whose operator trusts this authority for outgoing connections, read from a file as in a real one.
async fn trusted_by_the_operator(authority: &Pair) -> World {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("outbound.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let env = [("API_MANAGER_OUTBOUND_CA".to_owned(), file.display().to_string())];
    let read = Settings::read(Loader::new(PREFIX, None, env).unwrap()).unwrap();
    World::start_with(Limits::default(), |settings| settings.outbound_ca = read.outbound_ca).await
}

#[tokio::test]
async fn what_the_operator_trusts_besides_the_system_holds_for_every_backend_that_names_nothing_else() {
    let authority = Pair::authority();
    let backend = Backend::secure(&authority.signs("localhost"), "localhost", HTTP1, describes).await;
    let world = trusted_by_the_operator(&authority).await;

    assert_eq!(hears(&world, "pets", &backend, None).await.status, 200);
    let other = trusting(&Pair::authority());
    is_unreachable_without_details(&hears(&world, "other", &backend, Some(other)).await);
}

#[tokio::test]
async fn a_jwk_set_behind_the_operators_own_authority_is_read() {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let set = serde_json::json!({ "keys": [Jwk::of(&key.public().unwrap()).unwrap()] }).to_string();
    let authority = Pair::authority();
    let pair = authority.signs("localhost");
    let answer = move |_| std::future::ready(http::Response::new(full(set.clone())));
    let server = Backend::secure(&pair, "localhost", HTTP1, answer).await;
    let header = SigningHeader { algorithm: Algorithm::ES256, typ: None, kid: None, x5t_s256: None };
    let jwt = key.sign(&header, &serde_json::json!({ "iss": "idp" })).unwrap();

    for (world, is_read) in [(trusted_by_the_operator(&authority).await, true), (World::start().await, false)]
    {
        let mut provider = world.trusts("idp").await;
        provider.jwks_uri = Some(format!("{}/jwks", server.url));
        provider.algorithms = vec![Algorithm::ES256];
        let verified = world.app.issuers.verify(&provider, &Compact::parse(&jwt).unwrap(), NOW).await;
        assert_eq!(verified.is_ok(), is_read, "{verified:?}");
    }
}

#[test]
fn a_file_of_trust_that_cannot_be_used_is_a_problem_of_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("outbound.pem");
    for content in [None, Some(""), Some("not PEM")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let env = [("API_MANAGER_OUTBOUND_CA".to_owned(), file.display().to_string())];
        let refused = Settings::read(Loader::new(PREFIX, None, env).unwrap()).unwrap_err().to_string();
        assert!(refused.starts_with("outbound_ca (API_MANAGER_OUTBOUND_CA): "), "{refused}");
    }
}
