//! Grants that come of one another, and the indexes that hold only those that have a parent or a refresh token.

use api_manager::bootstrap::MIGRATIONS;
use api_manager::domain::grant::Grant;
use api_manager::domain::ids::GrantId;
use api_manager::domain::revocation::Revocation;
use api_manager::storage::{grants, used_assertions};
use shared_claims::clock::UnixTime;
use shared_server::database::StorageError;
use test_support::{on_every_stage, turn_back};

use super::Store;
use super::grants::{digest, grant};

const NOW: UnixTime = UnixTime(1_000);

/// A first grant, as an exchange makes it.
fn first() -> Grant {
    let mut first = grant();
    first.lineage.parent = None;
    first
}

/// The grant that the refresh token of `parent` buys.
fn after(parent: &Grant) -> Grant {
    let mut next = grant();
    next.lineage.family = parent.lineage.family;
    next.lineage.parent = Some(parent.id);
    next
}

async fn keeps(store: &Store, grants: &[Grant]) {
    let kept = grants.to_vec();
    store.write(move |c| kept.iter().try_for_each(|grant| grants::insert(c, grant))).await.unwrap();
}

async fn reads(store: &Store, id: GrantId) -> Option<Grant> {
    store.read(move |c| grants::find(c, id)).await
}

on_every_stage! {
    async fn a_family_is_the_first_grant_and_all_after_it(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let (one, other) = (first(), first());
        let two = after(&one);
        let three = after(&two);
        keeps(&store, &[one.clone(), other.clone(), two.clone(), three.clone()]).await;
        let revokes = async |family| store.write(move |c| grants::revoke(c, &Revocation::Family(family), NOW)).await;

        assert_eq!(revokes(two.id).await, Ok(0), "no family is named like one of the later grants");
        assert_eq!(revokes(one.id).await, Ok(3));
        for (id, revoked) in [(one.id, true), (two.id, true), (three.id, true), (other.id, false)] {
            assert_eq!(reads(&store, id).await.unwrap().revoked_at.is_some(), revoked);
        }
    }

    async fn two_grants_share_neither_token_and_many_have_no_refresh_token(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let (one, bare) = (first(), Grant { refresh: None, ..first() });
        keeps(&store, &[one.clone(), bare, Grant { refresh: None, ..first() }]).await;
        let same = [
            Grant { refresh: one.refresh.clone(), ..first() },
            Grant { access_digest: one.access_digest, ..first() },
            Grant { id: one.id, ..first() },
        ];
        for grant in same {
            assert_eq!(store.write(move |c| grants::insert(c, &grant)).await, Err(StorageError::Duplicate));
        }
    }

    async fn grants_survive_the_migration_of_their_table_in_both_directions(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let one = first();
        let two = after(&one);
        let bare = Grant { refresh: None, access_digest: digest(), ..first() };
        let all = [one, two, bare];
        keeps(&store, &all).await;

        store.write(|c| turn_back(c, MIGRATIONS, "00000000000011")).await.unwrap();
        for grant in &all {
            assert_eq!(reads(&store, grant.id).await.as_ref(), Some(grant));
        }
        store.database.migrate(MIGRATIONS).unwrap();
        for grant in &all {
            assert_eq!(reads(&store, grant.id).await.as_ref(), Some(grant));
        }
        assert_eq!(store.write(|c| grants::remove_expired(c, UnixTime(5_000), 10)).await, Ok(3));
    }

    async fn used_assertions_survive_the_migration_of_their_table_in_both_directions(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let used = [("idp", digest(), 30), ("idp", digest(), 10), ("another", digest(), 20)];
        let claims = async |place: usize| {
            let (issuer, key, until) = used[place];
            store.write(move |c| used_assertions::claim(c, issuer, &key, UnixTime(until), UnixTime(0))).await
        };
        for place in 0..used.len() {
            claims(place).await.unwrap();
        }

        store.write(|c| turn_back(c, MIGRATIONS, "00000000000012")).await.unwrap();
        store.database.migrate(MIGRATIONS).unwrap();
        for place in 0..used.len() {
            assert_eq!(claims(place).await, Err(StorageError::Duplicate));
        }
        let forgets = async |at| store.write(move |c| used_assertions::remove_expired(c, UnixTime(at), 10)).await;
        assert_eq!([forgets(20).await, forgets(30).await], [Ok(2), Ok(1)], "those from before are forgotten one by one");
    }
}
