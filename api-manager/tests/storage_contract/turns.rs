//! Work that one of several nodes does.

use std::sync::{Arc, Barrier};

use api_manager::storage::turns;
use test_support::on_every_stage;

use super::Store;

on_every_stage! {
    async fn of_two_nodes_that_sweep_at_once_one_has_the_turn(stage: Stage) {
        let store = Store::on(stage).await;
        if !store.database.is_postgres() {
            assert_eq!(store.write(turns::is_ours).await, Ok(true));
            return;
        }
        let both = Arc::new(Barrier::new(2));
        let nodes = [both.clone(), both].map(|both| {
            let database = store.database.clone();
            tokio::spawn(async move {
                let turn = database.write(move |connection| {
                    let turn = turns::is_ours(connection);
                    both.wait();
                    turn
                });
                turn.await.unwrap()
            })
        });
        let mut turns = Vec::new();
        for node in nodes {
            turns.push(node.await.unwrap());
        }

        assert_eq!(turns.iter().filter(|turn| **turn).count(), 1, "{turns:?}");
        assert_eq!(store.write(turns::is_ours).await, Ok(true), "it ends with its transaction");
    }
}
