//! Connections that PostgreSQL closes.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool};
use futures_util::future::join_all;
use shared_server::database::StorageError;
use test_support::Stage;

use super::Store;

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Ended {
    #[diesel(sql_type = Bool)]
    ended: bool,
}

impl Store {
    /// Returns once a statement waits for what another transaction holds. On SQLite nothing does: its writers take turns.
    pub(super) async fn waits_for_a_lock(&self, stage: Stage) {
        let waiting = "SELECT count(*) AS n FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waits = async {
            while self.read(move |c| Ok(sql_query(waiting).get_result::<Waiting>(c)?.n)).await == 0 {}
        };
        if stage == Stage::Postgres {
            tokio::time::timeout(Duration::from_secs(10), waits).await.expect("it waits");
        }
    }
}

/// Asks on four connections at the same time.
async fn four_ask(store: &Store) -> Vec<Result<usize, StorageError>> {
    let together = Arc::new(Barrier::new(4));
    let asked = (0..4).map(|_| {
        let together = Arc::clone(&together);
        store.database.read(move |c| {
            together.wait();
            sql_query("SELECT 1").execute(c).map_err(StorageError::from)
        })
    });
    join_all(asked).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_is_unavailable_once_at_most_and_then_replaced() {
    let Some(stage) = Stage::postgres_or_leave_out("storage_contract::connections").await else { return };
    let store = Store::on(stage).await;
    assert!(four_ask(&store).await.iter().all(Result::is_ok));

    let others = "SELECT pg_terminate_backend(pid, 5000) AS ended FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = store.read(move |c| Ok(sql_query(others).load::<Ended>(c)?)).await;
    let ended = ended.iter().filter(|row| row.ended).count();
    assert!(ended >= 3, "{ended}");

    let mut gone = 0;
    for _ in 0..ended {
        for answer in four_ask(&store).await {
            match answer {
                Ok(_) => {}
                Err(StorageError::Unavailable(_)) => gone += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(gone <= ended, "{gone} of {ended}");
    assert!(four_ask(&store).await.iter().all(Result::is_ok));
}
