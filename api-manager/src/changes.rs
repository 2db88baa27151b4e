//! How a change made here reaches the gateway of this process before its maker is answered.
//!
//! Other processes learn of it from the database (the `revisions` and `revocations` tables), within a second.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::domain::revocation::Revocation;

/// What has changed; it is durable already.
#[derive(Clone, Debug)]
pub enum Change {
    /// APIs, subscriptions, applications, tiers or identity providers: compile the table anew.
    Routes,
    /// Grants were revoked: forget what is cached of them.
    Revoked(Revocation),
}

/// A change, and whom to tell once the gateway acts on it.
pub struct Notice {
    /// What has changed.
    pub change: Change,
    /// Answered when no request is served by the old state any more.
    pub done: oneshot::Sender<()>,
}

/// The sending side; flows hold it.
#[derive(Clone)]
pub struct Changes(mpsc::Sender<Notice>);

/// How long a maker waits for its own gateway. The change holds in any case: the gateway also reads the database.
const PATIENCE: Duration = Duration::from_secs(2);

impl Changes {
    /// Both sides.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(1_024);
        (Self(sender), receiver)
    }

    /// Tells the gateway and waits until it acts on the change.
    pub async fn announce(&self, change: Change) {
        let (done, heard) = oneshot::channel();
        if self.0.try_send(Notice { change, done }).is_err() {
            log::warn!(
                "the gateway's queue is full or it has stopped; it will read the change from the database"
            );
            return;
        }
        if tokio::time::timeout(PATIENCE, heard).await.is_err() {
            log::warn!("the gateway did not take a change in time; it will read it from the database");
        }
    }
}
