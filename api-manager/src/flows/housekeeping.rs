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
/// The shortest pause between two batches.
const BREATH: Duration = Duration::from_millis(2);
/// How much longer than a batch the pause after it is while others write: three quarters of the time are theirs, and a row
/// still goes in less time than an exchange takes to make one.
const WHILE_OTHERS_WRITE: u32 = 3;
/// How much shorter it is while nobody does.
const WHILE_ALONE: u32 = 4;
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
    // Of these there may be millions. Their pages are given back as they become free: see `space`.
    batches(app, full, move |connection| {
        let removed = used_assertions::remove_expired(connection, old, BATCH)?;
        space::give_back(connection, PAGES)?;
        Ok(removed)
    })
    .await;
    batches(app, full, move |connection| {
        let removed = grants::remove_expired(connection, old, BATCH)?;
        space::give_back(connection, PAGES)?;
        Ok(removed)
    })
    .await;
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
    let mut seen = app.database.writes();
    loop {
        let began = Instant::now();
        let removed = once(app, remove).await;
        if removed.is_none_or(|rows| i64::try_from(rows).is_ok_and(|rows| rows < full)) {
            return;
        }
        let writes = app.database.writes();
        // Since the last time, our own apart; other nodes' are not seen.
        let is_alone = !app.database.is_postgres() && writes <= seen + 1;
        seen = writes;
        tokio::time::sleep(pause(began.elapsed(), is_alone)).await;
    }
}

/// One transaction of its own; how much it removed, or none where it failed.
async fn once(
    app: &App,
    remove: impl Fn(&mut AnyConnection) -> Result<u64, StorageError> + Copy + Send + 'static,
) -> Option<u64> {
    let removed = app.database.write(move |connection| {
        // Another node that sweeps at this moment removes the same rows: one of them is enough.
        if turns::is_ours(connection)? { remove(connection) } else { Ok(0) }
    });
    removed
        .await
        .inspect_err(|error: &StorageError| {
            log::warn!(cause = error.to_string().as_str(); "what is over could not be removed");
        })
        .ok()
}

/// How long others have the database to themselves after a batch that took that long.
fn pause(took: Duration, is_alone: bool) -> Duration {
    let pause = if is_alone { took / WHILE_ALONE } else { took * WHILE_OTHERS_WRITE };
    pause.max(BREATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_writes_beside_the_sweep_has_three_quarters_of_the_time() {
        let took = Duration::from_millis(40);
        assert_eq!(pause(took, false), Duration::from_millis(120));
        assert_eq!(pause(took, true), Duration::from_millis(10));
        assert_eq!(pause(Duration::ZERO, true), BREATH);
    }
}
