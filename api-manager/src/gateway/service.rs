//! One request, from its head to the head of its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use log::{error, info};
use tokio::time::{Instant, timeout};

use super::Gateway;
use super::admission::{Presented, Token, admit, presented};
use super::bodies::Outgoing;
use super::connection::Pulse;
use super::cors;
use super::forward::{Way, forward};
use super::grant_cache::{Cached, Entry};
use super::headers::{self, Hop, REQUEST_ID};
use super::limits::{Standing, take_all};
use super::live::Watch;
use super::operations::{Undeclared, is_open};
use super::path;
use super::refusal::Refusal;
use super::routes::Route;
use super::tunnel::{Berth, Ends, Tunnel};
use super::usage::Ledger;
use super::websocket;
use crate::domain::application::KeyType;
use crate::domain::lifecycle::State;

/// A body that is read though nobody wants it, in bytes, and how long that may take.
const SHORT_BODY: u64 = 16 * 1_024;
const SHORT_WAIT: Duration = Duration::from_millis(500);

/// Answers a request. Whatever goes wrong is an answer too, also a panic.
pub async fn serve(
    gateway: Arc<Gateway>,
    pulse: Arc<Pulse>,
    berth: Arc<Berth>,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let started = Instant::now();
    let in_flight = pulse.begin(request.version() == Version::HTTP_2);
    let request_id = headers::request_id(request.headers());
    let (method, version) = (request.method().clone(), request.version());
    let origin = cors::origin(request.headers()).cloned();
    let mut call =
        Call { gateway: &gateway, pulse: &pulse, request_id: &request_id, route: None, watch: None };
    let mut request = Some(request);

    let answered = AssertUnwindSafe(call.answer(&mut request)).catch_unwind().await;
    let answered = answered.unwrap_or_else(|_| {
        error!(request_id = text(&request_id); "a request panicked");
        Err(Refusal::Fault)
    });
    let (route, watch) = (call.route.take(), call.watch.take());
    let mut response = answered.unwrap_or_else(|refusal| {
        info!(
            reason = refusal.reason(), status = refusal.status().as_u16(), request_id = text(&request_id),
            method = method.as_str(), peer = pulse.peer.to_string().as_str();
            "refused"
        );
        refused(&refusal, &request_id)
    });
    if let Some(request) = request
        && version < Version::HTTP_2
        && !is_soon_over(request).await
    {
        // The connection cannot be used for another request, and the client is told.
        pulse.leaves_unread();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(policy) = route.as_ref().and_then(|route| route.cors.as_ref()) {
        policy.tell(origin.as_ref(), response.headers_mut());
    }
    let tally = route.map_or_else(|| gateway.nowhere.clone(), |route| route.tally.clone());
    let ledger =
        Ledger::open(gateway.usage.clone(), tally, response.status(), started, request_id, in_flight);
    if let Some(ends) = response.extensions_mut().remove::<Ends>() {
        berth.leave(Tunnel::new(ends, pulse, ledger, watch));
        return response;
    }
    response.map(|body| body.with_ledger(ledger).with_watch(watch))
}

/// Reads a short body that nobody wanted, so that the connection can go on. Where the client waits to be asked for it,
/// it is not.
async fn is_soon_over(request: Request<Incoming>) -> bool {
    let is_short = request.body().size_hint().upper().is_some_and(|length| length <= SHORT_BODY);
    if request.body().is_end_stream() || !is_short || request.headers().contains_key(EXPECT) {
        return request.body().is_end_stream();
    }
    let mut body = request.into_body();
    let read = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    timeout(SHORT_WAIT, read).await.unwrap_or(false)
}

fn refused(refusal: &Refusal, request_id: &HeaderValue) -> Response<Outgoing> {
    let mut response = refusal.response();
    response.headers_mut().insert(REQUEST_ID, request_id.clone());
    response
}

/// What is decided of a request that may pass.
struct Decision {
    route: Arc<Route>,
    key_type: KeyType,
    /// What the token stands for, where the operation asks for one.
    entry: Option<Arc<Entry>>,
    /// The length of the part of the path that led to the API.
    prefix: usize,
}

struct Call<'a> {
    gateway: &'a Arc<Gateway>,
    pulse: &'a Arc<Pulse>,
    request_id: &'a HeaderValue,
    /// Whose call it is, once that is known and the API is in service.
    route: Option<Arc<Route>>,
    /// What lets a long answer be asked about again.
    watch: Option<Watch>,
}

