//! Where an API's requests go: which of its backends gets the next one, how often one is tried, and what stops it.
//!
//! A table holds an [`Upstream`] for each type of key. What has to outlive tables (turns, budgets, [`BackendState`]s) is
//! kept by [`Upstreams`] and by the application; a request finds it without a look-up and changes it without a lock.

pub mod address;
pub mod attempts;
mod budget;
pub mod checks;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use log::warn;
use smallvec::SmallVec;

use super::clients::Profile;
use crate::ahead::fetch;
use crate::backend_states::{BackendState, BackendStates};
use crate::domain::api::upstream::{self, Balance, CircuitBreaker, Ejection, HealthCheck, Retries};
use crate::domain::api::{Api, Backend};
use crate::domain::application::KeyType;
use crate::domain::ids::ApiId;
use crate::ticker::Ticker;
use address::Address;
use attempts::Lease;
use budget::Budget;
use schedule::{Schedule, Set};

/// What all upstreams share, and what of each outlives the tables.
pub struct Upstreams {
    states: Arc<BackendStates>,
    made: Mutex<HashMap<(ApiId, KeyType), Arc<Lasting>>>,
    /// Taken apart once for all APIs that name the same URL: what all of them read stays at hand.
    addresses: Mutex<HashMap<Box<str>, Arc<Address>>>,
}

/// What of an upstream a new table does not change.
struct Lasting {
    /// Whose turn it is: a place in the schedule.
    turn: AtomicUsize,
    budget: Budget,
}

/// The backends that one type of key reaches. In memory as written: first what every call reads.
#[repr(C)]
pub struct Upstream {
    /// Mostly one, which lies right here.
    all: SmallVec<[Member; 1]>,
    lasting: Arc<Lasting>,
    retries: Retries,
    circuit_breaker: CircuitBreaker,
    /// Those that have a weight.
    weighted: Set,
    balance: Balance,
    ejection: Ejection,
    schedule: ArcSwap<Schedule>,
    ticker: Ticker,
    api: ApiId,
    health_check: Option<HealthCheck>,
    profile: Profile,
}

/// One of them.
struct Member {
    address: Arc<Address>,
    weight: u8,
    state: Arc<BackendState>,
}

/// Why no backend gets the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackend {
    /// Each is unhealthy or drained.
    Unavailable,
    /// Each that is not has all that its circuit breaker allows.
    Busy,
}

impl NoBackend {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unavailable => "no_healthy_backend",
            Self::Busy => "backends_busy",
        }
    }

    /// Code, message and description of the body.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Unavailable => {
                ("303001", "Backend suspended", "No backend of this API takes requests at the moment.")
            }
            Self::Busy => {
                ("303000", "Backend busy", "The backends of this API take no more requests at the moment.")
            }
        }
    }
}

impl Upstreams {
    /// None yet; how their backends are doing is written to `states`.
    #[must_use]
    pub fn new(states: Arc<BackendStates>) -> Self {
        Self { states, made: Mutex::default(), addresses: Mutex::default() }
    }

    /// The upstream of an API for keys of a type. A backend that is no http(s) URL is left out.
    #[must_use]
    pub fn compile(&self, api: &Api, key_type: KeyType) -> Upstream {
        let backends = &api.definition.backends;
        let all: SmallVec<[Member; 1]> =
            backends.of(key_type).iter().filter_map(|backend| self.member(api.id, backend)).collect();
        let weighted = Set::of(all.iter().map(|member| member.weight > 0));
        let ejection = match all.len() {
            // There would be nobody to go to instead.
            0 | 1 => Ejection { failures: 0, ..backends.ejection },
            _ => backends.ejection,
        };
        Upstream {
            api: api.id,
            weighted,
            balance: backends.balance,
            ejection,
            retries: backends.retries,
            circuit_breaker: backends.circuit_breaker,
            health_check: backends.health_check.clone(),
            profile: Profile::of(&api.definition),
            schedule: ArcSwap::from_pointee(Schedule::of(weighted, |place| weight(&all, place))),
            lasting: self.lasting(api.id, key_type),
            ticker: self.states.ticker.clone(),
            all,
        }
    }

    fn member(&self, api: ApiId, backend: &Backend) -> Option<Member> {
        let Some(address) = self.address(&backend.url) else {
            warn!(api = api.to_string().as_str(); "a backend of this API is no http(s) URL and gets no traffic");
            return None;
        };
        let state = self.states.of(api, &backend.url);
        let weight = backend.weight.min(upstream::MOST_WEIGHT);
        Some(Member { address, weight, state })
    }

    fn address(&self, url: &str) -> Option<Arc<Address>> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = addresses.get(url) {
            return Some(Arc::clone(address));
        }
        let address = Arc::new(Address::parse(url)?);
        addresses.insert(url.into(), Arc::clone(&address));
        Some(address)
    }

    fn lasting(&self, api: ApiId, key_type: KeyType) -> Arc<Lasting> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Lasting { turn: AtomicUsize::new(0), budget: Budget::default() });
        Arc::clone(made.entry((api, key_type)).or_insert_with(new))
    }

    /// Forgets what no table and no request refers to.
    pub fn forget_unused(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, lasting| Arc::strong_count(lasting) > 1);
        drop(made);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.retain(|_, address| Arc::strong_count(address) > 1);
        drop(addresses);
        self.states.forget_unused();
    }
}

