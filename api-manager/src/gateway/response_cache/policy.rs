//! What RFC 9111 says of storing and reusing answers, as a shared cache.

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, COOKIE, DATE, EXPIRES, IF_MATCH, IF_UNMODIFIED_SINCE,
    PRAGMA, RANGE, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, StatusCode};
use shared_claims::clock::UnixTime;

/// Beyond this many seconds nothing is counted (RFC 9111, section 1.2.2).
const MOST_SECONDS: i64 = 1 << 31;
/// What backends may take for the method: an answer to a POST in disguise is no answer to a GET.
const OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The directives of `Cache-Control`, in lower case, with their arguments.
#[derive(Debug, Default)]
pub struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    /// Reads all lines of the header; quoted arguments may hold commas.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut all = Vec::new();
        for line in headers.get_all(CACHE_CONTROL) {
            let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
            // Broken quotes must not hide a directive.
            let well_quoted = text.matches('"').count().is_multiple_of(2) && !text.contains('\\');
            let mut quoted = false;
            let parts = text.split(|c: char| {
                quoted ^= c == '"' && well_quoted;
                c == ',' && !quoted
            });
            for part in parts {
                let (name, value) = part.split_once('=').map_or((part, None), |(n, v)| (n, Some(v)));
                let value = value.map(|value| value.trim().trim_matches('"').to_owned());
                all.push((name.trim().to_ascii_lowercase(), value));
            }
        }
        Self(all)
    }

    /// Whether it is there, with an argument or without: `private="x"` counts as `private`, which is stricter.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Its seconds: the least where it is there twice, and none where they cannot be read (section 4.2.1).
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let all = self.0.iter().filter(|(known, _)| known == name);
        all.map(|(_, value)| value.as_deref().map_or(0, seconds)).min()
    }
}

/// `delta-seconds`; what is none counts as 0.
fn seconds(text: &str) -> i64 {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(MOST_SECONDS).min(MOST_SECONDS)
}

/// A date in the one form that is sent today (RFC 9110, section 5.6.7).
#[must_use]
pub fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    UnixTime::from_http_date(headers.get(name)?.to_str().ok()?).map(|at| at.0)
}

/// Whether the request says anything that takes it past the store: then nothing is looked up, and nothing kept.
#[must_use]
pub fn passes_by(headers: &HeaderMap) -> bool {
    // A header that the client has struck out does not reach the backend, though we would have told by it.
    let strikes = headers.get_all(CONNECTION).iter().any(|line| {
        let text = line.to_str().unwrap_or("x-unreadable");
        let known =
            |name: &str| ["", "close", "keep-alive", "te"].iter().any(|k| name.eq_ignore_ascii_case(k));
        text.split(',').any(|name| !known(name.trim()))
    });
    let conditional = [RANGE, IF_MATCH, IF_UNMODIFIED_SINCE];
    // Who a cookie belongs to only the backend knows.
    strikes
        || headers.contains_key(COOKIE)
        || conditional.iter().chain(&OVERRIDES).any(|name| headers.contains_key(name))
        || Directives::of(headers).has("no-store")
}

/// Whether an answer of this age and freshness will do for the request (section 5.2.1).
#[must_use]
pub fn satisfies(request: &HeaderMap, age: i64, lifetime: i64) -> bool {
    let asked = Directives::of(request);
    let pragma = |line: &http::HeaderValue| line.as_bytes().eq_ignore_ascii_case(b"no-cache");
    let old_style = !request.contains_key(CACHE_CONTROL) && request.get_all(PRAGMA).iter().any(pragma);
    !old_style
        && !asked.has("no-cache")
        && asked.seconds("max-age").is_none_or(|most| age <= most)
        && asked.seconds("min-fresh").is_none_or(|least| lifetime - age >= least)
}

/// The seconds for which an answer is fresh from its making, where it may be kept at all (section 3).
///
/// `usual` is for answers that say nothing of it; `authorized` says whether the backend saw the client's
/// `Authorization` (section 3.5).
#[must_use]
pub fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    usual: Option<u32>,
    authorized: bool,
    now: i64,
) -> Option<i64> {
    // Those that are understood here; 206 and 304 are none of them.
    if !matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 410) {
        return None;
    }
    let said = Directives::of(headers);
    if ["no-store", "private", "no-cache"].iter().any(|name| said.has(name))
        || headers.contains_key(SET_COOKIE)
    {
        return None;
    }
    let shared = ["public", "must-revalidate", "s-maxage"];
    if authorized && !shared.iter().any(|name| said.has(name)) {
        return None;
    }
    let expires = || {
        headers.contains_key(EXPIRES).then(|| {
            let made = date(headers, DATE).unwrap_or(now);
            date(headers, EXPIRES).map_or(0, |at| at.saturating_sub(made).max(0))
        })
    };
    let lifetime = said.seconds("s-maxage").or_else(|| said.seconds("max-age")).or_else(expires);
    lifetime.or(usual.map(i64::from))
}

/// The age of an answer that came `now` to a request of `asked_at` (section 4.2.3).
#[must_use]
pub fn initial_age(headers: &HeaderMap, asked_at: i64, now: i64) -> i64 {
    let apparent = date(headers, DATE).map_or(0, |made| now.saturating_sub(made).max(0));
    // A broken age is an old one.
    let told = headers.get_all(AGE).iter().map(|line| line.to_str().map_or("x", |text| text.trim()));
    let told = told.map(|text| if text.parse::<u64>().is_ok() { seconds(text) } else { MOST_SECONDS }).max();
    apparent.max(told.unwrap_or(0).saturating_add(now.saturating_sub(asked_at).max(0)))
}

/// What an answer says of the headers that it depends on.
#[derive(Debug, PartialEq, Eq)]
pub enum Varies {
    /// On these of the client's.
    By(Vec<HeaderName>),
    /// On what we cannot know.
    Unknown,
}

/// By what the client sends besides what the key holds already. `authorized` as for [`lifetime`]; `own` is the header in
/// which we name the caller.
#[must_use]
pub fn varies(headers: &HeaderMap, authorized: bool, own: &HeaderName) -> Varies {
    let mut names = Vec::new();
    for line in headers.get_all(http::header::VARY) {
        let Ok(text) = line.to_str() else { return Varies::Unknown };
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let Ok(name) = HeaderName::try_from(name) else { return Varies::Unknown };
            match name.as_str() {
                // In the key; and requests with cookies never come here.
                "host" | "origin" | "cookie" | "x-forwarded-host" | "x-forwarded-proto"
                | "x-forwarded-port" | "x-forwarded-prefix" => {}
                // What the backend does not see it cannot tell apart; the caller is in the key.
                "authorization" if !authorized => {}
                "apikey" => {}
                _ if name == *own || name == super::super::headers::ASSERTION => {}
                // Of our making, and different for each request.
                "*" | "forwarded" | "via" | "x-real-ip" | "x-request-id" | "traceparent" | "tracestate"
                | "te" | "connection" | "expect" | "upgrade" => return Varies::Unknown,
                text if text.contains('_') || text.starts_with("x-forwarded") => return Varies::Unknown,
                _ => names.push(name),
            }
        }
    }
    Varies::By(names)
}

/// Whether the backend sees the client's credentials.
#[must_use]
pub fn is_authorized(request: &HeaderMap, forwarded: bool) -> bool {
    forwarded && request.contains_key(AUTHORIZATION)
}

#[cfg(test)]
mod tests;
