//! What storage promises, on both databases, with writers side by side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use diesel::RunQueryDsl;
use identity_server::domain::client::{AuthMethod, Client, ClientSettings, GrantType, MultiValued};
use identity_server::domain::key::KeyRecord;
use identity_server::domain::profile::{Contact, Profile};
use identity_server::domain::refresh::{Family, RefreshRefused, RefreshToken, TokenState};
use identity_server::domain::user::{User, UserId, UserName, key};
use identity_server::flows::clients::new_client;
use identity_server::storage::{
    MIGRATIONS, clients, refresh_tokens, revoked_tokens, sign_in_failures, signing_keys, users,
};
use shared_claims::clock::UnixTime;
use shared_claims::credentials::Basic;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, Secret};
use shared_claims::signature::{Algorithm, KeyKind};
use shared_server::administrator::Administrator;
use shared_server::database::{Database, DatabaseUrl, StorageError};
use shared_server::hashing::HashingPool;
use tempfile::TempDir;
use test_support::{Stage, on_every_stage, turn_back};

const NOW: UnixTime = UnixTime(1_800_000_000);

async fn open(stage: Stage) -> (Database, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::parse(&stage.database_url().await, dir.path()).unwrap();
    (Database::open_and_migrate(&url, 8, MIGRATIONS).await.unwrap(), dir)
}

fn client() -> Client {
    let settings = ClientSettings {
        client_name: "shop".into(),
        grant_types: vec![GrantType::Password, GrantType::RefreshToken],
        scope: ScopeSet::parse("a b").unwrap(),
        redirect_uris: vec!["https://shop.example/cb".into()],
        contacts: vec!["a@example.com".into()],
        client_uri: Some("https://shop.example".into()),
        auth_method: AuthMethod::Post,
        audiences: vec!["https://api.example".into()],
        access_token_lifetime: 600,
        refresh_token_lifetime: 3_600,
        multi_valued_claims: MultiValued::Text,
        signing_algorithm: Algorithm::PS256,
        enabled: false,
    };
    new_client(settings, NOW).unwrap().0
}

fn user(name: &str) -> User {
    let email = Contact { value: "a@example.com".into(), kind: Some("work".into()), primary: true };
    User {
        id: UserId::generate(),
        name: UserName::parse(name).unwrap(),
        password_hash: Some("hash".into()),
        active: true,
        profile: Profile { emails: vec![email], roles: vec!["r".into()], ..Profile::default() },
        sessions_ended_at: UnixTime(0),
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
    }
}

fn token(family: &Family, name: &str) -> RefreshToken {
    RefreshToken {
        digest: Digest::of(name.as_bytes()),
        family: family.id,
        scope: family.scope.clone(),
        issued_at: NOW,
        expires_at: NOW.plus(3_600),
        state: TokenState::Live,
        access_jti: format!("jti of {name} {}", family.id),
    }
}

async fn family(database: &Database, first: &str) -> Family {
    let (client, user) = (client(), user(&format!("user {}", UserId::generate())));
    let family = Family::begin(client.id, user.id, ScopeSet::parse("a").unwrap(), NOW);
    let (begun, first) = (family.clone(), token(&family, first));
    database
        .write(move |db| {
            clients::insert(db, &client)?;
            users::insert(db, &user)?;
            refresh_tokens::begin(db, &begun, &first)
        })
        .await
        .unwrap();
    family
}

