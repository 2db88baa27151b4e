//! Calls with a trusted provider's own JWT.

use std::time::Duration;

use api_manager::domain::api::{Api, Operation, OperationAuth};
use api_manager::domain::application::KeyType;
use api_manager::domain::identity_provider::IdentityProvider;
use api_manager::domain::ids::{ApplicationId, MappedClientId};
use api_manager::domain::mapped_client::MappedClient;
use api_manager::domain::revocation::Revocation;
use api_manager::domain::scheme::{Scheme, Schemes};
use api_manager::storage::{identity_providers, mapped_clients, revocations};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared_claims::scope::ScopeSet;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

use super::backend::Backend;
use super::websocket::parrot;
use super::{NOW, World, api, grant};
use crate::exchange::idp::{Algorithm, Claims, Idp};

const CLIENT: &str = "mobile";

/// A world with an API that takes tokens and JWTs, a provider, and an application that its client stands for.
struct Scene {
    world: World,
    idp: Idp,
    provider: IdentityProvider,
    application: ApplicationId,
    mapping: MappedClient,
}

fn taking(schemes: &[Scheme], backend: &str) -> Api {
    let mut pets = api("pets", backend);
    pets.definition.security = Schemes::of(schemes);
    pets.definition.operations.extend([
        Operation { scopes: ScopeSet::parse("read").unwrap(), ..Operation::new("GET", "/scoped") },
        Operation { auth: OperationAuth::Application, ..Operation::new("GET", "/own") },
    ]);
    pets.definition.backend_jwt = true;
    pets
}

async fn scene(backend: &str) -> Scene {
    let world = World::start().await;
    let pets = world.publishes(taking(&[Scheme::Token, Scheme::Jwt], backend)).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let idp = Idp::new("https://idp.example", "us", &world.app.clock);
    let mut provider = world.trusts(&idp.issuer).await;
    provider.certificates = vec![idp.certificate()];
    provider.jwks_uri = None;
    provider.scopes = Some(ScopeSet::parse("read list").unwrap());
    let mapping = MappedClient {
        id: MappedClientId::generate(),
        application_id: application,
        identity_provider_id: provider.id,
        client_id: CLIENT.to_owned(),
        key_type: KeyType::Production,
        created_at: NOW,
    };
    let row = mapping.clone();
    world.writes(move |c| mapped_clients::insert(c, &row)).await;
    let mut scene = Scene { world, idp, provider, application, mapping };
    scene.changes_provider(|_| {}).await;
    scene
}

impl Scene {
    async fn changes_provider(&mut self, change: impl FnOnce(&mut IdentityProvider)) {
        let before = self.provider.revision;
        change(&mut self.provider);
        self.provider.revision += 1;
        let row = self.provider.clone();
        self.world.changes(move |c| identity_providers::replace(c, &row, before)).await;
    }

    fn claims(&self) -> Claims {
        self.idp.claims("alice").with("client_id", CLIENT).with("scope", "read write")
    }

    fn jwt(&self) -> String {
        self.idp.sign(&self.claims())
    }

    async fn status(&self, jwt: &str) -> u16 {
        self.world.calls("/pets/1.0/", jwt).await.status.as_u16()
    }

    async fn is_refused_within_a_second(&self, jwt: &str) {
        let began = Instant::now();
        while self.status(jwt).await == 200 {
            assert!(began.elapsed() < Duration::from_millis(1_500));
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.world.calls("/pets/1.0/", jwt).await.refusal(), (401, "900901".to_owned()));
    }

    /// Nobody tells the gateway.
    async fn revokes_elsewhere(&self, revocation: Revocation) {
        self.world.writes(move |c| revocations::append(c, &revocation, NOW)).await;
    }
}

