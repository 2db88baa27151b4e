//! The server removes what nobody can ask for any more: a little at a time, beside everything else that it does.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError, space};
use tokio::time::Instant;

use crate::app::App;
use crate::domain::identity_provider::{LEEWAY, LONGEST_LIFETIME};
use crate::domain::usage::Period;
use crate::storage::slots::GRACE;
use crate::storage::{grants, revocations, turns, usage_counts, used_assertions};

/// How often.
const PERIOD: Duration = Duration::from_secs(30);
/// The most rows of one table that one transaction removes, and the fewest: so few that even a slow disk has others wait for
/// little, so many that the transaction itself is not all that is done.
const BATCH: RangeInclusive<i64> = 25..=250;
/// How long the removing of one transaction shall take while others write: that much is added to what they wait.
const BESIDE_OTHERS: Duration = Duration::from_millis(4);
/// How long while nobody does: who comes then waits no longer.
const ALONE: Duration = Duration::from_millis(20);
/// The shortest pause between two batches.
const BREATH: Duration = Duration::from_millis(2);
/// The longest while others write, but for a batch that lasted longer itself: what held up one for a minute holds up the next for a
/// minute, and not for half an hour.
const LONGEST: Duration = Duration::from_secs(2);
/// How much longer than a batch the pause after it is while others write: all but a sixtieth of the time is theirs.
const WHILE_OTHERS_WRITE: u32 = 59;
/// The same of how long the batch lasted, its commit included: others wait for that, too, and on a slow disk it is most of it.
const WHILE_OTHERS_WAIT: u32 = 29;
/// The same on PostgreSQL, where writers write beside each other and those of other nodes are not seen.
const WHILE_ANYBODY_MAY: u32 = 3;
/// How much shorter it is while nobody writes.
const WHILE_ALONE: u32 = 4;
/// How many rows are to go for each that others write.
const SURPLUS: f64 = 1.25;
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
    // Of these there may be millions, as many of the one as of the other: both go in one transaction, so that neither falls
    // behind while the other is swept. Their pages are given back as they become free: see `space`.
    batches(app, Growing::Yes, move |connection, rows, others_write| {
        let assertions = used_assertions::remove_expired(connection, old, rows)?;
        let grants = grants::remove_expired(connection, old, rows)?;
        // A row leaves less than a quarter of a page.
        space::give_back(connection, rows / 2, others_write)?;
        Ok(assertions.max(grants))
    })
    .await;
    let moments = (now.minus(FEED), now.minus(JWTS));
    batches(app, Growing::No, move |connection, rows, _| {
        revocations::remove_before(connection, moments, rows)
    })
    .await;
    for period in Period::ALL {
        let before = now.minus(period.kept());
        batches(app, Growing::No, move |connection, rows, _| {
            usage_counts::remove_before(connection, period, before, rows)
        })
        .await;
    }
    batches(app, Growing::No, space::give_back).await;
}

/// One transaction of the sweep, and what it was like.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// What it removed.
    rows: u64,
    /// How long the removing took.
    worked: Duration,
    /// How long until it was committed, waiting for others included.
    lasted: Duration,
}

/// What others do meanwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Others {
    /// Nothing.
    Idle,
    /// They write, and the sweep is ahead of them.
    Write,
    /// They write so much a second, and have written more than was removed.
    Overtake(f64),
    /// Other nodes may write: nobody counts that.
    Unseen,
}

/// Whether those who write add to what is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growing {
    Yes,
    No,
}

