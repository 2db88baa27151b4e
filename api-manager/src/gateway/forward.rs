//! The way to the backend and back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;
use log::warn;

use super::answer::{FirstByte, Theirs, ask};
use super::bodies::Outgoing;
use super::headers::{self, Hop};
use super::refusal::Refusal;
use super::routes::Route;
use super::trace::Trace;
use super::trailers;
use super::transforms::Changes;
use super::tunnel::Ends;
use super::uploads::{Progress, Upload, UploadFault};
use super::upstream::address::Address;
use super::upstream::attempts::{Attempts, Failure, Lease};
use super::websocket;
use crate::domain::api::transport::Protocol;
use crate::domain::application::KeyType;

/// An admitted request's way.
pub struct Way<'a> {
    /// The API.
    pub route: &'a Route,
    /// Which of its backends.
    pub key_type: KeyType,
    /// The path below the API.
    pub rest: &'a str,
    /// The query as it came.
    pub query: Option<&'a str>,
    /// How the request came.
    pub hop: Hop<'a>,
    /// Whether it is the handshake of a WebSocket.
    pub websocket: bool,
    /// The body, where it was read already.
    pub read: Option<Bytes>,
    /// How long the client may pause within its body.
    pub upload_pause: Duration,
    /// Its id.
    pub request_id: &'a HeaderValue,
    /// Whose trace it belongs to.
    pub trace: &'a Trace,
    /// What is changed of its headers.
    pub changes: Changes<'a>,
    /// Who calls, where the backend wants to hear it.
    pub assertion: Option<HeaderValue>,
}

impl Way<'_> {
    /// WebSockets begin in HTTP/1.1.
    fn protocol(&self) -> Protocol {
        if self.websocket { Protocol::Http1 } else { self.route.protocol }
    }
}

/// Sends the request to one of the API's backends, and to another where that is safe; returns the answer once its head is
/// there.
///
/// # Errors
/// No answer came, or the client did not send its request to the end.
pub async fn forward(
    way: Way<'_>,
    mut request: Request<Incoming>,
) -> Result<(Response<Outgoing>, Lease), Refusal> {
    let Way { route, key_type, websocket, request_id, .. } = way;
    let upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    let mut body = Some(body).filter(|body| !body.is_end_stream());
    let mut attempts =
        Attempts::new(route.upstream(key_type), &head.method, body.is_some() || way.read.is_some());
    let mut attempt = attempts.first().map_err(Refusal::NoBackend)?;
    prepare(&mut head, &way, attempt.address);

    loop {
        head.uri = attempt.address.uri(way.rest, way.query).ok_or(Refusal::Fault)?;
        if let Some(host) = head.headers.get_mut(HOST) {
            *host = attempt.address.host.clone();
        }
        let (upload, progress) = match &way.read {
            Some(read) => (Upload::Ready(Full::new(read.clone())), None),
            None => body.take().map_or((Upload::Empty, None), |body| Upload::new(body, way.upload_pause)),
        };
        let (failure, refusal) = match exchange(&way, &head, upload, progress.as_ref()).await {
            Ok(response) => {
                attempts.answered(&attempt, response.status());
                let response = match upgrade.filter(|_| response.status().is_informational()) {
                    Some(client) => join(response, client, route, request_id),
                    None => relay(response, route, request_id, progress),
                };
                return Ok((response, attempt.lease));
            }
            Err(Fault::Client(refusal)) => return Err(refusal),
            Err(Fault::Backend(failure, refusal)) => (failure, refusal),
        };
        attempts.failed(&attempt, failure);
        drop(attempt);
        let had_body = progress.is_some();
        body = progress.and_then(|progress| progress.take_unread());
        let Some(next) = attempts.next(failure, !had_body || body.is_some()) else { return Err(refusal) };
        attempt = next;
    }
}

/// Makes the client's head that of our request to any backend.
fn prepare(head: &mut Parts, way: &Way<'_>, address: &Address) {
    let Way { route, hop, websocket, request_id, assertion, .. } = way;
    let takes_trailers = trailers::are_taken(&head.headers);
    head.extensions.clear();
    headers::to_backend(&mut head.headers, hop, &address.host, request_id, route.forward_authorization);
    way.changes.request(&mut head.headers);
    // After the hop-by-hop headers are gone: `Connection: traceparent` must not cut a trace.
    way.trace.pass_on(&mut head.headers);
    head.headers.remove(&route.assertion_header);
    if let Some(assertion) = assertion {
        head.headers.insert(&route.assertion_header, assertion.clone());
    }
    if *websocket {
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

/// Why there is no answer of one backend.
enum Fault {
    /// It is the client's.
    Client(Refusal),
    /// It is the backend's.
    Backend(Failure, Refusal),
}

/// Sends the request to one backend and waits for the head of the answer.
async fn exchange(
    way: &Way<'_>,
    head: &Parts,
    upload: Upload,
    progress: Option<&Arc<Progress>>,
) -> Result<Response<Theirs>, Fault> {
    let Way { route, request_id, websocket, .. } = way;
    let client = if *websocket { &route.websockets } else { &route.client };
    let limit = Duration::from_millis(route.timeouts.first_byte.max(1).into());
    let answered = ask(client, head, upload, *websocket, FirstByte { limit, progress }).await;
    match answered {
        Ok(response) if response.status().is_informational() => {
            let is_upgrade = *websocket
                && response.status() == StatusCode::SWITCHING_PROTOCOLS
                && websocket::is_accepted(response.headers());
            if is_upgrade {
                Ok(response)
            } else {
                Err(Fault::Backend(Failure::Final, Refusal::BackendBroken))
            }
        }
        Ok(response) => Ok(response),
        Err(why) => {
            match progress.and_then(|progress| progress.fault()) {
                Some(UploadFault::Stalled) => return Err(Fault::Client(Refusal::UploadTimeout)),
                Some(UploadFault::Broken) => return Err(Fault::Client(Refusal::UploadBroken)),
                None => {}
            }
            let cause = why.chain();
            warn!(api = route.id.to_string().as_str(), request_id = text(request_id), cause = cause.as_str(); "no answer from the backend");
            Err(Fault::Backend(why.failure(), why.refusal()))
        }
    }
}

/// The backend's 101, with both ends of the tunnel that follows it.
fn join(
    mut response: Response<Theirs>,
    client: OnUpgrade,
    route: &Route,
    request_id: &HeaderValue,
) -> Response<Outgoing> {
    let backend = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    headers::from_backend(&mut parts.headers, parts.version, request_id);
    websocket::upgrade(&mut parts.headers);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    parts.extensions.insert(Ends { client, backend, idle: idle(route) });
    Response::from_parts(parts, Outgoing::full(String::new()))
}

fn idle(route: &Route) -> Duration {
    Duration::from_millis(route.timeouts.idle.max(1).into())
}

fn relay(
    response: Response<Theirs>,
    route: &Route,
    request_id: &HeaderValue,
    upload: Option<Arc<Progress>>,
) -> Response<Outgoing> {
    if let Some(upload) = &upload {
        upload.answer_moves();
    }
    let (mut parts, body) = response.into_parts();
    let shows_its_end = headers::shows_its_end(&parts.headers, parts.version);
    headers::from_backend(&mut parts.headers, parts.version, request_id);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    // It has no body, and a length would make the client wait for one (RFC 9110, section 15.3.5).
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(http::header::CONTENT_LENGTH);
    }
    let body = Outgoing::relayed(body, idle(route), upload).showing_its_end(shows_its_end);
    Response::from_parts(parts, body)
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
