//! The way to the backend and back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use log::warn;
use shared_server::outbound::{ConnectError, connect_error};
use tokio::time::{Instant, sleep_until};

use super::bodies::Outgoing;
use super::clients;
use super::headers::{self, Hop};
use super::refusal::Refusal;
use super::routes::Route;
use super::trailers;
use super::tunnel::Ends;
use super::uploads::{Progress, Upload, UploadFault};
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
    /// How long the client may pause within its body.
    pub upload_pause: Duration,
    /// Its id.
    pub request_id: &'a HeaderValue,
    /// Who calls, where the backend wants to hear it.
    pub assertion: Option<HeaderValue>,
}

/// Sends the request to the API's backend, and returns its answer once the head is there.
///
/// # Errors
/// No answer came, or the client did not send its request to the end.
pub async fn forward(way: Way<'_>, mut request: Request<Incoming>) -> Result<Response<Outgoing>, Refusal> {
    let Way { route, key_type, rest, query, hop, websocket, upload_pause, request_id, assertion } = way;
    let backend = route.backend(key_type).ok_or(Refusal::BackendUnreachable)?;
    let uri = backend.uri(rest, query).ok_or(Refusal::Fault)?;

    let client = websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    let (http_client, protocol) =
        if websocket { (&route.websockets, Protocol::Http1) } else { (&route.client, route.protocol) };
    let takes_trailers = trailers::are_taken(&parts.headers);
    parts.extensions.clear();
    headers::to_backend(&mut parts.headers, &hop, &backend.host, request_id, route.forward_authorization);
    if let Some(assertion) = assertion {
        parts.headers.insert(headers::ASSERTION, assertion);
    }
    if websocket {
        websocket::upgrade(&mut parts.headers);
    } else {
        websocket::no_upgrade(&mut parts.headers);
    }
    match protocol {
        Protocol::Http1 => parts.version = Version::HTTP_11,
        Protocol::Http2 => {
            parts.version = Version::HTTP_2;
            trailers::for_http2(&mut parts.headers, takes_trailers);
        }
    }
    let (body, progress) = Upload::new(body, upload_pause);
    let mut request = Request::from_parts(parts, body);
    let mut connected = capture_connection(&mut request);

    let mut answer = pin!(clients::send(http_client, request));
    let first_byte = Duration::from_millis(route.timeouts.first_byte.max(1).into());
    // The connector has its own limit; ours for the answer counts from the connection on, or from the last piece of
    // the body that the backend took.
    let waiting = async {
        drop(connected.wait_for_connection_metadata().await);
        let mut deadline = Instant::now() + first_byte;
        loop {
            sleep_until(deadline).await;
            let since = progress.as_ref().map(|progress| progress.backend_has_all_since());
            match since.map(|since| since + first_byte) {
                Some(later) if later > deadline => deadline = later,
                _ => return,
            }
        }
    };
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        () = waiting => {
            warn!(api = route.id.to_string().as_str(), request_id = text(request_id); "the backend did not answer in time");
            return Err(Refusal::BackendTimeout);
        }
    };

    let response = match answered {
        Ok(response) if response.status().is_informational() => {
            let client = client.filter(|_| {
                response.status() == StatusCode::SWITCHING_PROTOCOLS
                    && websocket::is_accepted(response.headers())
            });
            return Ok(join(response, client.ok_or(Refusal::BackendBroken)?, route, request_id));
        }
        Ok(response) if headers::is_misframed(response.headers()) => {
            warn!(api = route.id.to_string().as_str(), request_id = text(request_id); "the backend's answer has two readings");
            Err(Refusal::BackendBroken)
        }
        Ok(response) => Ok(response),
        Err(why) => {
            match progress.as_ref().and_then(|progress| progress.fault()) {
                Some(UploadFault::Stalled) => return Err(Refusal::UploadTimeout),
                Some(UploadFault::Broken) => return Err(Refusal::UploadBroken),
                None => {}
            }
            let cause = chain(&why);
            warn!(api = route.id.to_string().as_str(), request_id = text(request_id), cause = cause.as_str(); "no answer from the backend");
            Err(refusal(&why))
        }
    };
    response.map(|response| relay(response, route, request_id, progress))
}

/// The backend's 101, with both ends of the tunnel that follows it.
fn join(
    mut response: Response<Incoming>,
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
    response: Response<Incoming>,
    route: &Route,
    request_id: &HeaderValue,
    upload: Option<Arc<Progress>>,
) -> Response<Outgoing> {
    if let Some(upload) = &upload {
        upload.answer_moves();
    }
    let (mut parts, body) = response.into_parts();
    headers::from_backend(&mut parts.headers, parts.version, request_id);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    // It has no body, and a length would make the client wait for one (RFC 9110, section 15.3.5).
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(http::header::CONTENT_LENGTH);
    }
    Response::from_parts(parts, Outgoing::relayed(body, idle(route), upload))
}

fn refusal(why: &legacy::Error) -> Refusal {
    match connect_error(why) {
        Some(ConnectError::Timeout) => Refusal::BackendTimeout,
        Some(
            ConnectError::BadUri
            | ConnectError::RefusedByPolicy { .. }
            | ConnectError::Dns { .. }
            | ConnectError::Connect(_)
            | ConnectError::Tls { .. },
        ) => Refusal::BackendUnreachable,
        None if why.is_connect() => Refusal::BackendUnreachable,
        None => Refusal::BackendBroken,
    }
}

/// An error with its causes, for the log.
fn chain(why: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(why), |why| why.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
