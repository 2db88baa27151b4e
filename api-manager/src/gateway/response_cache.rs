//! Answers that are kept for those who may have them (RFC 9111, as a shared cache), where an operation asks for it.
//!
//! Nothing is shared between callers: the key holds whose token it was. Admission and limits come before a kept answer is
//! looked for, and what belongs to one exchange only is never kept.

pub mod copying;
pub mod policy;
pub mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Body;
use shared_claims::clock::{Clock, UnixTime};
use shared_claims::secret::Digest;

use super::bodies::Outgoing;
use super::grant_cache::Entry;
use super::headers::REQUEST_ID;
use super::inbound::Inbound;
use super::onward::Hop;
use super::operations::is_open;
use super::routes::Route;
use crate::domain::api::Operation;
use crate::domain::api::caching::Caching;
use crate::domain::application::KeyType;
use crate::domain::ids::ApiId;
use copying::Copying;
use policy::Varies;
use store::{MOST_BYTES, Store, Stored};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The largest head of an answer that is kept, in bytes.
const LARGEST_HEAD: usize = 16 * 1_024;

/// The kept answers of all APIs.
pub struct ResponseCache(Arc<Store>);

/// An admitted request, as far as answers are told apart by it.
pub struct Seeking<'a> {
    /// As the client sent it.
    pub request: &'a Request<Inbound>,
    /// The API.
    pub route: &'a Route,
    /// What of it is called.
    pub operation: &'a Operation,
    /// Which of its backends are meant.
    pub key_type: KeyType,
    /// What the token stands for, where the operation asks for one.
    pub entry: Option<&'a Entry>,
    /// How the request came.
    pub hop: &'a Hop<'a>,
    /// The path below the API, in canonical form.
    pub rest: &'a str,
    /// Whether it has a body, or had one that was read already.
    pub has_body: bool,
    /// Its id.
    pub request_id: &'a HeaderValue,
}

/// What there is for a request.
pub enum Sought {
    /// An answer.
    Found(Box<Response<Outgoing>>),
    /// None; this says what is to be done with the backend's.
    Missed(Missed),
}

/// What becomes of the answer that a backend gives now.
pub struct Missed {
    store: Arc<Store>,
    plan: Plan,
    /// Why it was asked (RFC 9211, section 2.2); `None` where nothing is kept of the operation at all.
    said: Option<&'static str>,
}

enum Plan {
    Nothing,
    /// The request may have changed what it is about.
    Forget(Digest),
    Keep(Box<Wanted>),
}

/// What an answer will be kept under.
struct Wanted {
    key: Digest,
    target: Digest,
    /// How often the target had been forgotten when the backend was asked.
    times: u64,
    api: ApiId,
    revision: i64,
    caching: Caching,
    request: HeaderMap,
    authorized: bool,
    own: HeaderName,
    asked_at: i64,
}

impl Default for ResponseCache {
    fn default() -> Self {
        Self(Arc::new(Store::new(MOST_BYTES)))
    }
}

impl ResponseCache {
    /// Looks for an answer.
    #[must_use]
    pub fn seek(&self, seeking: &Seeking<'_>, now: UnixTime) -> Sought {
        let Seeking { request, route, operation, entry, .. } = seeking;
        let missed = |plan, said| Sought::Missed(Missed { store: Arc::clone(&self.0), plan, said });
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            let is_safe = matches!(*request.method(), Method::OPTIONS | Method::TRACE);
            let plan =
                if is_safe || !route.keeps_answers { Plan::Nothing } else { Plan::Forget(target(seeking)) };
            return missed(plan, None);
        }
        let Some(caching) = operation.cache else { return missed(Plan::Nothing, None) };
        let headers = request.headers();
        // Without a caller in the key, an answer to one would be everybody's.
        let is_nobodys = entry.is_none() && !is_open(operation);
        if is_nobodys || seeking.has_body || policy::passes_by(headers) {
            return missed(Plan::Nothing, Some("bypass"));
        }

        let (key, target) = (key(seeking), target(seeking));
        let mut said = "uri-miss";
        for stored in self.0.find(&key).iter().flat_map(|shelf| shelf.iter()) {
            if stored.selected != selected(&stored.vary, headers) {
                said = "vary-miss";
                continue;
            }
            let age = stored.age(now.0);
            if age < stored.lifetime
                && policy::satisfies(headers, age, stored.lifetime)
                && let Some(body) = stored.body.load_full()
            {
                stored.used.store(true, Ordering::Relaxed);
                let found = answer(stored, &body, age, request, seeking.request_id);
                return Sought::Found(Box::new(found));
            }
            said = if age < stored.lifetime { "request" } else { "stale" };
            break;
        }
        if is_head {
            return missed(Plan::Nothing, Some(said));
        }
        let wanted = Wanted {
            key,
            target,
            times: self.0.times_forgotten(&target),
            api: route.id,
            revision: route.revision,
            caching,
            request: headers.clone(),
            authorized: policy::is_authorized(headers, route.forward_authorization),
            own: route.assertion_header().clone(),
            asked_at: now.0,
        };
        missed(Plan::Keep(Box::new(wanted)), Some(said))
    }

    /// Forgets the answers of APIs that are not what they were.
    pub fn keep_only(&self, is_current: impl Fn(ApiId, i64) -> bool) {
        self.0.keep_only(is_current);
    }
}

