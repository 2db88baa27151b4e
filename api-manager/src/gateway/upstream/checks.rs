//! Active health checks: a task for each backend that is to be asked, for as long as a table has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, Version, header};
use http_body_util::{BodyExt, Limited};
use log::{info, warn};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::Upstream;
use super::address::Address;
use crate::backend_states::BackendState;
use crate::domain::api::transport::Protocol;
use crate::domain::api::upstream::HealthCheck;
use crate::domain::application::KeyType;
use crate::domain::ids::ApiId;
use crate::gateway::clients::{Client, Profile};
use crate::gateway::routes::{Route, RouteTable};
use crate::gateway::uploads::Upload;
use crate::ticker::Ticker;

/// The most backends that are asked; the others count as healthy.
const MOST: usize = 2_000;
/// The most that are asked at the same moment.
const AT_ONCE: usize = 128;
/// The most of one API: backends that let one wait hold up the checks of their own API first.
const AT_ONCE_OF_ONE: usize = 8;
/// What is read of an answer, so that its connection can be used again.
const LONGEST_ANSWER: usize = 64 * 1_024;

/// The running checks.
pub struct Checks {
    running: Mutex<HashMap<(ApiId, Box<str>), Running>>,
    slots: Arc<Semaphore>,
}

struct Running {
    check: HealthCheck,
    profile: Profile,
    verdict: Arc<Verdict>,
    /// Of its API.
    slots: Arc<Semaphore>,
    task: AbortHandle,
}

/// What checks say of a backend, until they are over: a task that is ended may be in the middle of a step.
struct Verdict {
    state: Arc<BackendState>,
    is_over: Mutex<bool>,
}

impl Verdict {
    /// Says it, unless the checks are over.
    fn say(&self, unhealthy: bool, ticker: &Ticker) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_over {
            self.state.set_unhealthy(unhealthy, ticker.now());
        }
        !*is_over
    }

    fn is_over(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self { running: Mutex::default(), slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Checks {
    /// Begins, goes on with and ends checks, so that those of `table` run. Must be called within a runtime.
    pub fn follow(&self, table: &RouteTable, ticker: &Ticker) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *running);
        let mut left_out = 0_usize;
        let mut slots: HashMap<ApiId, Arc<Semaphore>> =
            before.iter().map(|((api, _), one)| (*api, Arc::clone(&one.slots))).collect();
        for route in table.routes().filter(|route| route.is_in_service()) {
            for upstream in [KeyType::Production, KeyType::Sandbox]
                .into_iter()
                .filter_map(|key_type| route.upstream(key_type))
            {
                let Some(check) = &upstream.health_check else { continue };
                for (place, member) in upstream.all.iter().enumerate() {
                    let key = (route.id, member.address.url.clone());
                    if running.contains_key(&key) {
                        continue;
                    }
                    if running.len() >= MOST {
                        left_out += 1;
                        continue;
                    }
                    let same = |one: &Running| one.check == *check && one.profile == upstream.profile;
                    let one = match before.remove(&key) {
                        Some(one) if same(&one) => Some(one),
                        changed => {
                            changed.iter().for_each(Running::end);
                            let of_one = || Arc::new(Semaphore::new(AT_ONCE_OF_ONE));
                            let of_one = slots.entry(route.id).or_insert_with(of_one);
                            self.start((route, upstream, place), check, of_one, ticker)
                        }
                    };
                    if let Some(one) = one {
                        running.insert(key, one);
                    }
                }
            }
        }
        if left_out > 0 {
            warn!(backends = left_out, most = MOST; "too many backends have a health check; these are not asked");
        }
        for one in before.into_values() {
            one.end();
            // Nobody would ever say that it is well again.
            one.verdict.state.set_unhealthy(false, ticker.now());
        }
    }

    fn start(
        &self,
        (route, upstream, place): (&Route, &Upstream, usize),
        check: &HealthCheck,
        of_one: &Arc<Semaphore>,
        ticker: &Ticker,
    ) -> Option<Running> {
        let member = upstream.all.get(place)?;
        let verdict = Arc::new(Verdict { state: Arc::clone(&member.state), is_over: Mutex::new(false) });
        let checker = Checker {
            api: route.id,
            url: member.address.url.clone(),
            client: route.client.clone(),
            request: Question::of(&member.address, check, route.protocol)?,
            check: check.clone(),
            verdict: Arc::clone(&verdict),
            slots: [of_one, &self.slots].map(Arc::clone),
            ticker: ticker.clone(),
        };
        let task = tokio::spawn(checker.run()).abort_handle();
        let (check, profile) = (check.clone(), upstream.profile.clone());
        Some(Running { check, profile, verdict, slots: Arc::clone(of_one), task })
    }
}

