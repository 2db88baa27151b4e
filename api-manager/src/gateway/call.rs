//! The stations of one request: what it asks for, whether it may, what it costs, and where it goes.

use std::pin::pin;
use std::sync::Arc;

use http::header::EXPECT;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Body;
use shared_claims::clock::UnixTime;
use tokio::time::Instant;

use super::Gateway;
use super::bodies::Outgoing;
use super::connection::{InFlight, Pulse};
use super::cors;
use super::credentials::{Credential, Presented};
use super::decision::{self, Asked, Decision, Facts, Step};
use super::forward::{Way, forward};
use super::grant_cache::{Cached, Entry};
use super::headers::{self, REQUEST_ID};
use super::inbound::Inbound;
use super::limits::{Standing, take_all};
use super::live::Watch;
use super::mock;
use super::onward::Hop;
use super::path;
use super::refusal::Refusal;
use super::response_cache::{Seeking, Sought};
use super::rewrite::fill;
use super::routes::{Found, Route, RouteTable};
use super::subscribers::Subscriber;
use super::trace::Trace;
use super::upstream::attempts::Lease;
use super::usage::{Account, Ledger};
use super::validate;
use super::websocket;
use crate::ahead;
use crate::domain::api::Operation;
use crate::ticker::Moment;

/// The status under which a call is counted whose answer nobody waited for; nothing ever answers with it.
const GIVEN_UP: u16 = 499;

/// A request on its way, and what has become known of it.
pub struct Call<'a> {
    gateway: &'a Arc<Gateway>,
    pulse: &'a Arc<Pulse>,
    request_id: &'a HeaderValue,
    /// Whose call it is, once that is known and the API is in service.
    pub route: Option<Arc<Route>>,
    /// What is asked for, once that can be read.
    pub asked: Option<Arc<Asked>>,
    /// The trace that it belongs to.
    pub trace: &'a Trace,
    /// What it shows of who calls, if that could be read.
    presented: Option<&'a Presented>,
    /// What is known of it for the books.
    pub account: Account,
    /// What lets a long answer be asked about again.
    pub watch: Option<Watch>,
    /// Its place at a backend.
    pub lease: Option<Lease>,
    began: Moment,
    /// When it went to the backend.
    sent: Option<Instant>,
    /// Until its answer has a head.
    in_flight: Option<InFlight>,
}

