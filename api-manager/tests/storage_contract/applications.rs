//! Applications and their keys.

use api_manager::domain::application::{About, ApplicationKey, DEFAULT_NAME, KeyType};
use api_manager::domain::ids::ApplicationId;
use api_manager::storage::{application_keys, applications, subscriptions};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, api, application, twenty};

fn key(application: ApplicationId, consumer_key: &str, key_type: KeyType) -> ApplicationKey {
    ApplicationKey {
        consumer_key: consumer_key.to_owned(),
        application_id: application,
        key_type,
        secret_digest: Digest::of(consumer_key.as_bytes()),
        previous_secret: None,
        grant_types: vec!["client_credentials".to_owned(), "refresh_token".to_owned()],
        created_at: UnixTime(4),
        updated_at: UnixTime(4),
        revision: 1,
    }
}

on_every_stage! {
    async fn an_application_survives_storage(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_application("alice", "ünï \"app\"").await;

        let id = kept.id;
        assert_eq!(store.read(move |c| applications::find(c, id)).await, Some(kept.clone()));
        let (owner, name) = (kept.owner.clone(), kept.name.clone());
        assert_eq!(store.read(move |c| applications::find_named(c, &owner, &name)).await, Some(kept.clone()));
        assert_eq!(store.read(|c| applications::find_named(c, "bob", "ünï \"app\"")).await, None);
        let about = About { id, owner: kept.owner.clone(), name: kept.name.clone(), tier: kept.tier.clone() };
        assert_eq!(store.read(move |c| applications::about(c, id)).await, Some(about.clone()));
        assert_eq!(store.read(applications::about_all).await, [about]);
    }

    async fn of_twenty_first_uses_one_makes_the_default_application(stage: Stage) {
        let store = Store::on(stage).await;

        let ended = twenty(|_| {
            let database = store.database.clone();
            async move { database.write(|c| applications::insert(c, &application("alice", DEFAULT_NAME))).await }
        })
        .await;

        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        assert!(ended.iter().all(|ended| matches!(ended, Ok(()) | Err(StorageError::Duplicate))), "{ended:?}");
        store.keeps_application("bob", DEFAULT_NAME).await;
        assert_eq!(store.read(applications::about_all).await.len(), 2);
    }

    async fn applications_are_listed_by_owner_and_page(stage: Stage) {
        let store = Store::on(stage).await;
        let mut alices = Vec::new();
        for name in ["one", "two", "three"] {
            alices.push(store.keeps_application("alice", name).await);
            store.keeps_application("bob", name).await;
        }
        let after = alices[0].id.to_string();

        assert_eq!(store.read(|c| applications::list(c, Some("alice"), "", 2)).await, alices[..2]);
        assert_eq!(store.read(move |c| applications::list(c, Some("alice"), &after, 9)).await, alices[1..]);
        assert_eq!(store.read(|c| applications::list(c, None, "", 9)).await.len(), 6);
    }

    async fn an_application_changes_only_from_the_revision_that_was_read(stage: Stage) {
        let store = Store::on(stage).await;
        let mut changed = store.keeps_application("alice", "app").await;
        let other = store.keeps_application("alice", "other").await;
        changed.name = other.name;
        changed.revision = 2;

        let taken = changed.clone();
        assert_eq!(store.write(move |c| applications::update(c, &taken, 1)).await, Err(StorageError::Duplicate));
        changed.name = "renamed".to_owned();
        let (first, second, lost) = (changed.clone(), changed.clone(), changed.clone());
        assert_eq!(store.write(move |c| applications::update(c, &first, 1)).await, Ok(true));
        assert_eq!(store.write(move |c| applications::update(c, &second, 1)).await, Ok(false));
        assert_eq!(store.write(move |c| applications::delete(c, lost.id, 1)).await, Ok(false));
    }

    async fn an_application_takes_its_keys_and_subscriptions_along(stage: Stage) {
        let store = Store::on(stage).await;
        let api = store.keeps_api(api("pets", "1.0")).await;
        let kept = store.keeps_application("alice", "app").await;
        store.subscribes(&kept, &api).await;
        let made = key(kept.id, "ck", KeyType::Production);
        store.write(move |c| application_keys::insert(c, &made)).await.unwrap();

        let id = kept.id;
        assert_eq!(store.write(move |c| applications::delete(c, id, 1)).await, Ok(true));

        assert_eq!(store.read(|c| application_keys::find(c, "ck")).await, None);
        assert_eq!(store.read(subscriptions::terms_of_all).await, []);
    }

    async fn a_key_survives_storage_with_its_previous_secret(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_application("alice", "app").await.id;
        let mut kept = key(id, "ck", KeyType::Sandbox);
        let first = kept.clone();
        store.write(move |c| application_keys::insert(c, &first)).await.unwrap();

        kept.rotate(Digest::of(b"second"), 60, UnixTime(100));
        let second = kept.clone();
        assert_eq!(store.write(move |c| application_keys::update(c, &second, 1)).await, Ok(true));
        assert_eq!(store.read(|c| application_keys::find(c, "ck")).await, Some(kept.clone()));

        // The end of an overlap is written too: nothing stays by being left out.
        kept.rotate(Digest::of(b"third"), 0, UnixTime(110));
        let third = kept.clone();
        assert_eq!(store.write(move |c| application_keys::update(c, &third, 2)).await, Ok(true));
        assert_eq!(store.read(move |c| application_keys::find_of(c, id, KeyType::Sandbox)).await, Some(kept));
        assert_eq!(store.read(move |c| application_keys::find_of(c, id, KeyType::Production)).await, None);
    }

    async fn of_twenty_keys_of_one_type_one_is_kept(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_application("alice", "app").await.id;

        let ended = twenty(|place| {
            let database = store.database.clone();
            let made = key(id, &format!("ck{place}"), KeyType::Production);
            async move { database.write(move |c| application_keys::insert(c, &made)).await }
        })
        .await;

        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        let other = key(id, "sandbox", KeyType::Sandbox);
        store.write(move |c| application_keys::insert(c, &other)).await.unwrap();
        assert_eq!(store.read(move |c| application_keys::list_of(c, id)).await.len(), 2);
    }

    async fn of_twenty_rotations_of_one_revision_one_holds(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_application("alice", "app").await.id;
        let kept = key(id, "ck", KeyType::Production);
        let made = kept.clone();
        store.write(move |c| application_keys::insert(c, &made)).await.unwrap();

        let ended = twenty(|place| {
            let database = store.database.clone();
            let mut rotated = kept.clone();
            rotated.rotate(Digest::of(&[u8::try_from(place).unwrap()]), 0, UnixTime(9));
            async move { database.write(move |c| application_keys::update(c, &rotated, 1)).await.unwrap() }
        })
        .await;

        assert_eq!(ended.iter().filter(|written| **written).count(), 1);
    }
}
