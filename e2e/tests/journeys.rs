//! What people and programs do, from the first request to the last, and what they must not get away with.

use e2e::world::{Databases, World};
use shared_claims::clock::{Clock, UnixTime};
use test_support::Stage;

mod assertions;
mod clients;
mod crash;
mod exchange;
mod expiry;
mod gateway;
mod gateway_paths;
mod introspection;
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