impl<'a> Call<'a> {
    /// Of which nothing is known yet.
    #[must_use]
    pub fn new(
        gateway: &'a Arc<Gateway>,
        pulse: &'a Arc<Pulse>,
        request_id: &'a HeaderValue,
        trace: &'a Trace,
        (presented, began, in_flight): (Option<&'a Presented>, Moment, InFlight),
    ) -> Self {
        let account = Account::default();
        Self {
            gateway,
            pulse,
            request_id,
            trace,
            presented,
            route: None,
            asked: None,
            account,
            watch: None,
            lease: None,
            began,
            sent: None,
            in_flight: Some(in_flight),
        }
    }

    /// The head of its answer is there; what was in flight until now goes on with the answer.
    #[must_use]
    pub fn is_answered(&mut self) -> Option<InFlight> {
        let mut in_flight = self.in_flight.take();
        in_flight.iter_mut().for_each(InFlight::is_answered);
        in_flight
    }

    /// Takes the request out of its place once it goes to the backend.
    ///
    /// # Errors
    /// Why it goes no further.
    pub async fn answer(
        &mut self,
        place: &mut Option<Request<Inbound>>,
    ) -> Result<Response<Outgoing>, Refusal> {
        let request = place.as_ref().ok_or(Refusal::Fault)?;
        let (host, begun) = self.begin(request)?;
        let step = match begun {
            Begun::Answered(answer) => return Ok(*answer),
            Begun::Asked(step) => step,
        };
        // Of which only the query is read once the request is on its way.
        let uri = request.uri().query().map(|_| request.uri().clone());
        let asked = self.asked.as_ref().ok_or(Refusal::Fault)?;
        let decided = match step {
            Ok(step) => decision::decide(self.gateway, asked, step, &mut self.route).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &decided {
            self.account.queued = self.gateway.refusals.here().turn(refusal).await;
        }
        let Decision { route, operation, key_type, entry, subscriber, prefix, at } = decided?;
        self.account.application = entry.as_deref().map(|entry| entry.principal.application_id());
        self.account.operation = Some(Arc::clone(&operation));
        if headers::is_loop(request.headers()) {
            return Err(Refusal::Loop);
        }
        let watch = Watch::new(Arc::clone(self.gateway), route.id, Arc::clone(asked));
        let websocket = websocket::is_handshake(request)?;
        // Last of all: what is refused for another reason costs nothing.
        let standing = self.throttle(&route, &operation, subscriber.as_deref(), at)?;
        if route.mock {
            let called = (&*operation, request.method());
            let mut response = mock::answer(&route, called, request.headers(), self.request_id)?;
            tell(standing.as_ref(), &mut response);
            return Ok(response);
        }
        let (prefix, rest) = asked.path.split_at_checked(prefix).ok_or(Refusal::Fault)?;
        let upload_pause = self.gateway.patience.upload;
        let mut read = None;
        if route.validates {
            let request = place.as_mut().ok_or(Refusal::Fault)?;
            let count = &mut self.account.read;
            read = validate::judge(&route, (&operation, rest), request, upload_pause, count).await?;
        }
        let request = place.as_ref().ok_or(Refusal::Fault)?;
        let hop =
            Hop { arrival: &self.pulse.arrival, host: host.as_ref(), prefix, version: request.version() };
        let (changes, request_id) = (route.shapes.of(&operation), self.request_id);
        let seeking = Seeking {
            request,
            route: &route,
            operation: &operation,
            key_type,
            entry: entry.as_deref(),
            hop: &hop,
            rest,
            has_body: read.is_some() || !request.body().is_end_stream(),
            request_id,
        };
        // To read a body takes a while.
        let now = if seeking.has_body { self.gateway.app.clock.now() } else { at.date };
        let missed = match self.gateway.answers.seek(&seeking, now) {
            Sought::Found(mut response) => {
                tell(standing.as_ref(), &mut response);
                return Ok(*response);
            }
            Sought::Missed(missed) => missed,
        };
        let assertion = self.assertion((&route, subscriber.as_deref()), entry.as_deref(), now)?;
        let rewritten = rewrite(&operation, rest)?;
        let query = changes.query(uri.as_ref().and_then(Uri::query));
        let (rest, query) = (rewritten.as_deref().unwrap_or(rest), query.as_deref());
        let way = Way {
            route: &route,
            key_type,
            rest,
            query,
            hop,
            websocket,
            read,
            upload_pause,
            request_id,
            trace: self.trace,
            changes,
            assertion,
        };
        let request = place.take().ok_or(Refusal::Fault)?;
        // While they are at hand: other requests will have taken their place in the processor's caches.
        drop((entry, subscriber));
        let sent = *self.sent.insert(Instant::now());
        let forwarded = {
            let forwarding = pin!(forward(way, request, &mut self.account.upload));
            let forwarded = ahead::meanwhile(forwarding, || {
                ahead::fetch(&route.id);
                ahead::fetch(&operation.auth);
            });
            forwarded.await
        };
        // None was asked where none could be.
        if !matches!(forwarded, Err(Refusal::NoBackend(_))) {
            self.account.backend = Some(sent.elapsed());
        }
        let (mut response, lease) = forwarded?;
        self.lease = Some(lease);
        self.watch = Some(watch);
        changes.response(response.headers_mut());
        let mut response = missed.keep(response, &self.gateway.app.clock);
        tell(standing.as_ref(), &mut response);
        Ok(response)
    }

    /// As far as the call comes by what is at hand, and the host that it names.
    fn begin(&mut self, request: &Request<Inbound>) -> Result<(Option<HeaderValue>, Begun), Refusal> {
        // Neither is ever forwarded, and an echo would show credentials to scripts (RFC 9110, section 9.3.8).
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return Err(Refusal::MethodNotAllowed(String::new()));
        }
        let presented = self.presented.ok_or(Refusal::Fault)?;
        let token = presented.token();
        token.iter().for_each(|token| self.gateway.grants.fetch_entry(token));
        // Where it goes is found before the headers are looked at, so that the route is at hand when it is read.
        let table = self.gateway.table.load();
        let path = path::canonical(request.uri().path());
        let found = path.as_deref().ok().and_then(|path| table.find(path));
        if let Some(found) = &found {
            found.route.fetch();
        }
        if headers::is_misframed_request(request.headers()) {
            return Err(Refusal::Malformed("the request's length is not said in one plain way"));
        }
        let host = headers::host(request)?;
        let target = request.uri().path_and_query();
        if target.is_some_and(|target| target.as_str().len() > path::LONGEST_TARGET) {
            return Err(path::BadPath::TooLong.into());
        }
        let path = path.as_deref().map_err(|bad| *bad)?;
        let expectation = request.headers().get(EXPECT);
        if expectation.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
            return Err(Refusal::Expectation);
        }
        if let Some(found) = &found {
            found.route.fetch_further();
        }
        let facts = token.map_or(Facts::None, |token| self.remembered(token, &table, found.as_ref()));
        if let Some(answer) = self.preflight(request, found.as_ref()) {
            return Ok((host, Begun::Answered(answer.into())));
        }
        let asked = self.asked.insert(Arc::new(Asked {
            method: request.method().clone(),
            path: path.into(),
            presented: presented.clone(),
        }));
        let step =
            decision::decide_at(self.gateway, (&table, found), (asked, facts), &mut self.route, self.began);
        Ok((host, Begun::Asked(step)))
    }

