//! Active health checks: a task for each backend that is to be asked, for as long as a table has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, Version, header};
use http_body_util::{BodyExt, Limited};
use log::{info, warn};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

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
    state: Arc<BackendState>,
    task: AbortHandle,
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
                        Some(one) => {
                            one.task.abort();
                            self.start(route, upstream, place, check, ticker)
                        }
                        None => self.start(route, upstream, place, check, ticker),
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
            one.task.abort();
            // Nobody would ever say that it is well again.
            one.state.set_unhealthy(false, ticker.now());
        }
    }

    fn start(
        &self,
        route: &Route,
        upstream: &Upstream,
        place: usize,
        check: &HealthCheck,
        ticker: &Ticker,
    ) -> Option<Running> {
        let member = upstream.all.get(place)?;
        let checker = Checker {
            api: route.id,
            url: member.address.url.clone(),
            client: route.client.clone(),
            request: Question::of(&member.address, check, route.protocol)?,
            check: check.clone(),
            state: Arc::clone(&member.state),
            slots: Arc::clone(&self.slots),
            ticker: ticker.clone(),
        };
        let task = tokio::spawn(checker.run()).abort_handle();
        let (check, profile) = (check.clone(), upstream.profile.clone());
        Some(Running { check, profile, state: Arc::clone(&member.state), task })
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
    state: Arc<BackendState>,
    slots: Arc<Semaphore>,
    ticker: Ticker,
}

impl Checker {
    async fn run(self) {
        let mut ticks = interval(Duration::from_secs(self.check.interval_seconds.max(1).into()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_a_row = 0_u32;
        loop {
            ticks.tick().await;
            let Ok(slot) = self.slots.acquire().await else { return };
            let is_well = self.ask().await;
            drop(slot);
            let is_unhealthy = self.state.is_unhealthy();
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
        self.state.set_unhealthy(unhealthy, self.ticker.now());
        let api = self.api.to_string();
        if unhealthy {
            warn!(api = api.as_str(), backend = &*self.url; "a backend fails its health checks and gets no requests");
        } else {
            info!(api = api.as_str(), backend = &*self.url; "a backend passes its health checks again");
        }
    }

    async fn ask(&self) -> bool {
        let limit = Duration::from_secs(self.check.timeout_seconds.max(1).into());
        let Ok(Ok(response)) = timeout(limit, self.client.hyper().request(self.request.request())).await
        else {
            return false;
        };
        let is_well = (200..400).contains(&response.status().as_u16());
        // The head decides. Where the rest does not come, the connection is closed.
        let _ = timeout(limit, Limited::new(response.into_body(), LONGEST_ANSWER).collect()).await;
        is_well
    }
}
