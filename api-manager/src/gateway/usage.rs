//! What is counted of each request: added up on the thread that served it, collected by one task.

pub mod books;
mod keeper;
mod lines;
mod meters;
mod till;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use log::info;
use shared_claims::clock::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::connection::InFlight;
use super::cores::PerCore;
use super::route::Route;
use super::uploads::Progress;
use super::upstream::attempts::Lease;
use crate::app::App;
use crate::domain::api::Operation;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::Period;
use keeper::Keeper;
use meters::{Labels, Meters, Slot};
use till::{Record, Till};

/// Where the calls of one API are counted: under its context and version. The first call says so.
#[derive(Default)]
pub struct Tally(OnceLock<Slot>);

/// Of which API a call is, and where it is counted. Not the route that says so: a stream would hold what a table has long
/// replaced, and every call would write to it.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    api: Option<ApiId>,
    slot: Slot,
}

/// Where each thread counts.
#[derive(Clone)]
pub struct Usage(Arc<Counting>);

struct Counting {
    tills: Arc<PerCore<Mutex<Till>>>,
    clock: Clock,
    asks: mpsc::Sender<oneshot::Sender<()>>,
    labels: Arc<Labels>,
}

impl Usage {
    /// Shows the counts in the metrics, and starts the task that collects them into the database; it ends when the last of
    /// these is gone.
    #[must_use]
    pub fn start(app: &Arc<App>, cores: usize) -> Self {
        let labels = Arc::<Labels>::default();
        let tills = Arc::new(PerCore::new(cores, Mutex::<Till>::default));
        Meters::show(&tills, &labels, &app.metrics);
        let (asks, asked) = mpsc::channel(1);
        tokio::spawn(Keeper::new(app, Arc::clone(&tills)).run(asked));
        Self(Arc::new(Counting { tills, clock: app.clock.clone(), asks, labels }))
    }

    /// Where a call is counted, by the API that it reached, if any.
    #[must_use]
    pub fn slot_of(&self, reached: Option<&Route>) -> Counted {
        let Some(route) = reached else { return Counted { api: None, slot: Slot::NONE } };
        let slot = route.tally.0.get().map_or_else(|| self.first_slot_of(route), |slot| *slot);
        Counted { api: Some(route.id), slot }
    }

    /// Apart, so that no later call reads what only the first needs.
    #[cold]
    #[inline(never)]
    fn first_slot_of(&self, route: &Route) -> Slot {
        *route.tally.0.get_or_init(|| self.0.labels.slot_of(&route.place.versioned))
    }

    /// Waits until everything that was counted before is in the database, or cannot be written there now.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.asks.send(done).await.is_ok() {
            let _ = flushed.await;
        }
    }

    fn record(&self, record: Record) {
        let minute = Period::Minute.start_of(self.0.clock.now());
        // Others hold it for a moment: whoever collects, and whoever reads the metrics.
        self.0.tills.here().lock().unwrap_or_else(PoisonError::into_inner).enter(minute, record);
    }
}

/// What is known of a call when the head of its answer goes out.
#[derive(Default)]
pub struct Account {
    /// Whose call it is.
    pub application: Option<ApplicationId>,
    /// What is called.
    pub operation: Option<Arc<Operation>>,
    /// What the backend took until the head of its answer.
    pub backend: Option<Duration>,
    /// How long its refusal waited for its turn, which is not what the gateway took.
    pub queued: Duration,
    /// Bytes of its body that were read before it went to the backend.
    pub read: u64,
    /// What becomes of the body that goes there.
    pub upload: Option<Arc<Progress>>,
}

/// One request's entry in the books, closed when it is dropped: when its answer has gone out, or was given up.
pub struct Ledger {
    usage: Usage,
    counted: Counted,
    status: StatusCode,
    started: Instant,
    request_id: HeaderValue,
    account: Account,
    /// What the gateway itself took until the head of the answer.
    own: Duration,
    bytes_in: u64,
    bytes_out: u64,
    broke_off: bool,
    in_flight: Option<InFlight>,
    _held: Option<Lease>,
}

impl Ledger {
    /// Opens an entry for an answer whose head is known.
    #[must_use]
    pub fn open(
        usage: Usage,
        counted: Counted,
        status: StatusCode,
        (started, account): (Instant, Account),
        request_id: HeaderValue,
        in_flight: Option<InFlight>,
    ) -> Self {
        let elsewhere = account.backend.unwrap_or_default().saturating_add(account.queued);
        let own = started.elapsed().saturating_sub(elsewhere);
        Self {
            usage,
            counted,
            status,
            started,
            request_id,
            bytes_in: account.read,
            account,
            own,
            bytes_out: 0,
            broke_off: false,
            in_flight,
            _held: None,
        }
    }

    fn api(&self) -> String {
        self.counted.api.map_or_else(|| "none".to_owned(), |api| api.to_string())
    }

    /// Keeps the request's place at its backend until the entry is closed.
    #[must_use]
    pub fn holding(mut self, held: Option<Lease>) -> Self {
        self._held = held;
        self
    }

    /// Counts bytes of bodies, as they pass.
    pub fn passed(&mut self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in = self.bytes_in.saturating_add(bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(bytes_out);
    }

    /// Notes that the answer ended before its end.
    pub fn broke_off(&mut self, reason: &str) {
        self.broke_off = true;
        let request_id = self.request_id.to_str().unwrap_or_default();
        info!(api = self.api().as_str(), request_id = request_id, reason = reason; "an answer broke off");
    }

    /// Notes that the answer would no longer be given and was ended.
    pub fn withdrawn(&self, reason: &str) {
        let request_id = self.request_id.to_str().unwrap_or_default();
        info!(api = self.api().as_str(), request_id = request_id, reason = reason; "a live connection was ended");
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.ends(now);
        }
        let uploaded = self.account.upload.as_ref().map_or(0, |upload| upload.bytes());
        self.usage.record(Record {
            counted: self.counted,
            account: std::mem::take(&mut self.account),
            status: self.status,
            whole: now.saturating_duration_since(self.started),
            own: self.own,
            bytes_in: self.bytes_in.saturating_add(uploaded),
            bytes_out: self.bytes_out,
            broke_off: self.broke_off,
        });
    }
}
