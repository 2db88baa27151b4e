//! The server removes what nobody can ask for any more.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::domain::identity_provider::{LEEWAY, LONGEST_LIFETIME};
use crate::domain::usage::Period;
use crate::storage::{grants, revocations, usage_counts, used_assertions};

/// How often.
const PERIOD: Duration = Duration::from_secs(60);
/// Rows that one transaction removes, so that no other writer waits long.
const BATCH: i64 = 500;
/// Pause between two batches.
const BREATH: Duration = Duration::from_millis(20);
/// How long an expired row is kept in any case, in seconds: refusals can then still tell expired from unknown, and a
/// clock that is put back finds spent assertions spent.
const GRACE: i64 = 3_600;
/// How long the feed keeps a revocation, in seconds; a gateway that was away for longer starts with an empty cache.
const FEED: i64 = 86_400;

/// How long it keeps those that name JWTs: as long as one can live.
const JWTS: i64 = *LONGEST_LIFETIME.end() + 2 * LEEWAY;

/// Sweeps for as long as the server runs.
pub async fn keep_sweeping(app: Arc<App>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = app.clock.now();
        let old = now.minus(GRACE);
        while is_full(
            app.database
                .write(move |connection| used_assertions::remove_expired(connection, old, BATCH))
                .await,
        ) {
            tokio::time::sleep(BREATH).await;
        }
        while is_full(
            app.database.write(move |connection| grants::remove_expired(connection, old, BATCH)).await,
        ) {
            tokio::time::sleep(BREATH).await;
        }
        let swept = app.database.write(move |connection| {
            revocations::remove_before(connection, now.minus(FEED), now.minus(JWTS))
        });
        if let Err(error) = swept.await {
            log::warn!(cause = error.to_string().as_str(); "old revocations could not be removed");
        }
        for period in Period::ALL {
            let before = now.minus(period.kept());
            while is_some(
                app.database
                    .write(move |connection| usage_counts::remove_oldest(connection, period, before))
                    .await,
            ) {
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Whether anything was removed.
fn is_some(removed: Result<u64, shared_server::database::StorageError>) -> bool {
    match removed {
        Ok(rows) => rows > 0,
        Err(error) => {
            log::warn!(cause = error.to_string().as_str(); "old usage could not be removed");
            false
        }
    }
}

/// Whether there may be more.
fn is_full(removed: Result<u64, shared_server::database::StorageError>) -> bool {
    match removed {
        Ok(rows) => i64::try_from(rows).is_ok_and(|rows| rows >= BATCH),
        Err(error) => {
            log::warn!(cause = error.to_string().as_str(); "expired rows could not be removed");
            false
        }
    }
}
