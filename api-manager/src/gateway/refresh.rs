//! Keeps the table and the cache true: what this process changes at once, what others change within a second.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use log::{error, info};
use shared_server::database::{AnyConnection, StorageError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Gateway;
use super::clients::Profile;
use super::contracts::Contracts;
use super::routes::{RouteTable, Sources};
use super::usage::Tally;
use crate::changes::{Change, Notice};
use crate::domain::ids::ApiId;
use crate::domain::revocation::Revocation;
use crate::storage::{
    apis, applications, deny_rules, identity_providers, revisions, revocations, subscriptions, tiers,
};

/// How often the database is asked what others changed.
const POLL: Duration = Duration::from_millis(500);
/// Revocations that are read at once.
const BATCH: i64 = 1_000;
/// After so long without the feed, its older rows may be gone: everything is forgotten instead.
const FEED_KEPT: Duration = Duration::from_secs(60);

/// Reads everything that a table is compiled from.
///
/// # Errors
/// [`StorageError`].
pub fn read_sources(connection: &mut AnyConnection) -> Result<Sources, StorageError> {
    Ok(Sources {
        // First: what changes while we read moves it on, and is read again.
        revision: revisions::read(connection, revisions::ROUTES)?,
        apis: apis::list_all(connection)?,
        subscriptions: subscriptions::list_all(connection)?,
        applications: applications::list_all(connection)?,
        tiers: tiers::list_all(connection)?,
        identity_providers: identity_providers::list_all(connection)?,
        contracts: Contracts::default(),
        deny_rules: deny_rules::list_all(connection)?,
    })
}

/// Loads the table and swaps it in.
///
/// # Errors
/// [`StorageError`]; the old table stays.
pub async fn load_table(gateway: &Arc<Gateway>) -> Result<(), StorageError> {
    let mut sources = gateway.app.database.read(read_sources).await?;
    let previous = gateway.table.load_full();
    sources.contracts = Contracts::load(&sources.apis, &previous.contracts, &gateway.app.database).await?;
    let compiling = Arc::clone(gateway);
    let profiles: HashSet<Profile> =
        sources.apis.iter().flat_map(|api| Profile::all_of(&api.definition)).collect();
    let current: HashSet<(ApiId, i64)> = sources.apis.iter().map(|api| (api.id, api.revision)).collect();
    let compiled = tokio::task::spawn_blocking(move || {
        let Gateway { clients, buckets, upstreams, .. } = &*compiling;
        RouteTable::compile(sources, clients, buckets, upstreams, Tally::of)
    })
    .await;
    let table = compiled.map_err(|_| StorageError::Fault("compiling the table panicked".to_owned()))?;
    info!(revision = table.revision, places = table.len(); "the gateway serves a new table");
    gateway.checks.follow(&table, &gateway.app.backend_states.ticker);
    gateway.table.store(Arc::new(table));
    gateway.clients.keep_only(&profiles);
    gateway.answers.keep_only(|api, revision| current.contains(&(api, revision)));
    gateway.buckets.forget_unused();
    gateway.upstreams.forget_unused();
    Ok(())
}

/// Follows changes until every sender of notices is gone or the gateway stops.
pub struct Refresh {
    gateway: Arc<Gateway>,
    notices: mpsc::Receiver<Notice>,
    /// The last revocation that was heard from the database.
    last: i64,
    /// Those who wait for a table that could not be loaded yet.
    waiting: Vec<oneshot::Sender<()>>,
    complained: bool,
}

impl Refresh {
    /// Ready to run; `last` is the number of the last revocation before the cache was empty.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, notices: mpsc::Receiver<Notice>, last: i64) -> Self {
        Self { gateway, notices, last, waiting: Vec::new(), complained: false }
    }

    /// Runs.
    pub async fn run(mut self) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u32;
        let mut open = true;
        loop {
            tokio::select! {
                notice = self.notices.recv(), if open => match notice {
                    Some(notice) => self.hear(notice).await,
                    None => open = false,
                },
                _ = ticks.tick() => {
                    let polled = self.poll().await;
                    self.report(polled);
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(2) {
                        let now = self.gateway.app.clock.now();
                        self.blocking(move |gateway| {
                            gateway.grants.sweep(now);
                            gateway.assertions.sweep(now);
                        })
                        .await;
                    }
                }
            }
        }
    }

    /// Acts on a notice and on all that wait behind it, so that a hundred changes of APIs cost one table.
    async fn hear(&mut self, first: Notice) {
        let mut revoked = Vec::new();
        let mut done = Vec::new();
        let mut routes = false;
        let mut next = Some(first);
        while let Some(notice) = next {
            match notice.change {
                Change::Routes => {
                    routes = true;
                    self.waiting.push(notice.done);
                }
                Change::Revoked(revocation) => {
                    revoked.push(revocation);
                    done.push(notice.done);
                }
            }
            next = self.notices.try_recv().ok();
        }
        self.forget(revoked).await;
        for done in done {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
        if routes {
            let loaded = self.reload().await;
            self.report(loaded);
        }
    }

    async fn reload(&mut self) -> Result<(), StorageError> {
        load_table(&self.gateway).await?;
        for done in self.waiting.drain(..) {
            let _ = done.send(());
        }
        Ok(())
    }

    /// Reads what others changed.
    async fn poll(&mut self) -> Result<(), StorageError> {
        // Its rows from before may be gone: what they named cannot be told from the rest.
        if self.gateway.grants.unfed_for() > FEED_KEPT {
            self.gateway.grants.clear();
        }
        let revision = loop {
            let (last, began) = (self.last, Instant::now());
            let read = self.gateway.app.database.read(move |connection| {
                Ok::<_, StorageError>((
                    revocations::list_after(connection, last, BATCH)?,
                    revisions::read(connection, revisions::ROUTES)?,
                ))
            });
            let (heard, revision) = read.await?;
            let complete = i64::try_from(heard.len()).is_ok_and(|count| count < BATCH);
            if let Some((last, _)) = heard.last() {
                self.last = *last;
            }
            self.forget(heard.into_iter().map(|(_, revocation)| revocation).collect()).await;
            if complete {
                self.gateway.grants.fed(began);
                break revision;
            }
        };
        if revision != self.gateway.table.load().revision || !self.waiting.is_empty() {
            self.reload().await?;
        }
        Ok(())
    }

    async fn forget(&self, revocations: Vec<Revocation>) {
        if revocations.is_empty() {
            return;
        }
        self.blocking(move |gateway| {
            revocations.iter().for_each(|revocation| gateway.grants.forget(revocation))
        })
        .await;
    }

    /// Walks of the whole cache may take milliseconds, which belong on a thread that may block.
    async fn blocking(&self, work: impl FnOnce(&Gateway) + Send + 'static) {
        let gateway = Arc::clone(&self.gateway);
        if tokio::task::spawn_blocking(move || work(&gateway)).await.is_err() {
            error!("work on the grant cache panicked; it is emptied");
            self.gateway.grants.clear();
        }
    }

    /// Told once, not twice a second until the database is back.
    fn report(&mut self, outcome: Result<(), StorageError>) {
        match outcome {
            Ok(()) => self.complained = false,
            Err(why) => {
                if !self.complained {
                    error!(cause = why.to_string().as_str(); "the gateway cannot read what changed; it keeps trying");
                }
                self.complained = true;
            }
        }
    }
}