/// Repeats `remove` for as long as it removes what it was asked to; it hears whether others wrote meanwhile.
async fn batches(
    app: &App,
    growing: Growing,
    remove: impl Fn(&mut AnyConnection, i64, bool) -> Result<u64, StorageError> + Copy + Send + 'static,
) {
    let (mut rows, mut seen, mut since) = (*BATCH.start(), app.database.writes(), Instant::now());
    let (mut ahead, mut meanwhile) = (0.0, Others::Idle);
    loop {
        let Some(batch) = once(app, rows, meanwhile != Others::Idle, remove).await else { return };
        if i64::try_from(batch.rows).is_ok_and(|removed| removed < rows) {
            return;
        }
        // Our own write apart.
        let (writes, elapsed) = (app.database.writes(), since.elapsed());
        let written = u32::try_from(writes.saturating_sub(seen + 1)).unwrap_or(u32::MAX);
        if growing == Growing::Yes {
            ahead += lead(batch.rows, written);
        }
        meanwhile = if app.database.is_postgres() { Others::Unseen } else { others(ahead, written, elapsed) };
        (seen, since) = (writes, Instant::now());
        rows = next_size(batch, meanwhile);
        tokio::time::sleep(pause(batch, meanwhile)).await;
    }
}

/// One transaction of its own; none where it failed.
async fn once(
    app: &App,
    rows: i64,
    others_write: bool,
    remove: impl Fn(&mut AnyConnection, i64, bool) -> Result<u64, StorageError> + Copy + Send + 'static,
) -> Option<Batch> {
    let began = Instant::now();
    let removed = app.database.write(move |connection| {
        let began = Instant::now();
        // Another node that sweeps at this moment removes the same rows: one of them is enough.
        let rows = if turns::is_ours(connection)? { remove(connection, rows, others_write)? } else { 0 };
        Ok((rows, began.elapsed()))
    });
    let (rows, worked) = removed
        .await
        .inspect_err(|error: &StorageError| {
            log::warn!(cause = error.to_string().as_str(); "what is over could not be removed");
        })
        .ok()?;
    Some(Batch { rows, worked, lasted: began.elapsed() })
}

/// How many rows the sweep gains on those who write: each write may be a row, and a quarter more than they add is to go, for between
/// two sweeps nothing is removed at all.
fn lead(removed: u64, written: u32) -> f64 {
    f64::from(u32::try_from(removed).unwrap_or(u32::MAX)) - f64::from(written) * SURPLUS
}

fn others(ahead: f64, written: u32, elapsed: Duration) -> Others {
    match written {
        0 => Others::Idle,
        _ if ahead >= 0.0 => Others::Write,
        written => Others::Overtake(f64::from(written) / elapsed.as_secs_f64().max(0.001)),
    }
}

/// As many rows as fit into the time that a batch may take, by what they took last.
fn next_size(Batch { rows, worked, .. }: Batch, others: Others) -> i64 {
    let time = if others == Others::Idle { ALONE } else { BESIDE_OTHERS };
    let fitting = u128::from(rows) * time.as_micros() / worked.as_micros().max(1);
    i64::try_from(fitting).unwrap_or(i64::MAX).clamp(*BATCH.start(), *BATCH.end())
}

