//! What changes reach the table, and nothing else is read: what storage holds besides is not looked at again.

use std::time::Duration;

use api_manager::changes::Change;
use api_manager::domain::api::Api;
use api_manager::domain::ids::ApplicationId;
use api_manager::domain::lifecycle::State;
use api_manager::domain::route_change::RouteChange;
use api_manager::storage::{apis, route_changes, subscriptions};
use shared_server::database::{AnyConnection, StorageError};

use super::backend::Backend;
use super::{World, api};

impl World {
    /// Writes a change together with its reason, and tells the gateway.
    async fn changes_because(
        &self,
        why: RouteChange,
        work: impl FnOnce(&mut AnyConnection) -> Result<(), StorageError> + Send + 'static,
    ) {
        self.writes(move |connection| {
            route_changes::bump(connection, why)?;
            work(connection)
        })
        .await;
        self.app.changes.announce(Change::Routes).await;
    }

    async fn replaces_saying_so(&self, api: &Api) {
        let (row, before) = (api.clone(), api.revision - 1);
        self.changes_because(RouteChange::Api(api.id), move |connection| {
            assert!(apis::update(connection, &row, before)?);
            Ok(())
        })
        .await;
    }

    async fn status(&self, path: &str, token: &str) -> u16 {
        self.calls(path, token).await.status.as_u16()
    }
}

#[tokio::test]
async fn a_change_with_a_reason_is_acted_upon_before_its_maker_is_answered() {
    let backend = Backend::echo().await;
    let (world, mut pets, token) = World::with_pets(&backend.url).await;
    assert_eq!(world.status("/pets/1.0/x", &token).await, 200);

    (pets.state, pets.revision) = (State::Blocked, 2);
    world.replaces_saying_so(&pets).await;
    assert_eq!(world.status("/pets/1.0/x", &token).await, 503);
    (pets.state, pets.revision) = (State::Published, 3);
    world.replaces_saying_so(&pets).await;
    assert_eq!(world.status("/pets/1.0/x", &token).await, 200);

    let dogs = api("dogs", &backend.url);
    let row = dogs.clone();
    world.changes_because(RouteChange::Api(dogs.id), move |c| apis::insert(c, &row)).await;
    assert_eq!(world.status("/dogs/1.0/x", &token).await, 403, "it is there, and nobody has subscribed");
    let id = dogs.id;
    world.changes_because(RouteChange::Api(id), move |c| apis::delete(c, id, 1).map(drop)).await;
    assert_eq!(world.status("/dogs/1.0/x", &token).await, 404);
}

#[tokio::test]
async fn a_subscription_that_ends_shuts_its_api_to_its_application_only() {
    let backend = Backend::echo().await;
    let (world, pets, token) = World::with_pets(&backend.url).await;
    let other = world.subscribed(&pets).await;
    assert_eq!(world.status("/pets/1.0/x", &token).await, 200);
    let own = world.app.database.read(subscriptions::terms_of_all).await.unwrap();
    let application: ApplicationId = own[0].application_id;

    world
        .changes_because(RouteChange::Application(application), move |c| {
            let narrow = subscriptions::Narrow { application: Some(application), ..Default::default() };
            for one in subscriptions::list(c, &narrow, "", 10)? {
                assert!(subscriptions::delete(c, one.id, one.revision)?);
            }
            Ok(())
        })
        .await;

    let statuses = [world.status("/pets/1.0/x", &token).await, world.status("/pets/1.0/x", &other).await];
    assert!(statuses == [403, 200] || statuses == [200, 403], "{statuses:?}");
}

#[tokio::test]
async fn a_change_elsewhere_with_a_reason_is_heard_within_a_second() {
    let backend = Backend::echo().await;
    let (world, mut pets, token) = World::with_pets(&backend.url).await;
    (pets.state, pets.revision) = (State::Blocked, 2);
    let row = pets.clone();
    world
        .writes(move |connection| {
            route_changes::bump(connection, RouteChange::Api(row.id))?;
            apis::update(connection, &row, 1)
        })
        .await;

    let heard = async {
        while world.status("/pets/1.0/x", &token).await != 503 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), heard).await.is_ok());
}