#[tokio::test]
async fn a_trusted_providers_jwt_calls_on_its_clients_application_and_is_verified_once() {
    let backend = Backend::echo().await;
    let scene = scene(&backend.url).await;
    let jwt = scene.jwt();

    for _ in 0..10 {
        let answer = scene.world.calls("/pets/1.0/scoped", &jwt).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains(&jwt), "it never reaches the backend");
    }
    assert_eq!(scene.world.gateway.grants_asked(), 1);
    let answer = scene.world.calls("/pets/1.0/", &jwt).await;
    assert_eq!(answer.header("x-ratelimit-limit"), "5000");
    let told = answer.text.split("x-jwt-assertion: ").nth(1).unwrap().split(['.', '\n']).nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(told).unwrap()).unwrap();
    assert_eq!(
        (&claims["sub"], &claims["countersign_issuer"]),
        (&json!("alice"), &json!("https://idp.example"))
    );
    assert_eq!(claims["http://wso2.org/claims/applicationid"], scene.application.to_string());
    assert_eq!(claims["http://wso2.org/claims/enduser"], "alice");
    // The opaque token of the same API goes on to count.
    let token = scene.world.issues(grant(scene.application)).await;
    assert_eq!(scene.status(&token).await, 200);
}

#[tokio::test]
async fn a_jwt_needs_everything_that_the_exchange_asks_for_and_a_mapped_client() {
    let backend = Backend::echo().await;
    let scene = scene(&backend.url).await;
    let (idp, good, now) = (&scene.idp, scene.claims(), NOW.0);
    let stranger = Idp::new("https://idp.example", "us", &scene.world.app.clock);
    let other = Idp::new("https://other.example", "us", &scene.world.app.clock);
    let unsigned = format!("{}.", scene.jwt().rsplit_once('.').unwrap().0);

    for (bad, why) in [
        (stranger.sign(&good), "another key"),
        (other.sign(&other.claims("alice").with("client_id", CLIENT)), "another issuer"),
        (idp.signing_with(Algorithm::RS512).sign(&good), "an algorithm that is not the provider's"),
        (unsigned, "no signature"),
        (idp.sign(&good.clone().with("aud", "them")), "another audience"),
        (idp.sign(&good.clone().with("exp", now - 31)), "expired"),
        (idp.sign(&good.clone().with("exp", now + 86_400 + 60)), "lives too long"),
        (idp.sign(&good.clone().with("nbf", now + 60)), "not yet valid"),
        (idp.sign(&good.clone().with("iat", now + 60)), "issued in the future"),
        (idp.sign(&good.clone().without("sub")), "no subject"),
        (idp.sign(&good.clone().without("client_id")), "no client"),
        (idp.sign(&good.clone().with("client_id", "desktop")), "a client that is not mapped"),
        (idp.sign(&good.clone().with("azp", "desktop")), "two clients"),
        (idp.sign(&good.clone().with("client_id", json!([CLIENT]))), "a client of the wrong type"),
        (idp.sign_under(&json!({"alg": "RS256", "typ": "logout+jwt"}), &good), "another kind of JWT"),
        (idp.sign_under(&json!({"alg": "RS256", "crit": ["x"]}), &good), "a critical extension"),
    ] {
        let refused = scene.world.calls("/pets/1.0/", &bad).await;
        assert_eq!(refused.refusal(), (401, "900901".to_owned()), "{why}");
        assert!(refused.header("www-authenticate").contains("invalid_token"), "{why}");
    }
    assert_eq!(backend.hits(), 0);
    assert_eq!(scene.status(&idp.sign(&good.clone().without("client_id").with("azp", CLIENT))).await, 200);
}

#[tokio::test]
async fn a_jwt_counts_only_where_the_api_takes_it_and_reaches_what_its_scopes_and_provider_allow() {
    let backend = Backend::echo().await;
    let scene = scene(&backend.url).await;
    let plain = scene.world.publishes(api("plain", &backend.url)).await;
    scene.world.subscribes(scene.application, &plain).await;

    assert_eq!(scene.world.calls("/plain/1.0/", &scene.jwt()).await.refusal(), (401, "900901".to_owned()));
    let beyond = scene.idp.sign(&scene.claims().with("scope", "write"));
    assert_eq!(scene.world.calls("/pets/1.0/scoped", &beyond).await.refusal(), (403, "900910".to_owned()));
    let listed = scene.idp.sign(&scene.claims().without("scope").with("scp", json!(["read"])));
    assert_eq!(scene.world.calls("/pets/1.0/scoped", &listed).await.status, 200);
    // A person stands behind it, as behind a token that it buys.
    assert_eq!(scene.world.calls("/pets/1.0/own", &scene.jwt()).await.refusal(), (401, "900905".to_owned()));
}

