//! What pages of other origins may do (the Fetch standard, section 3.2): preflights, and the headers on answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use super::operations::Operations;
use crate::domain::api::{Cors, Operation};

/// What `*` stands for among an API's methods.
const ANY: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
/// Where an API names no headers: what a call of a guarded API needs.
const USUAL_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type");
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// What scripts may read of what we say ourselves.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, WWW-Authenticate",
);

/// An API's rules for other origins, ready to be asked.
pub struct Policy {
    any_origin: bool,
    origins: Vec<HeaderValue>,
    credentials: bool,
    headers: HeaderValue,
    /// Every method that some operation of the API has.
    methods: Vec<Method>,
}

impl Policy {
    /// The rules of an API with these operations.
    #[must_use]
    pub fn compile(cors: &Cors, operations: &[Operation]) -> Self {
        let wildcard = cors.allow_origins.iter().any(|origin| origin == "*");
        let named = cors.allow_origins.iter().filter(|origin| *origin != "*");
        let mut methods = Vec::new();
        for operation in operations {
            match Method::from_bytes(operation.method.as_bytes()) {
                _ if operation.method == "*" => methods.extend(ANY),
                Ok(method) => methods.push(method),
                Err(_) => {}
            }
        }
        let mut seen = std::collections::HashSet::new();
        methods.retain(|method| seen.insert(method.clone()));
        Self {
            // Every origin with credentials would open the API to every page that a signed-in person visits.
            any_origin: wildcard && !cors.allow_credentials,
            origins: named.filter_map(|origin| HeaderValue::from_str(origin).ok()).collect(),
            credentials: cors.allow_credentials,
            headers: allowed_headers(&cors.allow_headers),
            methods,
        }
    }

    /// The headers of the answer to a preflight for the path `rest`, besides those of every answer; `None` where
    /// nothing is declared there.
    #[must_use]
    pub fn preflight(&self, operations: &Operations, rest: &str, origin: &HeaderValue) -> Option<HeaderMap> {
        let here = self.methods.iter().filter(|method| operations.find(method, rest).is_ok());
        let methods = here.map(Method::as_str).collect::<Vec<_>>().join(", ");
        if methods.is_empty() {
            return None;
        }
        let mut headers = HeaderMap::new();
        if self.allowed(origin).is_some() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::try_from(methods).ok()?);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        Some(headers)
    }

    /// Says on an answer what its origin may do with it. What the backend says of that does not count: the API's rules do,
    /// and browsers refuse an answer with two.
    pub fn tell(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        if !self.any_origin {
            // Also where there is no origin: a cache must not give this answer to one that has.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(allowed) = origin.and_then(|origin| self.allowed(origin)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            if self.credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        let named = self.origins.iter().find(|allowed| *allowed == origin).cloned();
        named.or_else(|| self.any_origin.then(|| HeaderValue::from_static("*")))
    }
}

/// Without credentials `*` covers every header but `Authorization`, which has to be named.
fn allowed_headers(names: &[String]) -> HeaderValue {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.contains(&"*") && !names.iter().any(|name| name.eq_ignore_ascii_case("authorization")) {
        names.push("Authorization");
    }
    match HeaderValue::try_from(names.join(", ")) {
        Ok(listed) if !listed.is_empty() => listed,
        _ => USUAL_HEADERS,
    }
}

/// The one origin that a request names.
#[must_use]
pub fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut named = headers.get_all(ORIGIN).iter();
    named.next().filter(|_| named.next().is_none())
}

/// Whether a browser asks before it sends the request itself.
#[must_use]
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