impl Running {
    /// Nothing is said any more, whatever the task is at.
    fn end(&self) {
        self.task.abort();
        self.verdict.is_over();
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(|one| one.task.abort());
    }
}

/// What a backend is asked.
struct Question {
    uri: http::Uri,
    host: HeaderValue,
    version: Version,
}

impl Question {
    fn of(address: &Address, check: &HealthCheck, protocol: Protocol) -> Option<Self> {
        let (path, query) = match check.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (check.path.as_str(), None),
        };
        let version = match protocol {
            Protocol::Http1 => Version::HTTP_11,
            Protocol::Http2 => Version::HTTP_2,
        };
        Some(Self { uri: address.uri(path, query)?, host: address.host.clone(), version })
    }

    fn request(&self) -> Request<Upload> {
        let mut request = Request::new(Upload::Empty);
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        let headers = request.headers_mut();
        if self.version != Version::HTTP_2 {
            headers.insert(header::HOST, self.host.clone());
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static("countersign-health-check"));
        request
    }
}

struct Checker {
    api: ApiId,
    url: Box<str>,
    client: Client,
    request: Question,
    check: HealthCheck,
    verdict: Arc<Verdict>,
    /// Of its API, and of all.
    slots: [Arc<Semaphore>; 2],
    ticker: Ticker,
}

impl Checker {
    async fn run(self) {
        let mut ticks = interval(Duration::from_secs(self.check.interval_seconds.max(1).into()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_a_row = 0_u32;
        loop {
            ticks.tick().await;
            let [of_one, of_all] = &self.slots;
            let (Ok(own), Ok(common)) = (of_one.acquire().await, of_all.acquire().await) else { return };
            let is_well = self.ask().await;
            drop((own, common));
            let is_unhealthy = self.verdict.state.is_unhealthy();
            // What agrees with the present state begins the count of the other anew.
            in_a_row = if is_well == is_unhealthy { in_a_row.saturating_add(1) } else { 0 };
            let enough = if is_unhealthy { self.check.healthy_after } else { self.check.unhealthy_after };
            if in_a_row >= enough {
                in_a_row = 0;
                self.change(!is_well);
            }
        }
    }

    fn change(&self, unhealthy: bool) {
        if !self.verdict.say(unhealthy, &self.ticker) {
            return;
        }
        let api = self.api.to_string();
        if unhealthy {
            warn!(api = api.as_str(), backend = &*self.url; "a backend fails its health checks and gets no requests");
        } else {
            info!(api = api.as_str(), backend = &*self.url; "a backend passes its health checks again");
        }
    }

    async fn ask(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(self.check.timeout_seconds.max(1).into());
        let Ok(Ok(response)) = timeout_at(end, self.client.hyper().request(self.request.request())).await
        else {
            return false;
        };
        let is_well = (200..400).contains(&response.status().as_u16());
        // The head decides. Where the rest does not come, the connection is closed.
        let _ = timeout_at(end, Limited::new(response.into_body(), LONGEST_ANSWER).collect()).await;
        is_well
    }
}
