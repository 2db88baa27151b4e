//! Grants, used assertions, revocations and identity providers.

use api_manager::domain::application::KeyType;
use api_manager::domain::grant::{AssertionOrigin, Grant, Lineage, Refresh};
use api_manager::domain::identity_provider::{IdentityProvider, Replay};
use api_manager::domain::ids::{ApplicationId, GrantId, IdentityProviderId};
use api_manager::domain::revocation::Revocation;
use api_manager::storage::{grants, identity_providers, revocations, used_assertions};
use shared_claims::clock::UnixTime;
use shared_claims::opaque::OpaqueToken;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_claims::signature::Algorithm;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, twenty};

const NOW: UnixTime = UnixTime(1_000);

pub(super) fn digest() -> Digest {
    OpaqueToken::generate().unwrap().digest()
}

/// A grant of which every member is there.
pub(super) fn grant() -> Grant {
    let id = GrantId::generate();
    Grant {
        id,
        access_digest: digest(),
        refresh: Some(Refresh {
            digest: digest(),
            scopes: ScopeSet::parse("read write").unwrap(),
            expires_at: UnixTime(3_000),
            line_ends_at: UnixTime(4_000),
            spent: None,
        }),
        consumer_key: "key".to_owned(),
        application_id: ApplicationId::generate(),
        key_type: KeyType::Sandbox,
        subject: "älice".to_owned(),
        scopes: ScopeSet::parse("read").unwrap(),
        issued_at: NOW,
        expires_at: UnixTime(2_000),
        lineage: Lineage {
            assertion: Some(AssertionOrigin {
                identity_provider_id: IdentityProviderId::generate(),
                issuer: "https://idp.example".to_owned(),
                key_thumbprint: "thumb".to_owned(),
                jti: Some(id.to_string()),
                digest: digest(),
            }),
            family: id,
            parent: Some(GrantId::generate()),
        },
        revoked_at: None,
    }
}

pub(super) fn provider(name: &str) -> IdentityProvider {
    IdentityProvider {
        id: IdentityProviderId::generate(),
        name: name.to_owned(),
        issuer: format!("https://{name}.example"),
        alias: "client".to_owned(),
        certificates: vec!["one\n".to_owned(), "two".to_owned()],
        jwks_uri: Some("https://idp.example/jwks".to_owned()),
        enabled: true,
        algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
        replay: Replay::Reusable,
        max_assertion_lifetime: 60,
        scopes: Some(ScopeSet::default()),
        outlive_assertion: true,
        management: true,
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
    }
}

async fn keeps(store: &Store, grant: Grant) -> Grant {
    let kept = grant.clone();
    store.write(move |c| grants::insert(c, &kept)).await.unwrap();
    grant
}

async fn reads(store: &Store, grant: &Grant) -> Option<Grant> {
    let id = grant.id;
    store.read(move |c| grants::find(c, id)).await
}

async fn revokes(store: &Store, revocation: Revocation) -> u64 {
    store.write(move |c| grants::revoke(c, &revocation, NOW)).await.unwrap()
}

