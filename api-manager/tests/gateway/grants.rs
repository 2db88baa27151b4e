//! What the gateway remembers of tokens, and how it hears that they are taken back.

use std::sync::Arc;
use std::time::Duration;

use api_manager::changes::Change;
use api_manager::domain::revocation::Revocation;
use api_manager::gateway::Limits;
use api_manager::storage::{apis, grants as stored, revocations};
use shared_claims::opaque::OpaqueToken;
use shared_claims::secret::Digest;
use tokio::time::{Instant, sleep};

use super::backend::Backend;
use super::{NOW, World, api, grant, grant_for_alice};

impl World {
    pub async fn revokes_elsewhere(&self, revocation: Revocation) {
        self.writes(move |connection| {
            stored::revoke(connection, &revocation, NOW)?;
            revocations::append(connection, &revocation, NOW)
        })
        .await;
    }

    pub async fn revokes(&self, revocation: Revocation) {
        self.revokes_elsewhere(revocation.clone()).await;
        self.app.changes.announce(Change::Revoked(revocation)).await;
    }
}

fn digest(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

#[tokio::test]
async fn a_warm_token_costs_no_look_up() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    for _ in 0..20 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    }

    assert_eq!(world.gateway.grants_asked(), 1);
}

#[tokio::test]
async fn a_revoked_token_stops_at_once() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);

    world.revokes(Revocation::Token(digest(&token))).await;

    let answer = world.calls("/pets/1.0/", &token).await;
    assert_eq!(answer.refusal(), (401, "900901".to_owned()));
    assert!(answer.header("www-authenticate").contains(r#"error="invalid_token""#));
}

#[tokio::test]
async fn every_kind_of_revocation_is_heard_and_hits_nobody_else() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let bystander = world.subscribed(&pets).await;
    let provider = world.trusts("https://idp.example").await;

    for kind in 0..5 {
        let application = world.application().await;
        world.subscribes(application, &pets).await;
        let grant = grant_for_alice(application, &provider);
        let revocation = match kind {
            0 => Revocation::Family(grant.lineage.family),
            1 => Revocation::Application(application),
            2 => Revocation::Subject { subject: "alice".to_owned(), issuer: Some(provider.issuer.clone()) },
            3 => Revocation::Assertion { issuer: provider.issuer.clone(), jti: "jti-1".to_owned() },
            _ => Revocation::IdentityProvider(provider.id),
        };
        let token = world.issues(grant).await;
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
        world.revokes(revocation).await;
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 401, "{kind}");
        assert_eq!(world.calls("/pets/1.0/", &bystander).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn what_another_process_changes_is_heard_within_a_second() {
    let backend = Backend::echo().await;
    let (world, mut pets, token) = World::with_pets(&backend.url).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);

    world.revokes_elsewhere(Revocation::Token(digest(&token))).await;
    let began = Instant::now();
    while world.calls("/pets/1.0/", &token).await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(1));
        sleep(Duration::from_millis(20)).await;
    }

    "2.0".clone_into(&mut pets.version);
    let row = pets.clone();
    world.changes_elsewhere(move |c| apis::update(c, &row, row.revision)).await;
    let began = Instant::now();
    while world.calls("/pets/2.0/", &token).await.status == 404 {
        assert!(began.elapsed() < Duration::from_secs(1));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_flood_of_one_unknown_token_is_one_look_up() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;
    let world = Arc::new(world);
    let token = OpaqueToken::generate().unwrap().expose().to_owned();

    let calls = (0..40).map(|_| {
        let (world, token) = (Arc::clone(&world), token.clone());
        tokio::spawn(async move { world.calls("/pets/1.0/", &token).await.status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 401);
    }

    assert_eq!(world.gateway.grants_asked(), 1);
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn random_tokens_are_looked_up_once_each_and_junk_never() {
    let backend = Backend::echo().await;
    let (world, ..) = World::with_pets(&backend.url).await;

    for _ in 0..30 {
        let token = OpaqueToken::generate().unwrap();
        for _ in 0..3 {
            assert_eq!(world.calls("/pets/1.0/", token.expose()).await.status, 401);
        }
        assert_eq!(
            world.calls("/pets/1.0/", &token.expose().to_uppercase().replace('0', "A")).await.status,
            401
        );
    }

    assert_eq!(world.gateway.grants_asked(), 30);
}

#[tokio::test]
async fn a_token_issued_after_it_was_unknown_works_within_a_second() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let token = OpaqueToken::generate().unwrap();
    assert_eq!(world.calls("/pets/1.0/", token.expose()).await.status, 401);

    let mut grant = grant(application);
    grant.access_digest = token.digest();
    world.writes(move |c| stored::insert(c, &grant)).await;
    sleep(Duration::from_millis(1_050)).await;

    assert_eq!(world.calls("/pets/1.0/", token.expose()).await.status, 200);
}

#[tokio::test]
async fn without_the_feed_hits_do_not_count_and_without_the_database_nothing_passes() {
    let mut limits = Limits::default();
    // No poll is ever this fresh.
    limits.cache.trust = Duration::ZERO;
    let backend = Backend::echo().await;
    let world = World::start_within(limits).await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let token = world.subscribed(&pets).await;

    sleep(Duration::from_millis(20)).await;
    for _ in 0..3 {
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
        sleep(Duration::from_millis(5)).await;
    }
    assert!(world.gateway.grants_asked() >= 2);

    world
        .writes(|connection| {
            use shared_server::database::AnyConnection;
            let AnyConnection::Sqlite(sqlite) = connection else { unreachable!() };
            diesel::connection::SimpleConnection::batch_execute(sqlite, "ALTER TABLE grants RENAME TO gone")?;
            Ok(())
        })
        .await;
    sleep(Duration::from_millis(5)).await;
    let answer = world.calls("/pets/1.0/", &token).await;
    assert_eq!(answer.refusal(), (503, "900900".to_owned()));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("www-authenticate"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_passes_after_its_revocation_was_acknowledged_however_many_look_it_up() {
    let backend = Backend::echo().await;
    let (world, pets, _) = World::with_pets(&backend.url).await;
    let world = Arc::new(world);

    for _ in 0..15 {
        let token = world.subscribed(&pets).await;
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let (world, token) = (Arc::clone(&world), token.clone());
                tokio::spawn(async move { world.calls("/pets/1.0/", &token).await.status })
            })
            .collect();
        world.revokes(Revocation::Token(digest(&token))).await;
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 401);
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(world.calls("/pets/1.0/", &token).await.status, 401);
    }
}
