//! The head of a request as it goes on to a backend: what is left of the client's, and what we say ourselves (RFC 9110,
//! sections 7.6 and 10; RFC 7239).
//!
//! Mostly it is written line by line from what the client sent. Where somebody wants to change it, or hyper is to send it,
//! the client's map of headers is made that of the backend's request first. Both go by the same two rules.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use http::Version;
use http::header::{CONNECTION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::request::Parts;
use http::uri::PathAndQuery;

use super::forward::Way;
use super::headers::{REQUEST_ID, is_hop_by_hop, is_misleading, remove_named, strip, via};
use super::http1::Writer;
use super::spare::Buffer;
use super::trace;
use super::trailers;
use super::upstream::address::Address;
use super::websocket;
use crate::domain::api::transport::Protocol;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Headers that we add for a backend, at most.
const OURS: usize = 14;

/// How the requests of one connection come to us, in the words in which backends hear of it: made once a connection.
pub struct Arrival {
    /// The address of the other end.
    pub peer: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Our port.
    pub port: u16,
    address: HeaderValue,
    said_port: HeaderValue,
    /// The beginning of `Forwarded`.
    node: Box<str>,
    /// `Forwarded` for the host that was asked for last: hardly a connection asks for several.
    forwarded: Mutex<Option<(HeaderValue, HeaderValue)>>,
}

impl Arrival {
    /// From `peer`, at our `port`.
    #[must_use]
    pub fn new(peer: IpAddr, scheme: &'static str, port: u16) -> Self {
        let canonical = peer.to_canonical();
        let address = canonical.to_string();
        let node = if canonical.is_ipv6() { format!("\"[{address}]\"") } else { address.clone() };
        Self {
            peer,
            scheme,
            // Digits, dots and colons are fit for any header.
            address: HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("unknown")),
            port,
            said_port: HeaderValue::from(port),
            node: format!("for={node};proto={scheme}").into(),
            forwarded: Mutex::default(),
        }
    }

    /// `Forwarded` (RFC 7239) for a request to `host`.
    fn forwarded(&self, host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let Some(host) = host else { return HeaderValue::from_str(&self.node).ok() };
        let mut last = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, forwarded)) = last.as_ref().filter(|(of, _)| of == host) {
            return Some(forwarded.clone());
        }
        // The quotes are needed for the colon before a port; no host that we take has any of its own.
        let text = format!("{};host=\"{}\"", self.node, host.to_str().unwrap_or_default());
        let forwarded = HeaderValue::try_from(text).ok()?;
        // A copy, for the client's is a piece of all that came with it.
        *last = Some((HeaderValue::from_bytes(host.as_bytes()).ok()?, forwarded.clone()));
        Some(forwarded)
    }
}

/// How a request came to us, for the headers that tell the backend.
pub struct Hop<'a> {
    /// The connection.
    pub arrival: &'a Arrival,
    /// The host that the client asked for.
    pub host: Option<&'a HeaderValue>,
    /// The part of the path that the backend does not see.
    pub prefix: &'a str,
    /// The version in which the request came.
    pub version: Version,
}

/// The first rule: whether a client's header goes on. What we say ourselves is not taken from the client.
fn goes_on(name: &str, forward_authorization: bool) -> bool {
    match name {
        "host" | "x-request-id" => false,
        "authorization" => forward_authorization,
        // We have met the expectation ourselves: hyper says 100 when the body is first asked for.
        "expect" => false,
        name => !is_hop_by_hop(name) && !is_misleading(name),
    }
}

/// The second rule: what we say of a request to `host`, line by line.
fn say(
    hop: &Hop<'_>,
    host: &HeaderValue,
    request_id: &HeaderValue,
    mut line: impl FnMut(&HeaderName, &[u8]),
) {
    let arrival = hop.arrival;
    line(&HOST, host.as_bytes());
    line(&REQUEST_ID, request_id.as_bytes());
    line(&FORWARDED_FOR, arrival.address.as_bytes());
    line(&REAL_IP, arrival.address.as_bytes());
    line(&FORWARDED_PROTO, arrival.scheme.as_bytes());
    line(&FORWARDED_PORT, arrival.said_port.as_bytes());
    line(&FORWARDED_PREFIX, hop.prefix.as_bytes());
    if let Some(host) = hop.host {
        line(&FORWARDED_HOST, host.as_bytes());
    }
    if let Some(forwarded) = arrival.forwarded(hop.host) {
        line(&FORWARDED, forwarded.as_bytes());
    }
    line(&VIA, via(hop.version).as_bytes());
}

