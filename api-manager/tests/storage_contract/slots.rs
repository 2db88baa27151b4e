//! Rows in the slots of time in which SQLite keeps them: found whatever they live for, also when the clock was put back.

use api_manager::domain::grant::{Grant, Refresh};
use api_manager::domain::ids::GrantId;
use api_manager::domain::revocation::Revocation;
use api_manager::storage::{grants, slots, used_assertions};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};
use test_support::{Stage, on_every_stage};

use super::Store;
use super::grants::{digest, grant};

const NOW: UnixTime = UnixTime(1_800_000_000);
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// An access token of each width, and beyond all of them.
const LIFETIMES: [i64; 5] = [60, 2 * HOUR, 2 * HOUR + 1, 46 * HOUR, 365 * DAY];

/// A grant that was bought now, whose tokens live for so long.
fn living(access: i64, refresh: Option<i64>) -> Grant {
    let scopes = grant().scopes;
    let refresh = refresh.map(|lifetime| Refresh {
        digest: digest(),
        scopes,
        expires_at: NOW.plus(lifetime),
        line_ends_at: NOW.plus(lifetime),
        spent: None,
    });
    Grant { issued_at: NOW, expires_at: NOW.plus(access), refresh, ..grant() }
}

async fn keeps(store: &Store, grant: Grant) -> Grant {
    let kept = grant.clone();
    store.write(move |c| grants::insert(c, &kept)).await.unwrap();
    grant
}

async fn finds(store: &Store, grant: &Grant, now: UnixTime) -> Option<Grant> {
    let digest = grant.access_digest;
    store.read(move |c| grants::find_by_access_digest(c, &digest, now)).await
}