on_every_stage! {
    async fn a_client_is_read_as_it_was_written(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let mut kept = client();
        kept.secrets.previous = Some((Digest::of(b"old"), NOW));
        let written = kept.clone();
        database.write(move |db| clients::insert(db, &written)).await.unwrap();
        let id = kept.id;
        assert_eq!(database.read(move |db| clients::find(db, id)).await.unwrap(), Some(kept));
    }

    async fn a_name_whose_key_was_folded_the_old_way_is_found_after_the_migration(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let [folded, taken, keeps] = ["GROẞ", "Strasse", "STRAẞE"].map(user);
        let ids = [&folded, &keeps].map(|user| user.id);
        database
            .write(move |db| {
                users::insert(db, &folded)?;
                users::insert(db, &keeps)?;
                // Their keys as they were made once.
                diesel::sql_query("UPDATE users SET user_name_key = replace(user_name_key, 'ss', 'ß')").execute(db)?;
                users::insert(db, &taken)?;
                turn_back(db, MIGRATIONS, "20261130000000")
            })
            .await
            .unwrap();
        database.migrate(MIGRATIONS).unwrap();
        let found = async |name: &'static str| {
            let found = database.read(move |db| users::find_by_key(db, &key(name))).await.unwrap();
            found.map(|user| user.id)
        };
        assert_eq!((found("groß").await, found("GROẞ").await), (Some(ids[0]), Some(ids[0])));
        assert!(found("STRAẞE").await.is_some_and(|id| id != ids[1]), "the name that was there first");
    }

    async fn of_parallel_changes_to_one_revision_one_wins(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let kept = client();
        let written = kept.clone();
        database.write(move |db| clients::insert(db, &written)).await.unwrap();
        let attempts = (0..20).map(|_| {
            let (database, changed) = (database.clone(), Client { revision: 2, ..kept.clone() });
            tokio::spawn(async move { database.write(move |db| clients::replace(db, &changed)).await.unwrap() })
        });
        let won = futures_util::future::join_all(attempts).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1);
    }

    async fn a_user_is_read_as_it_was_written_and_its_name_is_taken_once(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let attempts = (0..20).map(|_| {
            let (database, user) = (database.clone(), user("Alice"));
            tokio::spawn(async move { (user.clone(), database.write(move |db| users::insert(db, &user)).await) })
        });
        let mut made = Vec::new();
        for attempt in futures_util::future::join_all(attempts).await {
            match attempt.unwrap() {
                (user, Ok(())) => made.push(user),
                (_, Err(error)) => assert_eq!(error, StorageError::Duplicate),
            }
        }
        assert_eq!(made.len(), 1);
        let found = database.read(|db| users::find_by_key(db, "alice")).await.unwrap();
        assert_eq!(found.as_ref(), made.first());
    }

    async fn a_deleted_name_stays_reserved(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let kept = user("alice");
        let (id, written) = (kept.id, kept.clone());
        database.write(move |db| users::insert(db, &written)).await.unwrap();
        assert!(database.write(move |db| users::delete(db, id, Some(1), NOW)).await.unwrap());
        assert!(!database.write(move |db| users::delete(db, id, None, NOW)).await.unwrap());
        assert_eq!(database.read(move |db| users::find(db, id)).await.unwrap(), None);
        assert_eq!(database.read(users::count).await.unwrap(), 0);
        let again = database.write(|db| users::insert(db, &user("ALICE"))).await;
        assert_eq!(again, Err(StorageError::Duplicate));
    }

    async fn every_parallel_failure_counts(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let name = Digest::of(b"alice");
        let attempts = (0..4).map(|_| {
            let database = database.clone();
            tokio::spawn(async move { database.write(move |db| sign_in_failures::record(db, &name, NOW)).await.unwrap() })
        });
        futures_util::future::join_all(attempts).await;
        let counted = database.read(move |db| sign_in_failures::find(db, &name)).await.unwrap();
        assert_eq!(counted.failures, 4);
        database.write(move |db| sign_in_failures::forget(db, &name)).await.unwrap();
        let counted = database.read(move |db| sign_in_failures::find(db, &name)).await.unwrap();
        assert_eq!(counted.failures, 0);
    }

    async fn of_parallel_redemptions_in_grace_one_token_stays_live(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let family = family(&database, "first").await;
        let attempts = (0..20).map(|place| {
            let (database, family) = (database.clone(), family.clone());
            tokio::spawn(async move {
                let next = token(&family, &format!("next {place}"));
                let first = Digest::of(b"first");
                database.write(move |db| refresh_tokens::redeem(db, &first, family.client, &next, NOW)).await.unwrap()
            })
        });
        for attempt in futures_util::future::join_all(attempts).await {
            assert_eq!(attempt.unwrap(), Ok(()));
        }
        let mut live = 0;
        for place in 0..20 {
            let digest = Digest::of(format!("next {place}").as_bytes());
            let (token, _) = database.read(move |db| refresh_tokens::find(db, &digest)).await.unwrap().unwrap();
            live += usize::from(token.state == TokenState::Live);
        }
        assert_eq!(live, 1);
    }

    async fn of_parallel_redemptions_after_grace_none_succeeds_and_the_family_ends(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let family = family(&database, "first").await;
        let redeem = async |name: String, at: UnixTime| {
            let (next, client) = (token(&family, &name), family.client);
            let first = Digest::of(b"first");
            database.write(move |db| refresh_tokens::redeem(db, &first, client, &next, at)).await.unwrap()
        };
        assert_eq!(redeem("second".into(), NOW).await, Ok(()));
        let late = (0..10).map(|place| redeem(format!("late {place}"), NOW.plus(11)));
        for refused in futures_util::future::join_all(late).await {
            assert!(matches!(refused, Err(RefreshRefused::Reused | RefreshRefused::Revoked)));
        }
        let first = Digest::of(b"second");
        let (_, family) = database.read(move |db| refresh_tokens::find(db, &first)).await.unwrap().unwrap();
        assert_eq!(family.revoked_at, Some(NOW.plus(11)));
        let jti = format!("jti of second {}", family.id);
        let found = database.read(move |db| refresh_tokens::find_family_of_access_token(db, &jti)).await.unwrap();
        assert_eq!(found, Some(family));
    }

    async fn what_has_ended_is_swept_in_batches_and_nothing_else(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let family = family(&database, "first").await;
        database
            .write(|db| {
                for place in 0..5 {
                    revoked_tokens::insert(db, &format!("j{place}"), NOW.plus(place))?;
                    revoked_tokens::insert(db, &format!("j{place}"), NOW.plus(place))?;
                }
                Ok::<_, StorageError>(())
            })
            .await
            .unwrap();
        assert_eq!(database.write(|db| revoked_tokens::sweep(db, NOW.plus(3), 2)).await.unwrap(), 2);
        assert_eq!(database.write(|db| revoked_tokens::sweep(db, NOW.plus(3), 2)).await.unwrap(), 1);
        assert!(database.read(|db| revoked_tokens::contains(db, "j3")).await.unwrap());
        assert!(!database.read(|db| revoked_tokens::contains(db, "j0")).await.unwrap());
        assert_eq!(database.write(|db| refresh_tokens::sweep(db, NOW, 10)).await.unwrap(), 0);
        let after = family.expires_at.plus(1);
        assert_eq!(database.write(move |db| refresh_tokens::sweep(db, after, 10)).await.unwrap(), 1);
        let first = Digest::of(b"first");
        assert_eq!(database.read(move |db| refresh_tokens::find(db, &first)).await.unwrap(), None);
    }

    async fn of_two_processes_that_make_a_key_one_wins(stage: Stage) {
        let (database, _dir) = open(stage).await;
        let attempts = (0..8).map(|place| {
            let database = database.clone();
            tokio::spawn(async move {
                let key = KeyRecord {
                    kid: format!("kid {place}"),
                    kind: KeyKind::Rsa,
                    generation: 1,
                    certificate: "pem".into(),
                    sealed_key: vec![1],
                    created_at: NOW,
                    signs_from: NOW,
                    retires_at: None,
                };
                database.write(move |db| signing_keys::insert(db, &key, NOW)).await
            })
        });
        let made = futures_util::future::join_all(attempts).await;
        assert_eq!(made.iter().filter(|made| matches!(made, Ok(Ok(())))).count(), 1);
        database.write(|db| signing_keys::add_algorithm(db, Algorithm::PS256, NOW)).await.unwrap();
        database.write(|db| signing_keys::add_algorithm(db, Algorithm::PS256, NOW)).await.unwrap();
        let stored = database.read(signing_keys::load).await.unwrap();
        assert_eq!((stored.revision, stored.keys.len(), stored.algorithms), (2, 1, vec![Algorithm::PS256]));
        assert_eq!(database.write(|db| signing_keys::sweep(db, NOW.plus(999))).await.unwrap(), 0);
    }

    async fn nodes_that_start_together_with_one_given_password_all_start(stage: Stage) {
        let (database, _dir) = open(stage).await;
        // As many threads as nodes, so that all are ready to write at about the same moment.
        let (pool, given) = (HashingPool::start(12).unwrap(), Secret::new("given to every node"));
        let starts = (0..12).map(|_| {
            let (database, pool, given) = (database.clone(), pool.clone(), given.clone());
            tokio::spawn(async move { Administrator::load_or_create(&database, pool, Some(given)).await })
        });
        let basic = Basic::parse(&STANDARD.encode("admin:given to every node")).unwrap();
        for start in futures_util::future::join_all(starts).await {
            let (administrator, made_up) = start.unwrap().unwrap();
            assert!(made_up.is_none() && administrator.verify(&basic).await.unwrap());
        }

        let other = Secret::new("given at the next start");
        Administrator::load_or_create(&database, pool.clone(), Some(other)).await.unwrap();
        let (kept, _) = Administrator::load_or_create(&database, pool, None).await.unwrap();
        assert!(!kept.verify(&basic).await.unwrap(), "the password of the last start holds");
    }
}

#[test]
fn both_migration_folders_hold_the_same_names() {
    let names = |folder: &str| {
        let entries =
            std::fs::read_dir(format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
