//! APIs, subscriptions to them, and what happened to them.

use api_manager::domain::api::{Definition, Timeouts, Visibility};
use api_manager::domain::ids::{ApiId, LifecycleEventId};
use api_manager::domain::lifecycle::{Action, Event, State};
use api_manager::domain::subscription::{Subscription, SubscriptionState};
use api_manager::storage::subscriptions::Narrow;
use api_manager::storage::{apis, lifecycle_events, subscriptions};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, api, twenty};

on_every_stage! {
    async fn an_api_survives_storage_with_every_member(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_api(api("pets", "1.0")).await;

        let id = kept.id;
        assert_eq!(store.read(move |c| apis::find(c, id)).await, Some(kept.clone()));
        assert_eq!(store.read(apis::list_all).await, [kept]);
        assert_eq!(store.read(|c| apis::find(c, ApiId::generate())).await, None);
    }

    async fn a_definition_that_an_older_version_wrote_reads_with_defaults(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_api(api("pets", "1.0")).await;
        let id = kept.id;
        let rewrite = move |text: &'static str| {
            move |c: &mut shared_server::database::AnyConnection| {
                let query = match c {
                    shared_server::database::AnyConnection::Sqlite(_) => "UPDATE apis SET definition = ?",
                    shared_server::database::AnyConnection::Postgres(_) => "UPDATE apis SET definition = $1",
                };
                sql_query(query).bind::<Text, _>(text).execute(c).map_err(StorageError::from)
            }
        };

        store.write(rewrite("{\"tiers\":[\"Gold\"],\"visibility\":\"public\"}")).await.unwrap();
        let read: Definition = store.read(move |c| apis::find(c, id)).await.unwrap().definition;
        assert_eq!((read.tiers.as_slice(), read.visibility), (&["Gold".to_owned()][..], Visibility::Public));
        assert_eq!((read.timeouts, read.operations.len(), read.cors), (Timeouts::default(), 0, None));

        // What nobody can read must not be guarded by guesses.
        store.write(rewrite("{\"operations\":[{\"method\":\"GET\",\"path\":\"/\"}]}")).await.unwrap();
        let damaged = store.database.read(move |c| apis::find(c, id)).await;
        assert!(matches!(damaged, Err(StorageError::Fault(_))), "{damaged:?}");
    }

    async fn of_twenty_apis_at_one_place_one_is_kept(stage: Stage) {
        let store = Store::on(stage).await;

        let ended = twenty(|_| {
            let database = store.database.clone();
            async move { database.write(|c| apis::insert(c, &api("pets", "1.0"))).await }
        })
        .await;

        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        assert!(ended.iter().all(|ended| matches!(ended, Ok(()) | Err(StorageError::Duplicate))), "{ended:?}");
        assert_eq!(store.read(apis::list_all).await.len(), 1);
    }

    async fn of_twenty_changes_to_one_revision_one_holds(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_api(api("pets", "1.0")).await;

        let ended = twenty(|place| {
            let database = store.database.clone();
            let mut changed = kept.clone();
            changed.name = format!("writer {place}");
            changed.revision = 2;
            async move { database.write(move |c| apis::update(c, &changed, 1)).await.unwrap() }
        })
        .await;

        assert_eq!(ended.iter().filter(|written| **written).count(), 1);
        let id = kept.id;
        assert_eq!(store.read(move |c| apis::find(c, id)).await.unwrap().revision, 2);
        assert_eq!(store.write(move |c| apis::delete(c, id, 1)).await, Ok(false));
        assert_eq!(store.write(move |c| apis::delete(c, id, 2)).await, Ok(true));
    }

    async fn a_list_goes_on_after_an_id_and_past_what_is_not_wanted(stage: Stage) {
        let store = Store::on(stage).await;
        for version in 0..450 {
            store.keeps_api(api("pets", &version.to_string())).await;
        }
        let all = store.read(apis::list_all).await;
        let (middle, last) = (all[199].id.to_string(), all[449].version.clone());

        let next = store.read(move |c| apis::list(c, &middle, 3, |_| true)).await;
        assert_eq!(next, all[200..203]);
        let found = store.read(move |c| apis::list(c, "", 3, move |api| api.version == last)).await;
        assert_eq!(found, all[449..]);
    }

    async fn contexts_are_found_by_their_first_segment_only(stage: Stage) {
        let store = Store::on(stage).await;
        for context in ["a_b", "a_b/c", "axb", "axb/c", "a_bc", "a_b_/c"] {
            store.keeps_api(api(context, "1")).await;
        }

        let found = store.read(|c| apis::under(c, "a_b")).await;

        assert_eq!(found.iter().map(|api| api.context.as_str()).collect::<Vec<_>>(), ["a_b", "a_b/c"]);
    }

    async fn an_api_with_subscriptions_cannot_be_removed(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_api(api("pets", "1.0")).await;
        let application = store.keeps_application("alice", "app").await;
        store.subscribes(&application, &kept).await;
        let id = kept.id;

        assert_eq!(store.write(move |c| apis::delete(c, id, 1)).await, Err(StorageError::InUse));
        assert_eq!(store.read(move |c| subscriptions::count_of(c, id)).await, 1);
        assert_eq!(store.read(move |c| subscriptions::tiers_of(c, id)).await, ["Unlimited"]);
        store.write(move |c| subscriptions::delete_of_api(c, id)).await.unwrap();
        assert_eq!(store.write(move |c| apis::delete(c, id, 1)).await, Ok(true));
    }

    async fn of_twenty_equal_subscriptions_one_is_kept(stage: Stage) {
        let store = Store::on(stage).await;
        let api = store.keeps_api(api("pets", "1.0")).await;
        let application = store.keeps_application("alice", "app").await;

        let ended = twenty(|_| {
            let database = store.database.clone();
            let subscription = Subscription::open(application.id, &api, "Gold".to_owned(), UnixTime(1)).unwrap();
            async move { database.write(move |c| subscriptions::insert(c, &subscription)).await }
        })
        .await;

        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        assert_eq!(store.read(subscriptions::terms_of_all).await.len(), 1);
    }

    async fn a_subscription_needs_an_application_an_api_and_a_tier(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_api(api("pets", "1.0")).await;
        let application = store.keeps_application("alice", "app").await;
        let good = Subscription::open(application.id, &kept, "Gold".to_owned(), UnixTime(1)).unwrap();
        let elsewhere = Subscription { api_id: ApiId::generate(), ..good.clone() };
        let on_nothing = Subscription { tier: "Nope".to_owned(), ..good.clone() };

        for bad in [elsewhere, on_nothing] {
            assert_eq!(store.write(move |c| subscriptions::insert(c, &bad)).await, Err(StorageError::InUse));
        }
        let kept = good.clone();
        assert_eq!(store.write(move |c| subscriptions::insert(c, &kept)).await, Ok(()));
        let id = good.id;
        assert_eq!(store.read(move |c| subscriptions::find(c, id)).await, Some(good));
    }

    async fn subscriptions_are_listed_for_subscribers_and_publishers(stage: Stage) {
        let store = Store::on(stage).await;
        let pets = store.keeps_api(api("pets", "1.0")).await;
        let mut foreign = api("birds", "1.0");
        foreign.owner = "somebody".to_owned();
        let birds = store.keeps_api(foreign).await;
        let (alice, bob) = (store.keeps_application("alice", "app").await, store.keeps_application("bob", "app").await);
        let alices = store.subscribes(&alice, &pets).await;
        let bobs = store.subscribes(&bob, &birds).await;
        let of = async |narrow: Narrow| store.read(move |c| subscriptions::list(c, &narrow, "", 10)).await;
        let name = |name: &str| Some(name.to_owned());

        assert_eq!(of(Narrow::default()).await, [alices.clone(), bobs.clone()]);
        assert_eq!(of(Narrow { subscriber: name("alice"), ..Narrow::default() }).await, std::slice::from_ref(&alices));
        assert_eq!(of(Narrow { publisher: name("somebody"), ..Narrow::default() }).await, std::slice::from_ref(&bobs));
        let either = Narrow { subscriber: name("alice"), publisher: name("somebody"), ..Narrow::default() };
        assert_eq!(of(either.clone()).await, [alices.clone(), bobs.clone()]);
        assert_eq!(of(Narrow { api: Some(birds.id), ..either.clone() }).await, [bobs]);
        assert_eq!(of(Narrow { application: Some(alice.id), ..either }).await, [alices]);
        assert_eq!(of(Narrow { subscriber: name("carol"), ..Narrow::default() }).await, []);
    }

    async fn the_scopes_of_active_subscriptions_add_up(stage: Stage) {
        let store = Store::on(stage).await;
        let pets = store.keeps_api(api("pets", "1.0")).await;
        let mut other = api("birds", "1.0");
        other.definition.operations[0].scopes = ScopeSet::parse("birds").unwrap();
        let birds = store.keeps_api(other).await;
        let application = store.keeps_application("alice", "app").await;
        let id = application.id;
        let scopes = async || store.read(move |c| apis::scopes_of_subscribed(c, id)).await.to_string();
        assert_eq!(scopes().await, "");

        store.subscribes(&application, &pets).await;
        let mut blocked = store.subscribes(&application, &birds).await;
        assert_eq!(scopes().await, "birds cats:read read write");

        blocked.put_into(SubscriptionState::Blocked, UnixTime(9));
        assert_eq!(store.write(move |c| subscriptions::update(c, &blocked, 1)).await, Ok(true));
        assert_eq!(scopes().await, "cats:read read write");
    }

    async fn what_happened_to_an_api_is_kept_in_order_and_goes_with_it(stage: Stage) {
        let store = Store::on(stage).await;
        let kept = store.keeps_api(api("pets", "1.0")).await;
        let event = |action, from, to, at| Event {
            id: LifecycleEventId::generate(),
            api_id: kept.id,
            action,
            from,
            to,
            actor: "owner".to_owned(),
            at: UnixTime(at),
        };
        let events = [
            event(Action::Publish, State::Created, State::Published, 1),
            event(Action::Block, State::Published, State::Blocked, 2),
        ];
        for event in events.clone() {
            store.write(move |c| lifecycle_events::insert(c, &event)).await.unwrap();
        }
        let id = kept.id;

        assert_eq!(store.read(move |c| lifecycle_events::list_of(c, id)).await, events);
        store.write(move |c| apis::delete(c, id, 1)).await.unwrap();
        assert_eq!(store.read(move |c| lifecycle_events::list_of(c, id)).await, []);
    }
}
