//! What runs by itself: news of keys, and the removal of what has ended.

use std::sync::Arc;
use std::time::Duration;

use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::{FlowError, keys};
use crate::app::App;
use crate::domain::lockout;
use crate::storage::{refresh_tokens, revoked_tokens, sign_in_failures, signing_keys};

/// How often the revision of the keys is asked for.
const NEWS: Duration = Duration::from_millis(500);
/// How often what has ended is removed.
const SWEEP: Duration = Duration::from_secs(60);
/// Rows that go in one transaction, so that others get their turn.
const BATCH: i64 = 500;
/// Seconds that expired rows are kept, so that a clock that is behind finds them.
const SLACK: i64 = 60;

/// Follows the keys until the task is aborted.
pub async fn follow_keys(app: Arc<App>) {
    let mut told = false;
    loop {
        tokio::time::sleep(NEWS).await;
        match keys::reload_when_changed(&app, app.clock.now()).await {
            Ok(()) => told = false,
            Err(error) if !told => {
                log::error!(cause = error.to_string().as_str(); "the signing keys cannot be read again; the old ones stay");
                told = true;
            }
            Err(_) => {}
        }
    }
}

/// Sweeps until the task is aborted.
pub async fn keep_sweeping(app: Arc<App>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if let Err(error) = sweep(&app, app.clock.now()).await {
            log::warn!(cause = error.to_string().as_str(); "sweeping failed; it is tried again");
        }
    }
}

/// Removes everything that ended before `now`, in small transactions.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn sweep(app: &App, now: UnixTime) -> Result<(), FlowError> {
    type Sweep = fn(&mut AnyConnection, UnixTime, i64) -> Result<usize, StorageError>;
    let ended = now.minus(SLACK);
    let sweeps: [(Sweep, UnixTime); 3] = [
        (refresh_tokens::sweep, ended),
        (revoked_tokens::sweep, ended),
        (sign_in_failures::sweep, ended.minus(lockout::MEMORY)),
    ];
    for (sweep, before) in sweeps {
        loop {
            let gone = app.database.write(move |db| sweep(db, before, BATCH)).await?;
            if i64::try_from(gone).unwrap_or(0) < BATCH {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    app.database.write(move |db| signing_keys::sweep(db, ended)).await?;
    Ok(())
}