/// Whether the head can be written straight from the client's.
pub fn is_straight(way: &Way<'_>, headers: &HeaderMap) -> bool {
    let is_of_the_connection = |line: &HeaderValue| {
        let mut options = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        options
            .all(|option| option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close"))
    };
    way.protocol() == Protocol::Http1
        && !way.websocket
        && way.changes.leave_requests()
        && headers.get_all(CONNECTION).iter().all(is_of_the_connection)
        && headers.get_all(COOKIE).iter().nth(1).is_none()
}

/// Writes the head for a backend, where it [`is_straight`], with the length of the body where there is one; `None` where the
/// target cannot be written.
pub fn write(way: &Way<'_>, head: &Parts, address: &Address, length: Option<u64>) -> Option<Buffer> {
    let route = way.route;
    let mut writer = Writer::begin(&head.method, &address.target(way.rest, way.query))?;
    let asserts = route.assertion_header();
    for (name, value) in &head.headers {
        let is_others = name == asserts || trace::is_part(name) || websocket::is_part(name.as_str());
        if goes_on(name.as_str(), route.forward_authorization) && !is_others {
            writer.line(name, value.as_bytes());
        }
    }
    say(&way.hop, &address.host, way.request_id, |name, value| writer.line(name, value));
    way.trace.say(|name, value| writer.line(name, value));
    if let Some(assertion) = &way.assertion {
        writer.line(asserts, assertion.as_bytes());
    }
    Some(writer.end(length))
}

/// Writes a head that was changed.
pub fn write_changed(head: &Parts, length: Option<u64>) -> Option<Buffer> {
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut writer = Writer::begin(&head.method, &[target])?;
    head.headers.iter().for_each(|(name, value)| writer.line(name, value.as_bytes()));
    Some(writer.end(length))
}

/// Makes the client's head that of our request to any backend, but for the target.
pub fn change(way: &Way<'_>, head: &mut Parts, address: &Address) {
    let route = way.route;
    let takes_trailers = trailers::are_taken(&head.headers);
    head.extensions.clear();
    change_headers(&mut head.headers, &way.hop, &address.host, way.request_id, route.forward_authorization);
    way.changes.request(&mut head.headers);
    // After the hop-by-hop headers are gone: `Connection: traceparent` must not cut a trace.
    way.trace.pass_on(&mut head.headers);
    head.headers.remove(route.assertion_header());
    if let Some(assertion) = &way.assertion {
        head.headers.insert(route.assertion_header(), assertion.clone());
    }
    if way.websocket {
        websocket::upgrade(&mut head.headers);
    } else {
        websocket::no_upgrade(&mut head.headers);
    }
    match way.protocol() {
        Protocol::Http1 => head.version = Version::HTTP_11,
        Protocol::Http2 => {
            head.version = Version::HTTP_2;
            trailers::for_http2(&mut head.headers, takes_trailers);
        }
    }
}

/// Makes the client's headers those of a request to the backend whose `Host` is given.
fn change_headers(
    headers: &mut HeaderMap,
    hop: &Hop<'_>,
    backend_host: &HeaderValue,
    request_id: &HeaderValue,
    forward_authorization: bool,
) {
    remove_named(headers);
    strip(headers, |name| !goes_on(name, forward_authorization));
    // At once, for it would otherwise grow, and be put in order anew, several times.
    headers.reserve(OURS);
    join_cookies(headers);
    say(hop, backend_host, request_id, |name, value| {
        // Nothing of ours is unfit for a header.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    });
}

/// HTTP/2 may send cookies in pieces, which HTTP/1.1 must not (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests;
