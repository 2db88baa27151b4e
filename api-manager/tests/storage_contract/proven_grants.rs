//! Grants on facts that were read earlier: proven, claimed and kept at once, or not at all.

use std::sync::Arc;

use api_manager::domain::application::{Application, ApplicationKey, KeyType};
use api_manager::domain::grant::Grant;
use api_manager::domain::identity_provider::IdentityProvider;
use api_manager::domain::revocation::Revocation;
use api_manager::domain::route_change::RouteChange;
use api_manager::exchanges::Exchanges;
use api_manager::storage::grants::{self, Claim, Exchange, Outcome, Proof, insert_proven};
use api_manager::storage::{application_keys, identity_providers, revisions, route_changes, used_assertions};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::grants::{digest, grant, provider as a_provider};
use super::{Store, twenty};

const NOW: UnixTime = UnixTime(1_000);

/// What an exchange has read.
#[derive(Clone)]
struct Facts {
    key: ApplicationKey,
    provider: IdentityProvider,
    routes: i64,
}

impl Facts {
    /// An exchange on them, of an assertion that is spent by it where it has a replay key.
    fn exchange(&self, replay_key: Option<Digest>, now: UnixTime) -> Exchange {
        let mut grant = Grant { issued_at: now, ..grant() };
        grant.lineage.parent = None;
        grant.consumer_key.clone_from(&self.key.consumer_key);
        if let Some(origin) = &mut grant.lineage.assertion {
            origin.identity_provider_id = self.provider.id;
        }
        let proof = Proof {
            consumer_key: self.key.consumer_key.clone(),
            key_revision: self.key.revision,
            provider: self.provider.id,
            provider_revision: self.provider.revision,
            routes: self.routes,
        };
        let until = now.plus(60);
        let claim = replay_key.map(|replay_key| Claim { issuer: "idp".to_owned(), replay_key, until });
        Exchange { proof, claim, grant }
    }
}

impl Store {
    async fn facts(&self, application: &Application) -> Facts {
        let key = ApplicationKey {
            consumer_key: application.id.to_string(),
            application_id: application.id,
            key_type: KeyType::Production,
            secret_digest: digest(),
            previous_secret: None,
            grant_types: Vec::new(),
            created_at: NOW,
            updated_at: NOW,
            revision: 1,
        };
        let facts = Facts { key, provider: a_provider("idp"), routes: 1 };
        let kept = facts.clone();
        let write = self.write(move |c| {
            application_keys::insert(c, &kept.key)?;
            identity_providers::insert(c, &kept.provider)?;
            route_changes::bump(c, RouteChange::IdentityProviders)
        });
        write.await.unwrap();
        let routes = self.read(|c| revisions::read(c, revisions::ROUTES)).await;
        Facts { routes, ..facts }
    }

    /// A grant on these facts with an assertion of that replay key; a reusable one where there is none.
    async fn grants(
        &self,
        facts: &Facts,
        replay_key: Option<Digest>,
    ) -> Result<(Outcome, Grant), StorageError> {
        self.grants_at(facts, replay_key, NOW).await
    }

    async fn grants_at(
        &self,
        facts: &Facts,
        replay_key: Option<Digest>,
        now: UnixTime,
    ) -> Result<(Outcome, Grant), StorageError> {
        let exchange = facts.exchange(replay_key, now);
        let grant = exchange.grant.clone();
        let outcomes = self.grants_all(&[exchange]).await?;
        assert_eq!(outcomes.len(), 1);
        Ok((outcomes[0], grant))
    }

    async fn grants_all(&self, exchanges: &[Exchange]) -> Result<Vec<Outcome>, StorageError> {
        let exchanges = exchanges.to_vec();
        self.database.write_in_one_statement(move |c| insert_proven(c, &exchanges)).await
    }

    async fn kept(&self, grant: &Grant) -> Option<Grant> {
        let id = grant.id;
        self.read(move |c| grants::find(c, id)).await
    }

    async fn is_claimed(&self, key: Digest) -> bool {
        self.read(move |c| used_assertions::is_claimed(c, "idp", &key, NOW)).await
    }
}