impl Call<'_> {
    /// Takes the request out of its place once it goes to the backend.
    async fn answer(&mut self, place: &mut Option<Request<Incoming>>) -> Result<Response<Outgoing>, Refusal> {
        let request = place.as_ref().ok_or(Refusal::Fault)?;
        // Neither is ever forwarded, and an echo would show credentials to scripts (RFC 9110, section 9.3.8).
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return Err(Refusal::MethodNotAllowed(String::new()));
        }
        let host = headers::host(request)?;
        let uri = request.uri().clone();
        if uri.path_and_query().is_some_and(|target| target.as_str().len() > path::LONGEST_TARGET) {
            return Err(path::BadPath::TooLong.into());
        }
        let path = path::canonical(uri.path())?;
        let expectation = request.headers().get(EXPECT);
        if expectation.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
            return Err(Refusal::Expectation);
        }

        if let Some(answer) = self.preflight(request, &path) {
            return Ok(answer);
        }
        let Decision { route, key_type, entry, prefix } = self.decide(request, &path).await?;
        if headers::is_loop(request.headers()) {
            return Err(Refusal::Loop);
        }
        let (gateway, method) = (Arc::clone(self.gateway), request.method().clone());
        let watch = Watch::new(gateway, route.id, method, &path, presented(request.headers()));
        let websocket = websocket::is_handshake(request)?;
        // Last of all: what is refused for another reason costs nothing.
        let standing = self.throttle(&route, entry.as_deref())?;
        let (prefix, rest) = path.split_at_checked(prefix).ok_or(Refusal::Fault)?;
        let hop = Hop {
            peer: self.pulse.peer,
            scheme: self.pulse.scheme,
            port: self.pulse.port,
            host: host.as_ref(),
            prefix,
            version: request.version(),
        };
        let assertion = self.assertion(&route, entry.as_deref())?;
        let (query, request_id) = (uri.query(), self.request_id);
        let way = Way { route: &route, key_type, rest, query, hop, websocket, request_id, assertion };
        let mut response = forward(way, place.take().ok_or(Refusal::Fault)?).await?;
        self.watch = Some(watch);
        if let Some(standing) = standing {
            standing.tell(response.headers_mut());
        }
        Ok(response)
    }

    /// Answers a browser that asks whether a page may call, before anybody is asked for credentials: it sends none.
    fn preflight(&mut self, request: &Request<Incoming>, path: &str) -> Option<Response<Outgoing>> {
        if !cors::is_preflight(request.method(), request.headers()) {
            return None;
        }
        let origin = cors::origin(request.headers())?;
        let table = self.gateway.table.load();
        let found = table.find(path).filter(|found| is_in_service(found.route.state))?;
        let allowed = found.route.cors.as_ref()?.preflight(&found.route.operations, found.rest, origin)?;
        self.route = Some(Arc::clone(found.route));
        let mut response = Response::new(Outgoing::full(String::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = allowed;
        response.headers_mut().insert(REQUEST_ID, self.request_id.clone());
        Some(response)
    }

    fn assertion(&self, route: &Route, entry: Option<&Entry>) -> Result<Option<HeaderValue>, Refusal> {
        let Some(entry) = entry else { return Ok(None) };
        let Gateway { app, assertions, .. } = &**self.gateway;
        assertions.header(&app.backend_key, route, &entry.grant, app.clock.now())
    }

    /// Takes the call from everything that limits it, the narrowest limit first.
    fn throttle(&self, route: &Route, entry: Option<&Entry>) -> Result<Option<Standing>, Refusal> {
        let subscriber = entry.and_then(|entry| route.subscribers.get(&entry.grant.application_id));
        let (subscription, application) =
            subscriber.map_or((None, None), |one| (one.subscription.as_ref(), one.application.as_ref()));
        let limits = [subscription, application, route.max_tps.as_ref()];
        let (now, wall) = (self.gateway.buckets.now(), self.gateway.app.clock.now());
        take_all(limits.into_iter().flatten(), now, wall).map_err(Refusal::Throttled)
    }

    /// Decides by one table and one set of facts. Where the facts have to be fetched first, the decision begins anew
    /// after that: the table may have changed meanwhile.
    async fn decide(&mut self, request: &Request<Incoming>, path: &str) -> Result<Decision, Refusal> {
        let presented = presented(request.headers());
        let mut fetched: Option<Option<Arc<Entry>>> = None;
        loop {
            let missing = match self.try_decide(request.method(), path, presented, &mut fetched)? {
                Step::Decided(decision) => return Ok(decision),
                Step::Missing(digest) => digest,
            };
            let found = self.gateway.grants.look_up(&self.gateway.app.database, missing).await;
            fetched = Some(found.map_err(|_| Refusal::CannotLookUp)?);
        }
    }

    fn try_decide(
        &mut self,
        method: &Method,
        path: &str,
        presented: Presented,
        fetched: &mut Option<Option<Arc<Entry>>>,
    ) -> Result<Step, Refusal> {
        let table = self.gateway.table.load();
        let found = table.find(path).ok_or(Refusal::NotFound)?;
        let route = found.route;
        if !is_in_service(route.state) {
            return Err(Refusal::NotFound);
        }
        self.route = Some(Arc::clone(route));
        if route.state == State::Blocked {
            return Err(Refusal::ApiBlocked);
        }
        let operation = route.operations.find(method, found.rest).map_err(|undeclared| match undeclared {
            Undeclared::Path => Refusal::NotFound,
            Undeclared::Method(allow) => Refusal::MethodNotAllowed(Vec::from_iter(allow).join(", ")),
        })?;

        let mut entry = None;
        let token = match presented {
            _ if is_open(operation) => Token::Missing,
            Presented::Nothing => Token::Missing,
            Presented::Junk => Token::Malformed,
            Presented::Token(digest) => {
                entry = match fetched.take() {
                    Some(fetched) => fetched,
                    None => match self.gateway.grants.get(&digest) {
                        Cached::Known(entry) => Some(entry),
                        Cached::Unknown => None,
                        Cached::Miss => return Ok(Step::Missing(digest)),
                    },
                };
                entry.as_ref().map_or(Token::Unknown, |entry| Token::Known(&entry.grant))
            }
        };
        let key_type = admit(&table, route, operation, token, self.gateway.app.clock.now())?;
        let route = Arc::clone(route);
        Ok(Step::Decided(Decision { route, key_type, entry, prefix: found.prefix.len() }))
    }
}

/// Whether the API is there for its callers, if only to say that it is blocked.
fn is_in_service(state: State) -> bool {
    match state {
        State::Created | State::Retired => false,
        State::Blocked | State::Published | State::Deprecated => true,
    }
}

enum Step {
    Decided(Decision),
    /// The grant of this token has to be looked up first.
    Missing(shared_claims::secret::Digest),
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