    /// What is remembered of a token. What its application may do here is asked for: it is at hand once everything that comes
    /// before it is decided.
    fn remembered(&self, token: Credential, table: &RouteTable, found: Option<&Found<'_, '_>>) -> Facts {
        let cached = self.gateway.grants.get(&token, self.began.instant);
        if let (Cached::Known(entry), Some(found)) = (&cached, found) {
            table.fetch_right(entry.principal.application_id(), found.route.id);
        }
        Facts::Remembered(token, cached)
    }

    /// Answers a browser that asks whether a page may call, before anybody is asked for credentials: it sends none.
    fn preflight(
        &mut self,
        request: &Request<Inbound>,
        found: Option<&Found<'_, '_>>,
    ) -> Option<Response<Outgoing>> {
        if !cors::is_preflight(request.method(), request.headers()) {
            return None;
        }
        let origin = cors::origin(request.headers())?;
        let found = found.filter(|found| found.route.is_in_service())?;
        let allowed = found.route.cors.as_ref()?.preflight(&found.route.operations, found.rest, origin)?;
        self.route = Some(Arc::clone(found.route));
        let mut response = Response::new(Outgoing::full(String::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = allowed;
        response.headers_mut().insert(REQUEST_ID, self.request_id.clone());
        Some(response)
    }

    fn assertion(
        &self,
        called: (&Route, Option<&Subscriber>),
        entry: Option<&Entry>,
        now: UnixTime,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Some(entry) = entry else { return Ok(None) };
        let Gateway { app, assertions, .. } = &**self.gateway;
        assertions.header(&app.backend_key, called, &entry.principal, now)
    }

    /// Takes the call from everything that limits it, the narrowest limit first.
    fn throttle(
        &self,
        route: &Route,
        operation: &Operation,
        subscriber: Option<&Subscriber>,
        at: Moment,
    ) -> Result<Option<Standing>, Refusal> {
        let subscription = subscriber.and_then(|subscriber| subscriber.at(route.id)?.limited.as_ref());
        let application = subscriber.and_then(|subscriber| subscriber.limited.as_ref());
        let (of_operation, of_api) =
            route.shared.as_ref().map_or((None, None), |shared| shared.of(operation));
        let limits = [subscription, application, of_operation, of_api, route.max_tps.as_deref()];
        take_all(limits.into_iter().flatten(), self.gateway.buckets.at(at), at.date)
            .map_err(Refusal::Throttled)
    }
}

impl Drop for Call<'_> {
    /// Whose client has left before the answer had a head is a call all the same.
    fn drop(&mut self) {
        let in_flight = self.in_flight.take();
        if in_flight.is_none() {
            return;
        }
        let Ok(status) = StatusCode::from_u16(GIVEN_UP) else { return };
        let mut account = std::mem::take(&mut self.account);
        match self.sent {
            Some(sent) => account.backend = Some(sent.elapsed()),
            // It waited for its client's body, or for its turn.
            None => account.queued = self.began.instant.elapsed(),
        }
        let usage = &self.gateway.usage;
        let counted = usage.slot_of(self.route.as_deref());
        let (begun, id) = ((self.began.instant, account), self.request_id.clone());
        let mut ledger = Ledger::open(usage.clone(), counted, status, begun, id, in_flight);
        ledger.broke_off("its client waited no longer");
    }
}

/// What comes of a call's beginning.
enum Begun {
    /// Its answer.
    Answered(Box<Response<Outgoing>>),
    /// How far the decision came on what it asks for.
    Asked(Result<Step, Refusal>),
}

/// Says how the caller stands, where there is a limit.
fn tell(standing: Option<&Standing>, response: &mut Response<Outgoing>) {
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
}

/// The path that the backend sees, where the operation names one.
fn rewrite(operation: &Operation, rest: &str) -> Result<Option<String>, Refusal> {
    let Some(template) = &operation.rewrite else { return Ok(None) };
    fill(&operation.path, template, rest).map(Some).ok_or(Refusal::Fault)
}
