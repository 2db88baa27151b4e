//! The stages themselves.

#![allow(clippy::unwrap_used, reason = "a test says what it expects with unwrap")]

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use test_support::{Stage, on_every_stage};

on_every_stage! {
    /// Two servers of one test must not meet in one database.
    async fn every_call_names_a_database_that_nobody_has_used(stage: Stage) {
        let (first, second) = (stage.database_url().await, stage.database_url().await);
        match stage {
            Stage::Sqlite => assert_eq!(first, "sqlite://test.db"),
            Stage::Postgres => {
                assert_ne!(first, second);
                for url in [first, second] {
                    let made = tokio::task::spawn_blocking(move || {
                        PgConnection::establish(&url).unwrap().batch_execute("CREATE TABLE mine (id BIGINT)")
                    });
                    assert_eq!(made.await.unwrap(), Ok(()));
                }
            }
        }
    }
}
