//! Keeps the table and the cache true: what this process changes at once, what others change within a second.

use std::sync::Arc;
use std::time::Duration;

use log::{error, info};
use shared_server::database::StorageError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Gateway;
use super::contracts;
use super::route::Parts;
use super::routes::{RouteTable, Sources};
use super::sources::{self, Read};
use crate::changes::{Change, Notice};
use crate::domain::ids::ApiId;
use crate::domain::revocation::Revocation;
use crate::storage::{revisions, revocations};

/// How often the database is asked what others changed.
const POLL: Duration = Duration::from_millis(500);
/// After how many polls what has become superfluous is looked for.
const TIDY_EVERY: u32 = 10;
/// Revocations that are read at once.
const BATCH: i64 = 1_000;
/// After so long without the feed, its older rows may be gone: everything is forgotten instead.
const FEED_KEPT: Duration = Duration::from_secs(60);

/// Loads the first table.
///
/// # Errors
/// [`StorageError`].
pub async fn load_table(gateway: &Arc<Gateway>) -> Result<(), StorageError> {
    let sources = sources::read_everything(&gateway.app.database).await?;
    compile_everything(gateway, sources).await
}

/// Takes over what has changed since the present table was read, and gives back that one: whoever drops it last frees what
/// only it had, which is not to be a request.
///
/// # Errors
/// [`StorageError`]; the old table stays.
async fn load_changes(gateway: &Arc<Gateway>) -> Result<Option<Arc<RouteTable>>, StorageError> {
    let previous = gateway.table.load_full();
    match sources::read_changes(&gateway.app.database, previous.revision).await? {
        Read::Nothing => return Ok(None),
        Read::Everything(sources) => compile_everything(gateway, sources).await?,
        Read::Changes(mut delta) => {
            let apis = delta.apis.iter().filter_map(|(_, api)| api.as_ref());
            delta.contracts = contracts::load(apis, &previous, &gateway.app.database).await?;
            let changed: Vec<ApiId> = delta.apis.iter().map(|(id, _)| *id).collect();
            let before = Arc::clone(&previous);
            let table = compile(gateway, move |parts| before.changed(delta, parts)).await?;
            let is_checked = |table: &RouteTable| {
                changed.iter().any(|id| table.api(*id).is_some_and(|route| route.is_checked()))
            };
            let follow = is_checked(&previous) || is_checked(&table);
            serve(gateway, table, follow);
        }
    }
    Ok(Some(previous))
}

async fn compile_everything(gateway: &Arc<Gateway>, mut sources: Sources) -> Result<(), StorageError> {
    let previous = gateway.table.load_full();
    sources.contracts = contracts::load(sources.apis.iter(), &previous, &gateway.app.database).await?;
    let table = compile(gateway, move |parts| RouteTable::compile(sources, parts)).await?;
    info!(revision = table.revision, apis = table.len(); "the gateway serves a new table");
    serve(gateway, table, true);
    Ok(())
}

/// Compiles on a thread that may take its time.
async fn compile(
    gateway: &Arc<Gateway>,
    work: impl FnOnce(&Parts<'_>) -> RouteTable + Send + 'static,
) -> Result<RouteTable, StorageError> {
    let compiling = Arc::clone(gateway);
    let compiled = tokio::task::spawn_blocking(move || {
        let Gateway { clients, buckets, upstreams, .. } = &*compiling;
        work(&Parts { clients, buckets, upstreams })
    });
    compiled.await.map_err(|_| StorageError::Fault("compiling the table panicked".to_owned()))
}

fn serve(gateway: &Gateway, table: RouteTable, follow_checks: bool) {
    if follow_checks {
        gateway.checks.follow(&table, &gateway.app.backend_states.ticker);
    }
    gateway.table.store(Arc::new(table));
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
    /// Tables that requests may still be served by.
    retired: Vec<Arc<RouteTable>>,
    /// Whether something may have become superfluous with one of them.
    is_tidy: bool,
}

impl Refresh {
    /// Ready to run; `last` is the number of the last revocation before the cache was empty.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, notices: mpsc::Receiver<Notice>, last: i64) -> Self {
        Self {
            gateway,
            notices,
            last,
            waiting: Vec::new(),
            complained: false,
            retired: Vec::new(),
            is_tidy: true,
        }
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
                    self.let_go().await;
                    if count.is_multiple_of(TIDY_EVERY) {
                        self.tidy().await;
                    }
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
        if let Some(previous) = load_changes(&self.gateway).await? {
            self.retired.push(previous);
            self.is_tidy = false;
        }
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

    /// Frees the tables that nobody is served by any more: here, and not in the middle of a request.
    async fn let_go(&mut self) {
        let (free, busy) = self.retired.drain(..).partition(|table| Arc::strong_count(table) == 1);
        self.retired = busy;
        let free: Vec<Arc<RouteTable>> = free;
        if !free.is_empty() {
            self.blocking(move |_| drop(free)).await;
        }
    }

    /// Forgets what no table refers to: looked for now and then, because that walks over everything.
    async fn tidy(&mut self) {
        if std::mem::replace(&mut self.is_tidy, self.retired.is_empty()) {
            return;
        }
        self.blocking(|gateway| {
            let table = gateway.table.load_full();
            let is_current = |api, revision| table.api(api).is_some_and(|route| route.revision == revision);
            gateway.answers.keep_only(is_current);
            gateway.clients.forget_unused();
            gateway.buckets.forget_unused();
            gateway.upstreams.forget_unused();
        })
        .await;
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
