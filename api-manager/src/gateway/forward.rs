//! The way to the backend and back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Body;
use hyper::upgrade::OnUpgrade;
use log::warn;

use super::answer::{Answer, Asking, Theirs, ask};
use super::bodies::Outgoing;
use super::first_byte::FirstByte;
use super::headers;
use super::http1::{Http1, Written, body_length};
use super::inbound::Inbound;
use super::onward::{self, Hop};
use super::refusal::Refusal;
use super::routes::Route;
use super::spare;
use super::trace::Trace;
use super::transforms::Changes;
use super::tunnel::Ends;
use super::uploads::{Progress, Upload, UploadFault};
use super::upstream::NoBackend;
use super::upstream::address::Address;
use super::upstream::attempts::{Attempts, Failure, Lease};
use super::websocket;
use crate::ahead;
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
    pub fn protocol(&self) -> Protocol {
        if self.websocket { Protocol::Http1 } else { self.route.protocol }
    }
}

/// Sends the request to one of the API's backends, and to another where that is safe; returns the answer once its head is
/// there. `uploading` is told what becomes of the request's body.
///
/// # Errors
/// No answer came, or the client did not send its request to the end.
pub async fn forward(
    way: Way<'_>,
    mut request: Request<Inbound>,
    uploading: &mut Option<Arc<Progress>>,
) -> Result<(Response<Outgoing>, Lease), Refusal> {
    let Way { route, key_type, websocket, request_id, .. } = way;
    // Read before the backend is waited for: after that it is not at hand any more.
    let idle = Duration::from_millis(route.timeouts.idle.max(1).into());
    let upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    let mut body = Some(body).filter(|body| !body.is_end_stream());
    let upstream = route.upstream(key_type).ok_or(Refusal::NoBackend(NoBackend::Unavailable))?;
    let mut attempts = Attempts::new(upstream, &head.method, body.is_some() || way.read.is_some());
    let mut attempt = attempts.first().map_err(Refusal::NoBackend)?;
    let mut form = if onward::is_straight(&way, &head.headers) { Form::AsItCame } else { Form::ToBeChanged };

    loop {
        let (upload, progress) = match &way.read {
            Some(read) => (Upload::Ready(Full::new(read.clone())), None),
            None => body.take().map_or((Upload::Empty, None), |body| Upload::new(body, way.upload_pause)),
        };
        uploading.clone_from(&progress);
        let asking = asking(&way, &mut head, &mut form, (attempt.address, &upload))?;
        let exchanged = {
            let exchanging = pin!(exchange(&way, asking, upload, progress.as_ref()));
            ahead::meanwhile(exchanging, || attempt.lease.fetch()).await
        };
        let (failure, refusal) = match exchanged {
            Ok(answer) => {
                attempts.answered(&attempt, answer.response.status());
                spare::give_back(head.headers);
                let response = match upgrade.filter(|_| answer.response.status().is_informational()) {
                    Some(client) => join(answer.response, client, idle, request_id),
                    None => relay(answer, idle, request_id, progress),
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

/// What a request's head is at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The client's, from which a backend's can be written.
    AsItCame,
    /// The client's, which has to be changed first.
    ToBeChanged,
    /// A backend's, but for where it goes.
    Changed,
}

/// Has the request ready for whoever sends it.
fn asking<'a>(
    way: &'a Way<'_>,
    head: &'a mut Parts,
    form: &mut Form,
    (address, upload): (&'a Address, &Upload),
) -> Result<Asking<'a>, Refusal> {
    let client = if way.websocket { &way.route.websockets } else { &way.route.client };
    let http1 = client.http1().filter(|_| !way.websocket && Http1::carries(upload));
    let (length, is_head) = (body_length(upload), head.method == Method::HEAD);
    if let (Form::AsItCame, Some(http1)) = (*form, http1) {
        let text = onward::write(way, head, address, length).ok_or(Refusal::Fault)?;
        return Ok(Asking::Own(http1, Written { to: &address.origin, text, is_head }));
    }
    if *form != Form::Changed {
        onward::change(way, head, address);
        *form = Form::Changed;
    }
    head.uri = address.uri(way.rest, way.query).ok_or(Refusal::Fault)?;
    if let Some(host) = head.headers.get_mut(HOST) {
        *host = address.host.clone();
    }
    let Some(http1) = http1 else { return Ok(Asking::Hyper(client.hyper(), head)) };
    let text = onward::write_changed(head, length).ok_or(Refusal::Fault)?;
    Ok(Asking::Own(http1, Written { to: &address.origin, text, is_head }))
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
    asking: Asking<'_>,
    upload: Upload,
    progress: Option<&Arc<Progress>>,
) -> Result<Answer, Fault> {
    let Way { route, request_id, websocket, .. } = way;
    let limit = Duration::from_millis(route.timeouts.first_byte.max(1).into());
    match ask(asking, upload, FirstByte { limit, progress }).await {
        Ok(answer) if answer.response.status().is_informational() => {
            let is_upgrade = *websocket
                && answer.response.status() == StatusCode::SWITCHING_PROTOCOLS
                && websocket::is_accepted(answer.response.headers());
            if is_upgrade { Ok(answer) } else { Err(Fault::Backend(Failure::Final, Refusal::BackendBroken)) }
        }
        Ok(answer) => Ok(answer),
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
    idle: Duration,
    request_id: &HeaderValue,
) -> Response<Outgoing> {
    let backend = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    headers::clean_answer(&mut parts.headers);
    headers::tell_client(&mut parts.headers, parts.version, request_id);
    websocket::upgrade(&mut parts.headers);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    parts.extensions.insert(Ends { client, backend, idle });
    Response::from_parts(parts, Outgoing::full(String::new()))
}

fn relay(
    Answer { response, shows_its_end }: Answer,
    idle: Duration,
    request_id: &HeaderValue,
    upload: Option<Arc<Progress>>,
) -> Response<Outgoing> {
    if let Some(upload) = &upload {
        upload.answer_moves();
    }
    let (mut parts, body) = response.into_parts();
    headers::tell_client(&mut parts.headers, parts.version, request_id);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    // It has no body, and a length would make the client wait for one (RFC 9110, section 15.3.5).
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(http::header::CONTENT_LENGTH);
    }
    let body = Outgoing::relayed(body, idle, upload).showing_its_end(shows_its_end);
    Response::from_parts(parts, body)
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
