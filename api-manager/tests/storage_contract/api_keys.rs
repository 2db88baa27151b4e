//! API keys.

use api_manager::domain::api_key::{ApiKey, Draft, RefererRule, generate};
use api_manager::domain::application::KeyType;
use api_manager::domain::deny::AddressRange;
use api_manager::domain::ids::{ApiKeyId, ApplicationId};
use api_manager::storage::{api_keys, applications};
use shared_claims::clock::UnixTime;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, twenty};

fn key(application: ApplicationId, name: &str) -> ApiKey {
    let draft = Draft {
        name: name.to_owned(),
        key_type: KeyType::Sandbox,
        expires_in: Some(60),
        allowed_ips: vec![AddressRange::parse("192.0.2.0/24").unwrap(), AddressRange::parse("::1").unwrap()],
        allowed_referers: vec![RefererRule::parse("https://app.example/shop/*").unwrap()],
    };
    draft.into_key(application, &generate().unwrap(), UnixTime(7))
}

on_every_stage! {
    async fn an_api_key_survives_storage_and_is_found_by_its_digest(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_application("alice", "app").await.id;
        let full = key(id, "full");
        let bare = ApiKey { expires_at: None, allowed_ips: Vec::new(), allowed_referers: Vec::new(), ..key(id, "bare") };
        for made in [full.clone(), bare.clone()] {
            store.write(move |c| api_keys::insert(c, &made)).await.unwrap();
        }

        for kept in [&full, &bare] {
            let digest = kept.digest;
            assert_eq!(store.read(move |c| api_keys::find_by_digest(c, &digest)).await.as_ref(), Some(kept));
        }
        let mut listed = store.read(move |c| api_keys::list_of(c, id)).await;
        listed.sort_by_key(|key| key.name.clone());
        assert_eq!(listed, [bare, full.clone()]);
        assert_eq!(store.read(move |c| api_keys::find_of(c, id, full.id)).await, Some(full.clone()));
        assert_eq!(store.read(move |c| api_keys::find_of(c, ApplicationId::generate(), full.id)).await, None);
    }

    async fn an_api_key_is_removed_once_and_with_its_application(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_application("alice", "app").await.id;
        let (first, second) = (key(id, "first"), key(id, "second"));
        for made in [first.clone(), second.clone()] {
            store.write(move |c| api_keys::insert(c, &made)).await.unwrap();
        }

        assert_eq!(store.write(move |c| api_keys::delete(c, first.id)).await, Ok(true));
        assert_eq!(store.write(move |c| api_keys::delete(c, first.id)).await, Ok(false));
        assert_eq!(store.write(|c| api_keys::delete(c, ApiKeyId::generate())).await, Ok(false));
        assert_eq!(store.write(move |c| applications::delete(c, id, 1)).await, Ok(true));
        assert_eq!(store.read(move |c| api_keys::find_by_digest(c, &second.digest)).await, None);
        let orphan = key(id, "orphan");
        assert_eq!(store.write(move |c| api_keys::insert(c, &orphan)).await, Err(StorageError::InUse));
    }

    async fn of_twenty_api_keys_of_one_name_one_is_kept(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_application("alice", "app").await.id;

        let ended = twenty(|_| {
            let (database, made) = (store.database.clone(), key(id, "name"));
            async move { database.write(move |c| api_keys::insert(c, &made)).await }
        })
        .await;

        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        assert!(ended.iter().all(|ended| matches!(ended, Ok(()) | Err(StorageError::Duplicate))));
    }
}