on_every_stage! {
    async fn a_grant_survives_storage_and_is_found_by_either_token(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let full = keeps(&store, grant()).await;
        let lineage = Lineage { assertion: None, parent: None, ..full.lineage.clone() };
        let bare = Grant { id: GrantId::generate(), access_digest: digest(), refresh: None, lineage, ..grant() };
        let bare = keeps(&store, bare).await;

        let (access, refresh) = (full.access_digest, full.refresh.clone().unwrap().digest);
        assert_eq!(store.read(move |c| grants::find_by_access_digest(c, &access, NOW)).await, Some(full.clone()));
        assert_eq!(store.read(move |c| grants::find_by_refresh_digest(c, &refresh, NOW)).await, Some(full.clone()));
        assert_eq!(store.read(move |c| grants::find_by_access_digest(c, &refresh, NOW)).await, None);
        assert_eq!(reads(&store, &bare).await, Some(bare.clone()));
        let again = Grant { id: GrantId::generate(), refresh: None, ..full };
        assert_eq!(store.write(move |c| grants::insert(c, &again)).await, Err(StorageError::Duplicate));
    }

    async fn of_twenty_who_spend_a_refresh_token_one_does(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let id = keeps(&store, grant()).await.id;

        let spent = twenty(|_| {
            let database = store.database.clone();
            async move {
                let successor = GrantId::generate();
                let spent = database.write(move |c| grants::spend_refresh(c, id, successor, NOW)).await;
                spent.unwrap().then_some(successor)
            }
        })
        .await;

        let winners: Vec<GrantId> = spent.into_iter().flatten().collect();
        let kept = store.read(move |c| grants::find(c, id)).await.unwrap().refresh.unwrap();
        assert_eq!(winners.len(), 1);
        assert_eq!(kept.spent, Some((NOW, winners[0])));
    }

    async fn a_revoked_grant_cannot_be_spent(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let grant = keeps(&store, grant()).await;
        assert_eq!(revokes(&store, Revocation::Family(grant.lineage.family)).await, 1);

        let id = grant.id;
        assert!(!store.write(move |c| grants::spend_refresh(c, id, GrantId::generate(), NOW)).await.unwrap());
        assert_eq!(reads(&store, &grant).await.unwrap().revoked_at, Some(NOW));
    }

    async fn a_set_is_revoked_by_what_its_grants_have_in_common_and_no_other_grant_is(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        for place in 0..7 {
            let grant = keeps(&store, grant()).await;
            let origin = grant.lineage.assertion.clone().unwrap();
            let other = Grant { subject: format!("other {place}"), ..self::grant() };
            let other = keeps(&store, other).await;
            let subject = format!("only {place}");
            let named = keeps(&store, Grant { subject: subject.clone(), ..self::grant() }).await;
            let (set, target) = match place {
                0 => (Revocation::Token(grant.access_digest), &grant),
                1 => (Revocation::Family(grant.lineage.family), &grant),
                2 => (Revocation::Application(grant.application_id), &grant),
                3 => (Revocation::Subject { subject, issuer: None }, &named),
                4 => (Revocation::Subject { subject, issuer: Some(origin.issuer) }, &named),
                5 => (Revocation::Assertion { issuer: origin.issuer, jti: origin.jti.unwrap() }, &grant),
                _ => (Revocation::IdentityProvider(origin.identity_provider_id), &grant),
            };
            assert_eq!(revokes(&store, set.clone()).await, 1, "{set:?}");
            assert_eq!(revokes(&store, set.clone()).await, 0, "{set:?} again");
            assert!(reads(&store, target).await.unwrap().revoked_at.is_some(), "{set:?}");
            assert_eq!(reads(&store, &other).await.unwrap().revoked_at, None, "{set:?}");
        }
        let elsewhere = Revocation::Subject { subject: "only 3".to_owned(), issuer: Some("https://x".to_owned()) };
        assert_eq!(revokes(&store, elsewhere).await, 0);
    }

    async fn only_what_neither_token_can_use_is_removed(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let with_refresh = keeps(&store, grant()).await;
        let without = keeps(&store, Grant { refresh: None, ..grant() }).await;
        let sweep = async |at: i64, batch: i64| store.write(move |c| grants::remove_expired(c, UnixTime(at), batch)).await;

        assert_eq!(sweep(1_999, 10).await, Ok(0));
        assert_eq!(sweep(2_000, 10).await, Ok(1));
        assert_eq!((reads(&store, &without).await, reads(&store, &with_refresh).await.is_some()), (None, true));
        keeps(&store, grant()).await;
        assert_eq!(sweep(3_000, 1).await, Ok(1), "no more than asked for");
        assert_eq!(sweep(3_000, 1).await, Ok(1));
        assert_eq!(sweep(3_000, 1).await, Ok(0));
    }

    async fn grants_are_listed_by_selection_and_page(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(keeps(&store, grant()).await);
        }
        let (first, one) = (all[1].id.to_string(), all[3].application_id);

        let page = store.read(move |c| grants::list_page(c, &grants::Selection::default(), Some(&first), 2)).await;
        assert_eq!(page, all[2..4]);
        let selection = grants::Selection { application_id: Some(one), ..Default::default() };
        assert_eq!(store.read(move |c| grants::list_page(c, &selection, None, 9)).await, all[3..4]);
        let nobody = grants::Selection { subject: Some("bob".to_owned()), ..Default::default() };
        assert!(store.read(move |c| grants::list_page(c, &nobody, None, 9)).await.is_empty());
    }

    async fn of_twenty_who_claim_an_assertion_one_does(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let key = digest();
        let claimed = twenty(|_| {
            let database = store.database.clone();
            async move { database.write(move |c| used_assertions::claim(c, "idp", &key, NOW.plus(60), NOW)).await }
        })
        .await;

        assert_eq!(claimed.iter().filter(|claim| claim.is_ok()).count(), 1);
        assert!(claimed.iter().all(|claim| matches!(claim, Ok(()) | Err(StorageError::Duplicate))));
        store.write(move |c| used_assertions::claim(c, "another", &key, NOW.plus(60), NOW)).await.unwrap();
        assert!(store.read(move |c| used_assertions::is_claimed(c, "idp", &key, NOW)).await);
        assert!(!store.read(move |c| used_assertions::is_claimed(c, "nobody", &key, NOW)).await);
    }

    async fn the_feed_keeps_every_kind_of_revocation_in_order(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let kinds = vec![
            Revocation::Token(digest()),
            Revocation::Family(GrantId::generate()),
            Revocation::Application(ApplicationId::generate()),
            Revocation::Subject { subject: "a \"b\"".to_owned(), issuer: None },
            Revocation::Subject { subject: "a".to_owned(), issuer: Some("i".to_owned()) },
            Revocation::Assertion { issuer: "i".to_owned(), jti: "j".to_owned() },
            Revocation::IdentityProvider(IdentityProviderId::generate()),
        ];
        assert_eq!(store.read(revocations::last).await, 0);
        for (second, kind) in kinds.clone().into_iter().enumerate() {
            let at = UnixTime(i64::try_from(second).unwrap());
            store.write(move |c| revocations::append(c, &kind, at)).await.unwrap();
        }

        let all = store.read(|c| revocations::list_after(c, 0, 100)).await;
        assert_eq!(all.iter().map(|(_, kind)| kind.clone()).collect::<Vec<_>>(), kinds);
        let (third, last) = (all[2].0, all[6].0);
        assert_eq!(store.read(move |c| revocations::list_after(c, third, 2)).await, all[3..5]);
        assert_eq!(store.read(revocations::last).await, last);
        store.write(|c| revocations::remove_before(c, (UnixTime(5), UnixTime(5)), 10)).await.unwrap();
        assert_eq!(store.read(|c| revocations::list_after(c, 0, 100)).await, all[5..]);
        store.write(|c| revocations::remove_before(c, (UnixTime(500), UnixTime(500)), 10)).await.unwrap();
        assert_eq!(store.read(revocations::last).await, last, "the numbers never go back");
    }

    async fn a_reader_of_the_feed_misses_nothing_while_twenty_write(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let database = store.database.clone();
        let reader = tokio::spawn(async move {
            let (mut seen, mut after) = (0, 0);
            while seen < 20 {
                let new = database.read(move |c| revocations::list_after(c, after, 100)).await.unwrap();
                after = new.last().map_or(after, |(id, _)| *id);
                seen += new.len();
            }
        });
        let written = twenty(|_| {
            let database = store.database.clone();
            async move {
                let family = Revocation::Family(GrantId::generate());
                database.write(move |c| revocations::append(c, &family, NOW)).await
            }
        })
        .await;
        assert!(written.iter().all(Result::is_ok));
        tokio::time::timeout(std::time::Duration::from_secs(10), reader).await.expect("it saw all twenty").unwrap();
    }

    async fn a_provider_survives_storage_and_is_replaced_by_revision(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let one = provider("one");
        let (kept, id) = (one.clone(), one.id);
        store.write(move |c| identity_providers::insert(c, &kept)).await.unwrap();
        assert_eq!(store.read(move |c| identity_providers::find(c, id)).await, Some(one.clone()));
        let by_issuer = |issuer: &'static str| store.read(move |c| identity_providers::find_by_issuer(c, issuer));
        assert_eq!(by_issuer("https://one.example").await, Some(one.clone()));
        assert_eq!(by_issuer("https://one.example/").await, None);
        assert_eq!(by_issuer("https://ONE.example").await, None);

        let bare = IdentityProvider { certificates: Vec::new(), jwks_uri: None, scopes: None, revision: 2, ..one.clone() };
        let (first, second) = (bare.clone(), bare.clone());
        assert_eq!(store.write(move |c| identity_providers::replace(c, &first, 1)).await, Ok(true));
        assert_eq!(store.write(move |c| identity_providers::replace(c, &second, 1)).await, Ok(false));
        assert_eq!(store.read(identity_providers::list_all).await, std::slice::from_ref(&bare));
        assert_eq!(store.write(move |c| identity_providers::hold(c, id)).await, Ok(Some((2, true))));

        for (name, issuer) in [("one", "x"), ("x", "https://one.example")] {
            let taken = IdentityProvider { name: name.to_owned(), issuer: issuer.to_owned(), ..provider("x") };
            let refused = store.write(move |c| identity_providers::insert(c, &taken)).await;
            assert_eq!(refused, Err(StorageError::Duplicate));
        }
        let two = provider("two");
        store.write(move |c| identity_providers::insert(c, &two)).await.unwrap();
        let after = bare.id.to_string();
        assert_eq!(store.read(move |c| identity_providers::list_page(c, Some(&after), 9)).await.len(), 1);
        assert_eq!(store.write(move |c| identity_providers::delete(c, id)).await, Ok(true));
        assert_eq!(store.write(move |c| identity_providers::delete(c, id)).await, Ok(false));
    }
}