fn weight(all: &[Member], place: usize) -> u8 {
    all.get(place).map_or(0, |member| member.weight)
}

impl Upstream {
    /// So many of its bytes are read by every call.
    #[cfg(test)]
    pub const FIRST: usize = std::mem::offset_of!(Upstream, weighted);

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// As [`Route::fetch`](super::route::Route::fetch).
    pub fn fetch(&self) {
        fetch(&self.all);
        fetch(&self.lasting);
        fetch(&self.weighted);
    }

    /// As [`Route::fetch_further`](super::route::Route::fetch_further).
    pub fn fetch_further(&self) {
        fetch(&*self.lasting);
        if let Some(member) = self.all.first() {
            member.state.fetch();
        }
    }

    /// Whether they are asked how they are.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.health_check.is_some()
    }

    /// The address of the backend at `place`.
    #[must_use]
    pub fn address(&self, place: usize) -> Option<&Address> {
        self.all.get(place).map(|member| &*member.address)
    }

    /// Those that may get a request. Where all that are healthy are ejected, all of them may: some of their answers are
    /// better than none.
    fn candidates(&self, now: u64) -> Result<Set, NoBackend> {
        let among = |set: Set, keep: &dyn Fn(&BackendState) -> bool| {
            let kept = self.all.iter().enumerate();
            Set::of(kept.map(|(place, member)| set.has(place) && keep(&member.state)))
        };
        let healthy = among(self.weighted, &|state| !state.is_unhealthy());
        if healthy.is_empty() {
            return Err(NoBackend::Unavailable);
        }
        let welcome = among(healthy, &|state| !state.is_ejected(now));
        Ok(if welcome.is_empty() { healthy } else { welcome })
    }

    /// Takes a place at a backend that is not among those `tried`.
    fn pick(&self, tried: Set) -> Result<Option<(usize, Lease)>, NoBackend> {
        if let [only] = self.all.as_slice() {
            return self.pick_only(only, tried);
        }
        let candidates = self.candidates(self.ticker.now())?;
        let mut left = candidates.without(tried);
        if left.is_empty() {
            return Ok(None);
        }
        let schedule = self.schedule_for(candidates);
        // An attempt elsewhere takes nobody's turn.
        let turn = if tried.is_empty() {
            self.lasting.turn.fetch_add(1, Ordering::Relaxed)
        } else {
            self.lasting.turn.load(Ordering::Relaxed)
        };
        while let Some(place) = self.next(&schedule, turn, left) {
            if let Some(lease) = self.enter(place) {
                return Ok(Some((place, lease)));
            }
            left = left.without(Set::only(place));
        }
        Err(NoBackend::Busy)
    }

    /// Takes a place at the one backend there is, who is ejected by nothing and has every turn.
    fn pick_only(&self, only: &Member, tried: Set) -> Result<Option<(usize, Lease)>, NoBackend> {
        if only.weight == 0 || only.state.is_unhealthy() {
            return Err(NoBackend::Unavailable);
        }
        if !tried.is_empty() {
            return Ok(None);
        }
        self.enter(0).map(|lease| Some((0, lease))).ok_or(NoBackend::Busy)
    }

    fn next(&self, schedule: &Schedule, turn: usize, left: Set) -> Option<usize> {
        let mut order = schedule.from(turn).filter(|place| left.has(*place));
        match self.balance {
            Balance::RoundRobin => order.next(),
            // Of those that are equally busy the first in the schedule.
            Balance::LeastConnections => order.min_by(|a, b| {
                let load = |place: usize| self.all.get(place).map_or(0, |member| member.state.in_flight());
                let share = |place: usize| u64::from(weight(&self.all, place));
                (u64::from(load(*a)) * share(*b)).cmp(&(u64::from(load(*b)) * share(*a)))
            }),
        }
    }

    fn enter(&self, place: usize) -> Option<Lease> {
        let member = self.all.get(place)?;
        let entered = member.state.enter(self.circuit_breaker);
        entered.then(|| Lease::new(Arc::clone(&member.state)))
    }

    /// The schedule of `candidates`: the same one until a backend drops out or comes back.
    fn schedule_for(&self, candidates: Set) -> Arc<Schedule> {
        let present = self.schedule.load();
        if present.set == candidates {
            return Arc::clone(&present);
        }
        let new = Arc::new(Schedule::of(candidates, |place| weight(&self.all, place)));
        self.schedule.store(Arc::clone(&new));
        new
    }

    fn failed(&self, place: usize) {
        let Some(member) = self.all.get(place) else { return };
        if member.state.failed(self.ejection, self.ticker.now()) {
            let (api, seconds) = (self.api.to_string(), self.ejection.seconds);
            warn!(api = api.as_str(), backend = &*member.address.url, seconds; "a backend is ejected");
        }
    }
}
