//! What people and programs do, from the first request to the last, and what they must not get away with.

use e2e::actors::Application;
use e2e::world::{Databases, World};
use serde_json::json;
use shared_claims::clock::{Clock, UnixTime};
use test_support::Stage;

mod assertions;
mod bearer;
mod clients;
mod crash;
mod exchange;
mod expiry;
mod gateway;
mod gateway_paths;
mod introspection;
mod jwks;
mod management;
mod metadata;
mod refreshing;
mod replay;
mod revocation;
mod token_requests;
mod trust;

/// Both servers.
async fn whole_world(stage: Stage) -> World {
    let databases =
        Databases { identity: Some(stage.database_url().await), manager: stage.database_url().await };
    World::start(databases, Clock::System).await
}

/// The API manager alone: most journeys bring an identity provider of their own.
async fn world(stage: Stage) -> World {
    World::start(Databases { identity: None, manager: stage.database_url().await }, Clock::System).await
}

/// The API manager alone, in a time that only the test moves.
async fn timeless_world(stage: Stage) -> World {
    let clock = Clock::manual(UnixTime(1_900_000_000));
    World::start(Databases { identity: None, manager: stage.database_url().await }, clock).await
}

/// An application whose API asks for `pets:read` at one place and for `pets:write` at another: an application can have
/// the scopes that the APIs behind its subscriptions name.
async fn application_with_scopes(world: &World) -> Application {
    let operations = json!([
        { "method": "GET", "path": "/read", "scopes": ["pets:read"] },
        { "method": "GET", "path": "/write", "scopes": ["pets:write"] },
        { "method": "GET", "path": "/open", "auth": "none" },
    ]);
    let members = json!({ "operations": operations });
    let api = world.publisher().publishes_with("pets", &world.backend.url(), &members).await;
    let application = world.developer().registers("pets-app").await;
    world.developer().subscribes(&application, &api).await;
    application
}
