//! Tiers and revisions.

use api_manager::domain::ids::{ApiId, ApplicationId};
use api_manager::domain::route_change::RouteChange;
use api_manager::domain::tier::{Limit, Tier};
use api_manager::storage::{apis, revisions, route_changes, tiers};
use shared_claims::clock::UnixTime;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, api, twenty};

fn tier(name: &str) -> Tier {
    Tier {
        name: name.to_owned(),
        description: String::new(),
        limit: Some(Limit { requests: 10, per_seconds: 60, burst: Some(3) }),
        created_at: UnixTime(1),
        updated_at: UnixTime(1),
        revision: 1,
    }
}

on_every_stage! {
    async fn four_tiers_are_there_from_the_start(stage: Stage) {
        let store = Store::on(stage).await;
        let all = store.read(tiers::list_all).await;

        assert_eq!(all.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>(), ["Bronze", "Gold", "Silver", "Unlimited"]);
        assert_eq!(all[1].limit, Some(Limit { requests: 5_000, per_seconds: 60, burst: None }));
        assert_eq!(all[3].limit, None);
        let page = store.read(|c| tiers::list(c, "Gold", 1)).await;
        assert_eq!(page, all[2..3]);
    }

    async fn a_tier_survives_storage_and_loses_its_limit_when_told(stage: Stage) {
        let store = Store::on(stage).await;
        let mut kept = tier("Tiny");
        let made = kept.clone();
        store.write(move |c| tiers::insert(c, &made)).await.unwrap();
        assert_eq!(store.read(|c| tiers::find(c, "Tiny")).await, Some(kept.clone()));

        kept.limit = None;
        kept.revision = 2;
        let changed = kept.clone();
        assert_eq!(store.write(move |c| tiers::update(c, &changed, 1)).await, Ok(true));
        assert_eq!(store.read(|c| tiers::find(c, "Tiny")).await, Some(kept.clone()));
        assert_eq!(store.write(move |c| tiers::update(c, &kept, 1)).await, Ok(false));
        assert_eq!(store.write(|c| tiers::insert(c, &tier("Tiny"))).await, Err(StorageError::Duplicate));
    }

    async fn a_tier_that_somebody_is_on_cannot_be_removed(stage: Stage) {
        let store = Store::on(stage).await;
        store.keeps_application("alice", "app").await;

        assert_eq!(store.write(|c| tiers::delete(c, "Unlimited", 1)).await, Err(StorageError::InUse));
        assert_eq!(store.write(|c| tiers::delete(c, "Gold", 2)).await, Ok(false));
        assert_eq!(store.write(|c| tiers::delete(c, "Gold", 1)).await, Ok(true));
    }

    async fn a_tier_that_an_api_offers_or_is_limited_by_is_found(stage: Stage) {
        let store = Store::on(stage).await;
        let mut pets = api("pets", "1.0");
        pets.definition.limit_tier = Some("Small".to_owned());
        pets.definition.operations[0].tier = Some("Tiny".to_owned());
        let pets = store.keeps_api(pets).await;

        for tier in ["Gold", "Small", "Tiny"] {
            assert!(store.read(move |c| apis::name_tier(c, tier)).await, "{tier}");
        }
        assert!(!store.read(|c| apis::name_tier(c, "Silver")).await);
        assert_eq!(store.read(move |c| apis::find(c, pets.id)).await, Some(pets));
    }

    async fn no_move_of_a_revision_is_lost(stage: Stage) {
        let store = Store::on(stage).await;
        let before = store.read(|c| revisions::read(c, revisions::ROUTES)).await;

        twenty(|_| {
            let database = store.database.clone();
            async move { database.write(|c| revisions::bump(c, revisions::ROUTES)).await.unwrap() }
        })
        .await;

        assert_eq!(store.read(|c| revisions::read(c, revisions::ROUTES)).await, before + 20);
        assert_eq!(store.read(|c| revisions::read(c, "unheard of")).await, 0);
        store.write(|c| revisions::bump(c, "unheard of")).await.unwrap();
        assert_eq!(store.read(|c| revisions::read(c, "unheard of")).await, 1);
    }

    async fn every_number_says_why_it_came_or_anything_may_have_changed(stage: Stage) {
        let store = Store::on(stage).await;
        let (api, application) = (RouteChange::Api(ApiId::generate()), RouteChange::Application(ApplicationId::generate()));
        let changes = [api, application, RouteChange::IdentityProviders, RouteChange::DenyRules];
        for change in changes {
            store.write(move |c| route_changes::bump(c, change)).await.unwrap();
        }
        let between = async |after, until| store.read(move |c| route_changes::between(c, after, until)).await;

        assert_eq!(between(0, 4).await, Some(changes.to_vec()));
        assert_eq!(between(1, 2).await, Some(vec![application]));
        assert_eq!(between(4, 4).await, Some(Vec::new()));
        assert_eq!(between(4, 3).await, None, "the database is another one");
        store.write(|c| revisions::bump(c, revisions::ROUTES)).await.unwrap();
        store.write(move |c| route_changes::bump(c, api)).await.unwrap();
        assert_eq!(between(0, 6).await, None, "somebody moved it without a reason");
        assert_eq!(between(5, 6).await, Some(vec![api]));
        assert_eq!(between(0, 1_000_000).await, None);
    }

    async fn reasons_are_kept_for_a_while_only(stage: Stage) {
        let store = Store::on(stage).await;
        store
            .write(|c| {
                for _ in 0..2_500 {
                    route_changes::bump(c, RouteChange::DenyRules)?;
                }
                Ok(())
            })
            .await
            .unwrap();

        assert_eq!(store.read(|c| route_changes::between(c, 500, 2_400)).await.map(|all| all.len()), Some(1_900));
        assert_eq!(store.read(|c| route_changes::between(c, 100, 2_000)).await, None);
    }
}