on_every_stage! {
    async fn a_token_is_found_until_an_hour_after_it_is_over_however_long_it_lives(stage: Stage) {
        let store = Store::on(stage).await;
        for lifetime in LIFETIMES {
            let kept = keeps(&store, living(lifetime, None)).await;
            for passed in [0, lifetime - 1, lifetime, lifetime + HOUR - 1] {
                assert_eq!(finds(&store, &kept, NOW.plus(passed)).await.as_ref(), Some(&kept), "{lifetime} after {passed}");
            }
        }
    }

    async fn either_token_is_found_for_as_long_as_one_of_them_lives(stage: Stage) {
        let store = Store::on(stage).await;
        for (access, refresh) in [(HOUR, DAY), (365 * DAY, DAY), (60, 90), (DAY, HOUR)] {
            let kept = keeps(&store, living(access, Some(refresh))).await;
            let digest = kept.refresh.clone().unwrap().digest;
            for passed in [0, access.max(refresh) + HOUR - 1] {
                let now = NOW.plus(passed);
                assert_eq!(finds(&store, &kept, now).await.as_ref(), Some(&kept));
                let by_refresh = store.read(move |c| grants::find_by_refresh_digest(c, &digest, now)).await;
                assert_eq!(by_refresh.as_ref(), Some(&kept));
            }
        }
    }

    async fn a_clock_that_is_put_back_by_years_loses_no_token_and_lets_no_assertion_in_again(stage: Stage) {
        let store = Store::on(stage).await;
        for lifetime in LIFETIMES {
            let kept = keeps(&store, living(lifetime, Some(lifetime))).await;
            let (access, refresh, key) = (kept.access_digest, kept.refresh.clone().unwrap().digest, digest());
            let claims = async |now| {
                store.write(move |c| used_assertions::claim(c, "idp", &key, NOW.plus(lifetime), now)).await
            };
            claims(NOW).await.unwrap();
            for back in [1, HOUR, 5 * HOUR, 3 * DAY, 5 * 365 * DAY] {
                let now = NOW.minus(back);
                assert_eq!(finds(&store, &kept, now).await.as_ref(), Some(&kept), "{lifetime} before {back}");
                let by_refresh = store.read(move |c| grants::find_by_refresh_digest(c, &refresh, now)).await;
                assert_eq!(by_refresh.as_ref(), Some(&kept));
                let mut many = vec![access];
                many.extend((0..20).map(|_| digest()));
                let found = store.read(move |c| grants::find_by_access_digests(c, &many, now)).await;
                assert_eq!(found, [(access, Ok(kept.clone()))]);
                assert_eq!(claims(now).await, Err(StorageError::Duplicate));
                assert!(store.read(move |c| used_assertions::is_claimed(c, "idp", &key, now)).await);
            }
        }
    }

    async fn an_assertion_with_the_same_key_and_another_end_is_a_replay(stage: Stage) {
        let store = Store::on(stage).await;
        let key = digest();
        let claims = async |lifetime| {
            store.write(move |c| used_assertions::claim(c, "idp", &key, NOW.plus(lifetime), NOW)).await
        };
        claims(60).await.unwrap();
        for lifetime in LIFETIMES {
            assert_eq!(claims(lifetime).await, Err(StorageError::Duplicate), "{lifetime}");
        }
    }

    async fn a_used_assertion_is_never_forgotten_before_its_guard_ends_and_soon_after(stage: Stage) {
        let store = Store::on(stage).await;
        for lifetime in LIFETIMES {
            let key = digest();
            let until = NOW.plus(lifetime);
            store.write(move |c| used_assertions::claim(c, "idp", &key, until, NOW)).await.unwrap();
            let sweep = async |now| store.write(move |c| used_assertions::remove_expired(c, now, 10)).await;

            assert_eq!(sweep(until.minus(1)).await, Ok(0), "{lifetime}");
            assert!(store.read(move |c| used_assertions::is_claimed(c, "idp", &key, until.minus(1))).await);
            let slot = if lifetime <= 2 * HOUR { HOUR } else { DAY };
            assert_eq!(sweep(until.plus(slot)).await, Ok(1), "{lifetime}");
        }
    }

    async fn no_more_used_assertions_are_forgotten_at_once_than_was_asked_for(stage: Stage) {
        let store = Store::on(stage).await;
        for lifetime in LIFETIMES {
            for _ in 0..4 {
                let (key, until) = (digest(), NOW.plus(lifetime));
                store.write(move |c| used_assertions::claim(c, "idp", &key, until, NOW)).await.unwrap();
            }
        }
        let all = NOW.plus(2 * 365 * DAY);
        let mut forgotten = Vec::new();
        while forgotten.last() != Some(&0) {
            forgotten.push(store.write(move |c| used_assertions::remove_expired(c, all, 6)).await.unwrap());
        }
        assert_eq!(forgotten, [6, 6, 6, 2, 0]);

        let key = digest();
        for issuer in ["one", "two"] {
            store.write(move |c| used_assertions::claim(c, issuer, &key, NOW.plus(60), NOW)).await.unwrap();
        }
        for expected in [1, 1, 0] {
            assert_eq!(store.write(move |c| used_assertions::remove_expired(c, all, 1)).await, Ok(expected));
        }
    }

    async fn one_token_is_revoked_whatever_it_lives_for_and_none_beside_it(stage: Stage) {
        let store = Store::on(stage).await;
        for lifetime in LIFETIMES {
            let (kept, beside) = (keeps(&store, living(lifetime, None)).await, keeps(&store, living(lifetime, None)).await);
            let token = Revocation::Token(kept.access_digest);
            assert_eq!(store.write(move |c| grants::revoke(c, &token, NOW)).await, Ok(1));
            assert_eq!(finds(&store, &kept, NOW).await.unwrap().revoked_at, Some(NOW));
            assert_eq!(finds(&store, &beside, NOW).await, Some(beside));
        }
        let unknown = Revocation::Token(digest());
        assert_eq!(store.write(move |c| grants::revoke(c, &unknown, NOW)).await, Ok(0));
    }

    async fn of_many_tokens_those_that_are_there_are_found_whatever_they_live_for(stage: Stage) {
        let store = Store::on(stage).await;
        let mut kept = Vec::new();
        for lifetime in LIFETIMES {
            kept.push(keeps(&store, living(lifetime, None)).await);
        }
        for unknown in [0, 5, 40] {
            let mut many: Vec<_> = kept.iter().map(|grant| grant.access_digest).collect();
            many.extend((0..unknown).map(|_| digest()));
            let found = store.read(move |c| grants::find_by_access_digests(c, &many, NOW)).await;
            let mut found: Vec<Grant> = found.into_iter().map(|(_, grant)| grant.unwrap()).collect();
            found.sort_by_key(|grant| grant.expires_at);
            assert_eq!(found, kept);
        }
    }
}

#[derive(QueryableByName)]
struct Slot {
    #[diesel(sql_type = BigInt)]
    slot: i64,
}

fn slot_of(connection: &mut AnyConnection, id: GrantId) -> Result<i64, StorageError> {
    let AnyConnection::Sqlite(sqlite) = connection else { panic!("only SQLite has slots") };
    let query = sql_query("SELECT slot FROM grants WHERE id = ?").bind::<Text, _>(id.to_string());
    Ok(query.get_result::<Slot>(sqlite)?.slot)
}

#[tokio::test]
async fn the_schema_computes_the_slot_that_a_look_up_asks() {
    let store = Store::on(Stage::sqlite()).await;
    let ends = [None, Some(HOUR), Some(DAY), Some(365 * DAY)];
    for (access, refresh) in LIFETIMES.into_iter().flat_map(|access| ends.map(|refresh| (access, refresh))) {
        let id: GrantId = keeps(&store, living(access, refresh)).await.id;
        let lifetime = access.max(refresh.unwrap_or_default());
        let slot = store.read(move |c| slot_of(c, id)).await;
        assert_eq!(slot, slots::of(NOW.plus(lifetime), lifetime), "{access} {refresh:?}");
    }
}