/// How long others have the database to themselves after a batch. Where they have written so much that more would be over by and
/// by than is removed, that is less, down to half of the time: a backlog that only grows helps nobody.
fn pause(batch: Batch, others: Others) -> Duration {
    let Batch { rows, worked, lasted } = batch;
    let theirs = (worked * WHILE_OTHERS_WRITE).max(lasted * WHILE_OTHERS_WAIT).min(LONGEST).max(lasted);
    let pause = match others {
        Others::Idle => worked / WHILE_ALONE,
        Others::Unseen => lasted * WHILE_ANYBODY_MAY,
        Others::Write => theirs,
        Others::Overtake(rate) => {
            let rows = f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
            let enough = Duration::try_from_secs_f64(rows / (rate * SURPLUS)).unwrap_or(Duration::MAX);
            theirs.min(enough.saturating_sub(lasted)).max(worked)
        }
    };
    pause.max(BREATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn batch(rows: u64, worked: Duration) -> Batch {
        Batch { rows, worked, lasted: worked * 2 }
    }

    #[test]
    fn whoever_writes_beside_the_sweep_has_all_but_a_sixtieth_of_the_time() {
        assert_eq!(pause(batch(100, MS(4)), Others::Write), MS(236));
    }

    #[test]
    fn where_the_commit_lasts_longer_than_the_removing_they_have_all_but_a_thirtieth_of_that() {
        let slow = Batch { lasted: MS(40), ..batch(100, MS(4)) };
        assert_eq!(pause(slow, Others::Write), MS(1_160));
    }

    #[test]
    fn a_batch_that_was_held_up_for_a_minute_holds_up_the_next_for_as_long_and_not_for_half_an_hour() {
        let held_up = Batch { rows: 100, worked: MS(4), lasted: MS(60_000) };
        assert_eq!(pause(held_up, Others::Write), MS(60_000));
        let suspended = Batch { worked: MS(60_000), ..held_up };
        assert_eq!(pause(suspended, Others::Write), MS(60_000));
        assert_eq!(pause(suspended, Others::Overtake(10.0)), MS(60_000));
        assert_eq!(pause(suspended, Others::Idle), MS(15_000));
    }

    #[test]
    fn on_a_slow_disk_others_have_two_seconds_after_a_batch_and_half_of_the_time_where_that_is_more() {
        let slow = |lasted| Batch { rows: 25, worked: lasted / 2, lasted };
        assert_eq!(pause(slow(MS(500)), Others::Write), MS(2_000));
        assert_eq!(pause(slow(MS(3_000)), Others::Write), MS(3_000));
        assert_eq!(pause(slow(MS(3_000)), Others::Overtake(1_000.0)), MS(1_500), "as long as it worked");
        assert_eq!(pause(slow(MS(3_000)), Others::Unseen), MS(9_000), "three quarters, on PostgreSQL");
    }

    #[test]
    fn what_is_removed_is_more_than_what_others_add_for_as_long_as_half_of_the_time_is_enough() {
        for rate in [10.0, 1_000.0, 3_000.0, 5_000.0, 7_000.0] {
            let batch = batch(100, MS(4));
            let cycle = batch.lasted + pause(batch, Others::Overtake(rate));
            assert!(rate * cycle.as_secs_f64() < 100.0, "{rate}: {cycle:?}");
        }
        assert_eq!(pause(batch(100, MS(4)), Others::Overtake(1e9)), MS(4), "half of the time stays theirs");
    }

    #[test]
    fn what_was_removed_while_nobody_wrote_is_not_hurried_after_once_somebody_does() {
        let mut ahead = lead(10_000, 0);
        assert_eq!(others(ahead, 5, MS(10)), Others::Write);
        ahead += lead(0, 8_000);
        assert_eq!(others(ahead, 5, MS(10)), Others::Write);
        ahead += lead(25, 100);
        assert_eq!(others(ahead, 5, MS(10)), Others::Overtake(500.0));
        assert_eq!(others(ahead, 0, MS(10)), Others::Idle);
    }

    #[test]
    fn alone_it_hardly_rests_and_where_other_nodes_may_write_it_leaves_them_three_quarters() {
        assert_eq!(pause(batch(250, MS(20)), Others::Idle), MS(5));
        assert_eq!(pause(batch(250, MS(0)), Others::Idle), BREATH);
        assert_eq!(pause(batch(250, MS(20)), Others::Unseen), MS(120));
    }

    #[test]
    fn a_batch_is_as_large_as_what_others_may_wait_for() {
        let busy = Others::Write;
        assert_eq!(next_size(batch(100, MS(4)), busy), 100);
        assert_eq!(next_size(batch(250, MS(20)), busy), 50);
        assert_eq!(next_size(batch(50, MS(4)), Others::Idle), 250);
        assert_eq!(next_size(batch(250, MS(2_000)), busy), 25, "a slow disk");
        assert_eq!(next_size(batch(25, Duration::ZERO), Others::Unseen), 250);
    }
}