/// Everything that tells requests apart, besides what `Vary` names. What we write for the backend from the request line
/// and the connection is in it: nobody can have an answer kept that was made for another host.
fn key(seeking: &Seeking<'_>) -> Digest {
    let Seeking { request, route, operation, key_type, entry, hop, .. } = seeking;
    let mut bytes = Vec::with_capacity(512);
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&part.len().to_be_bytes());
        bytes.extend_from_slice(part);
    };
    put(route.id.to_string().as_bytes());
    put(&route.revision.to_be_bytes());
    put(operation.method.as_bytes());
    put(operation.path.as_bytes());
    put(match key_type {
        KeyType::Production => b"production",
        KeyType::Sandbox => b"sandbox",
    });
    put(hop.arrival.scheme.as_bytes());
    put(&hop.arrival.port.to_be_bytes());
    put(hop.host.map_or(b"", HeaderValue::as_bytes));
    put(hop.prefix.as_bytes());
    put(seeking.rest.as_bytes());
    match request.uri().query() {
        Some(query) => put(&[b"?", query.as_bytes()].concat()),
        None => put(b""),
    }
    for origin in request.headers().get_all(ORIGIN) {
        put(origin.as_bytes());
    }
    if let Some(entry) = entry.filter(|_| !is_open(operation)) {
        let principal = &entry.principal;
        put(principal.scheme().as_str().as_bytes());
        put(principal.application_id().to_string().as_bytes());
        put(principal.subject().as_bytes());
        put(principal.origin().map_or(b"", |origin| origin.issuer.as_bytes()));
    }
    Digest::of(&bytes)
}

/// What a request is about: the API and its own path and query.
fn target(seeking: &Seeking<'_>) -> Digest {
    let query = seeking.request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    Digest::of(format!("{} {}{query}", seeking.route.id, seeking.rest).as_bytes())
}

/// What the request says under the names, as one digest: no value is kept, for some are secret.
fn selected(names: &[HeaderName], request: &HeaderMap) -> Digest {
    let mut bytes = Vec::new();
    for name in names {
        for value in request.get_all(name) {
            bytes.extend_from_slice(&value.len().to_be_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        bytes.extend_from_slice(b"\0\0\0\0\0\0\0\0;");
    }
    Digest::of(&bytes)
}

fn answer(
    stored: &Stored,
    body: &Bytes,
    age: i64,
    request: &Request<Inbound>,
    request_id: &HeaderValue,
) -> Response<Outgoing> {
    let is_unchanged = stored.status == StatusCode::OK && is_known(stored, request.headers());
    let is_bare = is_unchanged || request.method() == Method::HEAD;
    let body = if is_bare { Bytes::new() } else { body.clone() };
    let mut response = Response::new(Outgoing::full(body));
    *response.status_mut() = stored.status;
    let headers = response.headers_mut();
    headers.clone_from(&stored.headers);
    if is_unchanged {
        for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            headers.remove(name);
        }
    }
    headers.insert(REQUEST_ID, request_id.clone());
    headers.insert(AGE, HeaderValue::from(age));
    say(headers, &format!("countersign; hit; ttl={}", stored.lifetime - age));
    if is_unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

/// Whether the client has it already (RFC 9110, section 13.2.2): its tag first, and its date only without one.
fn is_known(stored: &Stored, request: &HeaderMap) -> bool {
    let tags = request.get_all(IF_NONE_MATCH);
    if request.contains_key(IF_NONE_MATCH) {
        let Some(own) = stored.headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else {
            return tags.iter().any(|line| line == "*");
        };
        let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        return tags
            .iter()
            .filter_map(|line| line.to_str().ok())
            .any(|line| line.trim() == "*" || line.split(',').any(|tag| bare(tag) == bare(own)));
    }
    let since = policy::date(request, IF_MODIFIED_SINCE);
    let modified = policy::date(&stored.headers, LAST_MODIFIED);
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

fn say(headers: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.append(CACHE_STATUS, value);
    }
}

impl Missed {
    /// Does with the backend's answer what is to be done.
    #[must_use]
    pub fn keep(self, mut response: Response<Outgoing>, clock: &Clock) -> Response<Outgoing> {
        let Self { store, plan, said } = self;
        let copying = match plan {
            Plan::Nothing => None,
            Plan::Forget(target) => {
                if response.status().is_success() || response.status().is_redirection() {
                    store.forget(&target);
                }
                None
            }
            Plan::Keep(wanted) => wanted.copy(store, &response, clock.now()),
        };
        if let Some(said) = said {
            let stored = if copying.is_some() { "; stored" } else { "" };
            say(response.headers_mut(), &format!("countersign; fwd={said}{stored}"));
        }
        match copying {
            Some(copying) => response.map(|body| body.with_copy(copying)),
            None => response,
        }
    }
}

impl Wanted {
    /// What copies the answer on its way, where it may be kept.
    fn copy(self, store: Arc<Store>, response: &Response<Outgoing>, now: UnixTime) -> Option<Copying> {
        let (headers, body) = (response.headers(), response.body());
        let usual = self.caching.ttl_seconds;
        let lifetime = policy::lifetime(response.status(), headers, usual, self.authorized, now.0)?;
        let initial_age = policy::initial_age(headers, self.asked_at, now.0);
        let Varies::By(vary) = policy::varies(headers, self.authorized, &self.own) else { return None };
        let most = usize::try_from(self.caching.max_body).ok()?;
        let fits = body.size_hint().lower() <= u64::from(self.caching.max_body);
        let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if lifetime <= initial_age || !fits || !body.shows_its_end() || head > LARGEST_HEAD {
            return None;
        }
        let mut headers = headers.clone();
        headers.remove(REQUEST_ID);
        headers.remove(AGE);
        let stored = Stored {
            key: self.key,
            target: self.target,
            api: self.api,
            revision: self.revision,
            selected: selected(&vary, &self.request),
            vary,
            status: response.status(),
            headers,
            body: None.into(),
            size: 0,
            stored_at: now.0,
            initial_age,
            lifetime,
            used: false.into(),
        };
        Some(Copying::new(store, stored, self.times, most))
    }
}
