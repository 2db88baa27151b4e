//! Every request is answered, also where something goes wrong, and entered in the books.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Body;
use log::{error, info};
use tokio::time::timeout;

use super::Gateway;
use super::bodies::Outgoing;
use super::call::Call;
use super::challenge;
use super::connection::Pulse;
use super::cors;
use super::credentials::Presented;
use super::decisions::{self, Refused};
use super::grpc;
use super::headers::{self, REQUEST_ID};
use super::inbound::Inbound;
use super::refusal::Refusal;
use super::timing;
use super::trace::Trace;
use super::tunnel::{Berth, Ends, Tunnel};
use super::usage::Ledger;
use crate::ticker::Moment;

/// A body that is read though nobody wants it, in bytes, and how long that may take.
const SHORT_BODY: u64 = 16 * 1_024;
const SHORT_WAIT: Duration = Duration::from_millis(500);

/// Answers a request. Whatever goes wrong is an answer too, also a panic.
pub async fn serve(
    gateway: Arc<Gateway>,
    pulse: Arc<Pulse>,
    berth: Arc<Berth>,
    request: Request<Inbound>,
) -> Response<Outgoing> {
    let began = Moment::now(&gateway.app.clock);
    // First of all, so that what the token stands for is at hand when it is read.
    let presented = presented(&request, &pulse);
    let token = presented.as_ref().and_then(Presented::token);
    token.iter().for_each(|token| gateway.grants.fetch_slot(token));
    let in_flight = pulse.begin(request.version() == Version::HTTP_2);
    let request_id = headers::request_id(request.headers());
    let (method, version) = (request.method().clone(), request.version());
    let origin = cors::origin(request.headers()).cloned();
    let trace = Trace::of(request.headers());
    let is_timed = timing::is_wanted(request.headers());
    let mut call = Call::new(&gateway, &pulse, &request_id, &trace, (presented.as_ref(), began, in_flight));
    let is_grpc = grpc::is_call(&request);
    let mut request = Some(request);

    let answered = AssertUnwindSafe(call.answer(&mut request)).catch_unwind().await;
    let answered = answered.unwrap_or_else(|_| {
        error!(request_id = text(&request_id); "a request panicked");
        Err(Refusal::Fault)
    });
    let in_flight = call.is_answered();
    let mut account = std::mem::take(&mut call.account);
    let (route, asked) = (call.route.take(), call.asked.take());
    let (watch, lease) = (call.watch.take(), call.lease.take());
    drop(call);
    let path = request.as_ref().map_or("", |request| request.uri().path());
    let mut response = answered.unwrap_or_else(|refusal| {
        info!(
            reason = refusal.reason(), status = refusal.status().as_u16(), request_id = text(&request_id),
            method = method.as_str(), peer = pulse.peer.to_string().as_str(),
            trace_id = trace.to_string().as_str();
            "refused"
        );
        let party = decisions::note(
            &gateway,
            &Refused {
                request_id: &request_id,
                method: &method,
                path,
                asked: asked.as_deref(),
                refusal: &refusal,
            },
        );
        account.application = account.application.or(party.application);
        account.operation = account.operation.take().or(party.operation);
        let mut response = refused(&refusal, &request_id);
        if is_grpc {
            response.extensions_mut().insert(grpc::Status::of(&refusal));
        }
        challenge::tell(route.as_ref().map(|route| route.security), response.headers_mut());
        response
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
    if is_timed {
        timing::tell(response.headers_mut(), began.instant.elapsed(), account.backend);
    }
    let ledger = Ledger::open(
        gateway.usage.clone(),
        gateway.usage.slot_of(route.as_deref()),
        response.status(),
        (began.instant, account),
        request_id,
        in_flight,
    )
    .holding(lease);
    if let Some(ends) = response.extensions_mut().remove::<Ends>() {
        berth.leave(Tunnel::new(ends, pulse, ledger, watch));
        return response;
    }
    grpc::spell(response).map(|body| body.with_ledger(ledger).with_watch(watch))
}

/// What a request shows of who calls; none where to read it panicked, which is answered like any other panic.
fn presented(request: &Request<Inbound>, pulse: &Pulse) -> Option<Presented> {
    let read = || Presented::of(request.headers(), pulse.peer, pulse.certificate);
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Reads a short body that nobody wanted, so that the connection can go on. Where the client waits to be asked for it,
/// it is not.
async fn is_soon_over(request: Request<Inbound>) -> bool {
    if matches!(request.body(), Inbound::Left(_)) {
        return true;
    }
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

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
