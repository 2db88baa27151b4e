//! The server removes what nobody can ask for any more: a little at a time, beside everything else that it does.

use std::sync::Arc;
use std::time::Duration;

use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError, space};
use tokio::time::Instant;

use crate::app::App;
use crate::domain::identity_provider::{LEEWAY, LONGEST_LIFETIME};
use crate::domain::usage::Period;
use crate::storage::{grants, revocations, turns, usage_counts, used_assertions};

/// How often.
const PERIOD: Duration = Duration::from_secs(30);
/// Rows that one transaction removes, so that no other writer waits long.
const BATCH: i64 = 250;
/// Pages that one transaction gives back to the file system.
const PAGES: i64 = 128;
/// The shortest pause between two batches. Otherwise it is as long as the batch took: others write half of the time.
const BREATH: Duration = Duration::from_millis(5);
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
        sweep(&app, app.clock.now()).await;
    }
}

/// Sweeps once: returns when nothing is left that is over, or when another node has taken its turn.
pub async fn sweep(app: &App, now: UnixTime) {
    let old = now.minus(GRACE);
    let full = BATCH;
    batches(app, full, move |connection| used_assertions::remove_expired(connection, old, BATCH)).await;
    batches(app, full, move |connection| grants::remove_expired(connection, old, BATCH)).await;
    let moments = (now.minus(FEED), now.minus(JWTS));
    batches(app, full, move |connection| revocations::remove_before(connection, moments, BATCH)).await;
    for period in Period::ALL {
        let before = now.minus(period.kept());
        batches(app, full, move |connection| usage_counts::remove_before(connection, period, before, BATCH))
            .await;
    }
    batches(app, 1, |connection| space::give_back(connection, PAGES)).await;
}

/// Repeats `remove` for as long as it removes `full` rows or more.
async fn batches(
    app: &App,
    full: i64,
    remove: impl Fn(&mut AnyConnection) -> Result<u64, StorageError> + Copy + Send + 'static,
) {
    loop {
        let began = Instant::now();
        let removed = app.database.write(move |connection| {
            // Another node that sweeps at this moment removes the same rows: one of them is enough.
            if turns::is_ours(connection)? { remove(connection) } else { Ok(0) }
        });
        match removed.await {
            Ok(rows) if i64::try_from(rows).unwrap_or(i64::MAX) >= full => {}
            Ok(_) => return,
            Err(error) => {
                log::warn!(cause = error.to_string().as_str(); "what is over could not be removed");
                return;
            }
        }
        tokio::time::sleep(began.elapsed().max(BREATH)).await;
    }
}