#[tokio::test]
async fn a_jwt_ends_on_its_second_and_the_skew_that_the_exchange_allows() {
    let backend = Backend::echo().await;
    let scene = scene(&backend.url).await;
    let jwt = scene.jwt();
    assert_eq!(scene.status(&jwt).await, 200);
    scene.world.app.clock.advance(629);
    assert_eq!(scene.status(&jwt).await, 200);
    scene.world.app.clock.advance(1);
    assert_eq!(scene.status(&jwt).await, 401);
}

#[tokio::test]
async fn a_jwt_is_verified_anew_when_its_provider_is_on_other_terms() {
    let backend = Backend::echo().await;
    let mut scene = scene(&backend.url).await;
    let jwt = scene.jwt();
    assert_eq!(scene.status(&jwt).await, 200);

    scene.changes_provider(|provider| provider.alias = "others".to_owned()).await;
    assert_eq!(scene.status(&jwt).await, 401);
    scene.changes_provider(|provider| provider.alias = "us".to_owned()).await;
    sleep(Duration::from_millis(1_050)).await;
    assert_eq!(scene.status(&jwt).await, 200, "what was unknown is asked again after a second");
    scene.changes_provider(|provider| provider.scopes = Some(ScopeSet::default())).await;
    assert_eq!(scene.world.calls("/pets/1.0/scoped", &jwt).await.refusal(), (403, "900910".to_owned()));
    scene.changes_provider(|provider| provider.enabled = false).await;
    assert_eq!(scene.status(&jwt).await, 401);
}

#[tokio::test]
async fn a_jwt_stops_with_its_mapping_its_subject_and_its_jti_and_stays_stopped() {
    let backend = Backend::echo().await;
    let scene = scene(&backend.url).await;
    let issuer = scene.idp.issuer.clone();
    let (by_jti, by_subject) = (scene.idp.sign(&scene.claims().with("jti", "one")), scene.jwt());
    let bob = scene.idp.sign(&scene.idp.claims("bob").with("client_id", CLIENT));
    for jwt in [&by_jti, &by_subject, &bob] {
        assert_eq!(scene.status(jwt).await, 200);
    }

    scene.revokes_elsewhere(Revocation::Assertion { issuer: issuer.clone(), jti: "one".to_owned() }).await;
    scene.is_refused_within_a_second(&by_jti).await;
    assert_eq!(scene.status(&by_subject).await, 200);
    scene.revokes_elsewhere(Revocation::Subject { subject: "alice".to_owned(), issuer: Some(issuer) }).await;
    scene.is_refused_within_a_second(&by_subject).await;
    assert_eq!(scene.status(&bob).await, 200);
    // What is unknown is asked again after a second, and the answer is the same.
    sleep(Duration::from_millis(1_050)).await;
    assert_eq!((scene.status(&by_jti).await, scene.status(&by_subject).await), (401, 401));
    scene.world.app.clock.advance(1);
    assert_eq!(scene.status(&scene.jwt()).await, 200, "alice may come with a JWT that is newer than that");

    let id = scene.mapping.id;
    scene.world.writes(move |c| mapped_clients::delete(c, id)).await;
    scene.revokes_elsewhere(Revocation::MappedClient(id)).await;
    scene.is_refused_within_a_second(&bob).await;
}

#[tokio::test]
async fn a_websocket_ends_with_the_jwt_that_opened_it() {
    let backend = parrot().await;
    let scene = scene(&backend.url).await;
    let mut socket = scene.world.opens("/pets/1.0/", &scene.jwt()).await;

    scene.revokes_elsewhere(Revocation::Subject { subject: "alice".to_owned(), issuer: None }).await;

    let mut rest = Vec::new();
    timeout(Duration::from_millis(1_700), socket.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!((rest[0], &rest[2..4]), (0x88, &[0x03, 0xf0][..]), "{rest:?}");
}

#[tokio::test]
async fn junk_in_the_shape_of_a_jwt_costs_no_look_up() {
    let backend = Backend::echo().await;
    let scene = scene(&backend.url).await;
    let stranger = Idp::new("https://stranger.example", "us", &scene.world.app.clock);

    for junk in ["a.b.c".to_owned(), stranger.sign_for("alice"), scene.idp.sign_text("{}", "{}")] {
        assert_eq!(scene.status(&junk).await, 401);
    }
    assert_eq!(scene.world.gateway.grants_asked(), 0);
}
