//! Mapped clients, and what the feed says of JWTs.

use api_manager::domain::application::KeyType;
use api_manager::domain::grant::AssertionOrigin;
use api_manager::domain::ids::{ApplicationId, IdentityProviderId, MappedClientId};
use api_manager::domain::mapped_client::MappedClient;
use api_manager::domain::revocation::Revocation;
use api_manager::storage::{applications, identity_providers, mapped_clients, revocations};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::grants::provider;
use super::{Store, twenty};

fn mapped(application_id: ApplicationId, provider: IdentityProviderId, client_id: &str) -> MappedClient {
    MappedClient {
        id: MappedClientId::generate(),
        application_id,
        identity_provider_id: provider,
        client_id: client_id.to_owned(),
        key_type: KeyType::Sandbox,
        created_at: UnixTime(7),
    }
}

on_every_stage! {
    async fn a_mapped_client_is_found_by_its_provider_and_name_and_goes_with_either_side(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let (one, two) = (provider("one"), provider("two"));
        let (first, second) = (one.clone(), two.clone());
        store.write(move |c| identity_providers::insert(c, &first)).await.unwrap();
        store.write(move |c| identity_providers::insert(c, &second)).await.unwrap();
        let (app, other) = (store.keeps_application("alice", "app").await.id, store.keeps_application("bob", "app").await.id);
        let (a, b, c) = (mapped(app, one.id, "x"), mapped(app, two.id, "x"), mapped(other, one.id, "y"));
        for made in [a.clone(), b.clone(), c.clone()] {
            store.write(move |connection| mapped_clients::insert(connection, &made)).await.unwrap();
        }

        let (one_id, two_id) = (one.id, two.id);
        assert_eq!(store.read(move |c| mapped_clients::find_by_client(c, one_id, "x")).await, Some(a.clone()));
        assert_eq!(store.read(move |c| mapped_clients::find_by_client(c, one_id, "X")).await, None);
        assert_eq!(store.read(move |c| mapped_clients::list_of(c, app)).await.len(), 2);
        assert_eq!(store.read(move |c| mapped_clients::find_of(c, other, a.id)).await, None);
        let taken = mapped(other, one.id, "x");
        assert_eq!(store.write(move |c| mapped_clients::insert(c, &taken)).await, Err(StorageError::Duplicate));

        assert_eq!(store.write(move |c| mapped_clients::delete(c, a.id)).await, Ok(true));
        assert_eq!(store.write(move |c| mapped_clients::delete(c, a.id)).await, Ok(false));
        assert_eq!(store.write(move |c| identity_providers::delete(c, two_id)).await, Ok(true));
        assert_eq!(store.read(move |c| mapped_clients::list_of(c, app)).await, []);
        assert_eq!(store.write(move |c| applications::delete(c, other, 1)).await, Ok(true));
        assert_eq!(store.read(move |c| mapped_clients::find_by_client(c, one_id, "y")).await, None);
    }

    async fn of_twenty_who_map_one_client_one_does(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let one = provider("one");
        let (row, id) = (one.clone(), one.id);
        store.write(move |c| identity_providers::insert(c, &row)).await.unwrap();
        let app = store.keeps_application("alice", "app").await.id;

        let ended = twenty(|_| {
            let (database, made) = (store.database.clone(), mapped(app, id, "x"));
            async move { database.write(move |c| mapped_clients::insert(c, &made)).await }
        })
        .await;

        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
    }

    async fn the_feed_names_a_jwt_by_its_jti_or_by_its_subject_since_it_was_issued(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let origin = |issuer: &str, jti: Option<&str>| AssertionOrigin {
            identity_provider_id: IdentityProviderId::generate(),
            issuer: issuer.to_owned(),
            key_thumbprint: String::new(),
            jti: jti.map(str::to_owned),
            digest: Digest::of(b"jwt"),
        };
        let named = async |origin: AssertionOrigin, subject: &'static str, issued: i64| {
            store.read(move |c| revocations::name(c, &origin, subject, UnixTime(issued))).await
        };
        for (revocation, at) in [
            (Revocation::Assertion { issuer: "i".to_owned(), jti: "j".to_owned() }, 10),
            (Revocation::Subject { subject: "alice".to_owned(), issuer: Some("i".to_owned()) }, 20),
            (Revocation::Subject { subject: "bob".to_owned(), issuer: None }, 30),
            (Revocation::Application(ApplicationId::generate()), 40),
        ] {
            store.write(move |c| revocations::append(c, &revocation, UnixTime(at))).await.unwrap();
        }

        assert!(named(origin("i", Some("j")), "carol", 99).await);
        assert!(!named(origin("k", Some("j")), "carol", 0).await && !named(origin("i", Some("k")), "carol", 0).await);
        assert!(named(origin("i", None), "alice", 20).await && !named(origin("i", None), "alice", 21).await);
        assert!(!named(origin("k", None), "alice", 0).await);
        assert!(named(origin("k", None), "bob", 30).await && !named(origin("k", None), "bob", 31).await);

        // They are kept for as long as a JWT may live, whatever becomes of the others.
        store.write(|c| revocations::remove_before(c, (UnixTime(100), UnixTime(20)), 10)).await.unwrap();
        assert!(named(origin("i", None), "alice", 20).await && !named(origin("i", Some("j")), "carol", 0).await);
    }
}