on_every_stage! {
    async fn a_proven_grant_is_kept_with_every_member_and_its_assertion_is_spent(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let key = digest();

        let (outcome, made) = store.grants(&facts, Some(key)).await.unwrap();
        assert_eq!((outcome, store.kept(&made).await), (Outcome::Granted, Some(made)));
        assert!(store.is_claimed(key).await);

        let (outcome, second) = store.grants(&facts, Some(key)).await.unwrap();
        assert_eq!((outcome, store.kept(&second).await), (Outcome::Replayed, None));
    }

    async fn an_assertion_is_spent_also_where_its_end_differs_or_the_clock_was_put_back(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let (key, other) = (digest(), digest());
        let later = NOW.plus(1_000_000);
        store.grants_at(&facts, Some(key), later).await.unwrap();

        for now in [later, later.minus(1_000), later.minus(100_000), NOW] {
            let (outcome, made) = store.grants_at(&facts, Some(key), now).await.unwrap();
            assert_eq!((outcome, store.kept(&made).await), (Outcome::Replayed, None));
        }
        let (outcome, _) = store.grants_at(&facts, Some(other), NOW).await.unwrap();
        assert_eq!(outcome, Outcome::Granted, "another one is not");
    }

    async fn of_several_exchanges_at_once_each_has_its_own_outcome(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let stale = Facts { key: ApplicationKey { revision: 2, ..facts.key.clone() }, ..facts.clone() };
        let (used, twice, fresh) = (digest(), digest(), digest());
        store.grants(&facts, Some(used)).await.unwrap();
        let other_issuer = |mut exchange: Exchange| {
            exchange.claim.as_mut().unwrap().issuer = "another".to_owned();
            exchange
        };
        let expected = [
            (facts.exchange(Some(twice), NOW), Outcome::Granted),
            (stale.exchange(Some(fresh), NOW), Outcome::OutOfDate),
            (facts.exchange(None, NOW), Outcome::Granted),
            (facts.exchange(Some(twice), NOW), Outcome::Replayed),
            (facts.exchange(Some(used), NOW), Outcome::Replayed),
            (other_issuer(facts.exchange(Some(used), NOW)), Outcome::Granted),
            (stale.exchange(None, NOW), Outcome::OutOfDate),
        ];
        let (exchanges, outcomes): (Vec<Exchange>, Vec<Outcome>) = expected.into_iter().unzip();

        assert_eq!(store.grants_all(&exchanges).await, Ok(outcomes.clone()));
        for (exchange, outcome) in exchanges.iter().zip(outcomes) {
            let kept = (outcome == Outcome::Granted).then(|| exchange.grant.clone());
            assert_eq!(store.kept(&exchange.grant).await, kept);
        }
        assert!(!store.is_claimed(fresh).await);
        assert_eq!(store.grants_all(&[]).await, Ok(Vec::new()));
    }

    async fn of_a_hundred_exchanges_that_share_commits_each_assertion_buys_once(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let (exchanges, keys) = (Arc::new(Exchanges::on(&store.database)), [(); 50].map(|()| digest()));
        let ways: Vec<_> = keys
            .iter()
            .chain(&keys)
            .map(|key| {
                let (exchanges, exchange) = (Arc::clone(&exchanges), facts.exchange(Some(*key), NOW));
                tokio::spawn(async move { (exchanges.keep(exchange.clone()).await.unwrap(), exchange.grant) })
            })
            .collect();

        let mut granted = 0;
        for way in ways {
            let (outcome, grant) = way.await.unwrap();
            let found = store.kept(&grant).await.is_some();
            assert_eq!(outcome, if found { Outcome::Granted } else { Outcome::Replayed });
            granted += usize::from(found);
        }
        assert_eq!(granted, keys.len());
    }

    async fn an_exchange_that_cannot_be_kept_takes_none_with_it_that_can(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let exchanges = Exchanges::on(&store.database);
        let first = facts.exchange(None, NOW);
        assert_eq!(exchanges.keep(first.clone()).await, Ok(Outcome::Granted));
        let mut same_token = facts.exchange(None, NOW);
        same_token.grant.access_digest = first.grant.access_digest;

        assert_eq!(exchanges.keep(same_token).await, Err(StorageError::Duplicate));
        assert_eq!(exchanges.keep(facts.exchange(None, NOW)).await, Ok(Outcome::Granted));
    }

    async fn a_reusable_assertion_is_not_claimed(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        for _ in 0..2 {
            let (outcome, made) = store.grants(&facts, None).await.unwrap();
            assert_eq!((outcome, store.kept(&made).await), (Outcome::Granted, Some(made)));
        }
    }

    async fn facts_that_are_out_of_date_grant_nothing_and_leave_the_assertion_unspent(stage: test_support::Stage) {
        let store = Store::on(stage).await;
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let provider = &facts.provider;
        let disabled = IdentityProvider { enabled: false, ..provider.clone() };
        let stale = [
            Facts { key: ApplicationKey { revision: 2, ..facts.key.clone() }, ..facts.clone() },
            Facts { key: ApplicationKey { consumer_key: "gone".to_owned(), ..facts.key.clone() }, ..facts.clone() },
            Facts { provider: IdentityProvider { revision: 2, ..provider.clone() }, ..facts.clone() },
            Facts { provider: a_provider("gone"), ..facts.clone() },
            Facts { routes: facts.routes + 1, ..facts.clone() },
        ];
        let key = digest();
        for facts in &stale {
            for replay_key in [Some(key), None] {
                let (outcome, made) = store.grants(facts, replay_key).await.unwrap();
                assert_eq!((outcome, store.kept(&made).await), (Outcome::OutOfDate, None));
            }
        }
        store.write(move |c| identity_providers::replace(c, &disabled, 1)).await.unwrap();
        assert_eq!(store.grants(&facts, Some(key)).await.unwrap().0, Outcome::OutOfDate);
        assert!(!store.is_claimed(key).await);
    }

    async fn of_twenty_proven_grants_on_one_assertion_one_is_kept(stage: test_support::Stage) {
        let store = Arc::new(Store::on(stage).await);
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let key = digest();

        let ended = twenty(|_| {
            let (store, facts) = (Arc::clone(&store), facts.clone());
            async move { store.grants(&facts, Some(key)).await.unwrap() }
        })
        .await;

        let mut kept = 0;
        for (outcome, made) in ended {
            let found = store.kept(&made).await.is_some();
            assert_eq!(outcome, if found { Outcome::Granted } else { Outcome::Replayed });
            kept += usize::from(found);
        }
        assert_eq!(kept, 1);
    }

    async fn a_provider_that_goes_while_twenty_grant_on_it_leaves_no_grant_that_counts(stage: test_support::Stage) {
        let store = Arc::new(Store::on(stage).await);
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let id = facts.provider.id;

        let ended = twenty(|place| {
            let (store, facts) = (Arc::clone(&store), facts.clone());
            async move {
                if place == 10 {
                    let write = store.write(move |c| {
                        identity_providers::delete(c, id)?;
                        grants::revoke(c, &Revocation::IdentityProvider(id), NOW)
                    });
                    write.await.unwrap();
                }
                store.grants(&facts, Some(digest())).await.unwrap()
            }
        })
        .await;

        for (outcome, made) in ended {
            match (outcome, store.kept(&made).await) {
                (Outcome::Granted, Some(grant)) => assert_eq!(grant.revoked_at, Some(NOW)),
                (Outcome::OutOfDate, None) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.grants(&facts, Some(digest())).await.unwrap().0, Outcome::OutOfDate);
    }

    async fn a_change_that_is_not_committed_yet_is_waited_for_and_counts(stage: test_support::Stage) {
        let store = Arc::new(Store::on(stage).await);
        let facts = store.facts(&store.keeps_application("o", "a").await).await;
        let (changed, key) = (IdentityProvider { revision: 2, ..facts.provider.clone() }, digest());
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let database = store.database.clone();
        let change = tokio::spawn(async move {
            let write = database.write(move |c| {
                identity_providers::replace(c, &changed, 1)?;
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok::<_, StorageError>(())
            });
            write.await.unwrap();
        });
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();

        let (asking, facts) = (Arc::clone(&store), facts.clone());
        let granting = tokio::spawn(async move { asking.grants(&facts, Some(key)).await.unwrap().0 });
        store.waits_for_a_lock(stage).await;
        go_on.send(()).unwrap();

        change.await.unwrap();
        assert_eq!(granting.await.unwrap(), Outcome::OutOfDate);
        assert!(!store.is_claimed(key).await);
    }
}
