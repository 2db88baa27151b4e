//! What holds for every request: a panic is a 500, foreign pages change nothing, and answers carry careful headers.

use std::panic::AssertUnwindSafe;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::BytesMut;
use actix_web::{Error, HttpMessage, web};
use futures_util::{FutureExt, StreamExt};
use shared_server::fields::{LONGEST_BODY, SLOWEST_BODY};
use shared_server::oauth::longest_form;
use shared_server::problem::Problem;

use crate::app::App;

/// Bytes of an overlong body that are read all the same, so that its sender hears the refusal.
const MOST_DROPPED: usize = 8 * 1024 * 1024;

/// Wraps every route.
pub(crate) async fn guard<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let path = request.path().to_owned();
    let taken_in = if is_foreign(&request, &path) {
        Err(Problem::forbidden("requests from pages of other origins are refused", None))
    } else {
        take_in(&mut request, &path).await
    };
    let mut response = match taken_in {
        Err(refused) => request.error_response(refused).map_into_right_body(),
        // A handler that panics has broken nothing that others use: what is shared is swapped as a whole.
        Ok(()) => match AssertUnwindSafe(next.call(request)).catch_unwind().await {
            Ok(answered) => answered?.map_into_left_body(),
            Err(_) => return Err(Problem::fault(&"a handler panicked").into()),
        },
    };
    protect(&path, response.headers_mut());
    Ok(response)
}

/// Reads the body before anything is answered: a connection on which we answer early and stop reading is reset, and
/// the client then sees no answer at all. What is longer than any route takes is read and dropped, up to a bound; the
/// route's own extractor refuses what is left.
async fn take_in(request: &mut ServiceRequest, path: &str) -> Result<(), Problem> {
    if matches!(request.method(), &Method::GET | &Method::HEAD) {
        return Ok(());
    }
    let kept = if path.starts_with("/oauth2/") { longest_form(path) } else { LONGEST_BODY } + 1;
    let mut payload = request.take_payload();
    let read = async {
        let (mut body, mut dropped) = (BytesMut::new(), 0);
        while let Some(chunk) = payload.next().await {
            let Ok(chunk) = chunk else { return Err(Problem::bad_request("the request body broke off")) };
            let fits = chunk.len().min(kept - body.len());
            body.extend_from_slice(chunk.get(..fits).unwrap_or_default());
            dropped += chunk.len() - fits;
            if dropped > MOST_DROPPED {
                break;
            }
        }
        Ok(body.freeze())
    };
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the request body took too long");
    let body = tokio::time::timeout(SLOWEST_BODY, read).await.map_err(slow)??;
    let stream = futures_util::stream::once(std::future::ready(Ok::<_, PayloadError>(body)));
    request.set_payload(Payload::Stream { payload: Box::pin(stream) });
    Ok(())
}

/// Whether a browser sends this on behalf of another origin's page (CSRF). The OAuth endpoints take no ambient
/// credentials, so they need no such rule.
fn is_foreign(request: &ServiceRequest, path: &str) -> bool {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !changes || !(path.starts_with("/api/") || path.starts_with("/scim/")) {
        return false;
    }
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(HeaderName::from_static("sec-fetch-site")) == Some("cross-site") {
        return true;
    }
    match (request.headers().contains_key(ORIGIN), request.app_data::<web::Data<App>>()) {
        (true, Some(app)) => header(ORIGIN) != Some(origin_of(&app.public_url)),
        (has_origin, _) => has_origin,
    }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(authority..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| authority + at);
    url.get(..end).unwrap_or(url)
}

fn protect(path: &str, headers: &mut HeaderMap) {
    let mut put =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    put(X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(X_FRAME_OPTIONS, "DENY");
    put(REFERRER_POLICY, "no-referrer");
    let policy = if path.starts_with("/docs") {
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
    } else {
        "default-src 'none'; frame-ancestors 'none'"
    };
    put(CONTENT_SECURITY_POLICY, policy);
    if !headers.contains_key(CACHE_CONTROL) && !path.starts_with("/docs") {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_answers_500_and_the_next_request_is_served() {
        use actix_web::test::{TestRequest, init_service, try_call_service};
        async fn broken() -> actix_web::HttpResponse {
            panic!("a bug")
        }
        let fine = || async { actix_web::HttpResponse::Ok().finish() };
        let app = actix_web::App::new().wrap(actix_web::middleware::from_fn(guard));
        let app =
            init_service(app.route("/broken", web::get().to(broken)).route("/fine", web::get().to(fine)))
                .await;
        let refused = try_call_service(&app, TestRequest::get().uri("/broken").to_request()).await;
        assert_eq!(refused.unwrap_err().as_response_error().status_code(), 500);
        let served = try_call_service(&app, TestRequest::get().uri("/fine").to_request()).await;
        assert_eq!(served.unwrap().status(), 200);
    }

    #[test]
    fn the_origin_of_a_url_ends_before_its_path() {
        assert_eq!(origin_of("https://id.example:9443/a/b"), "https://id.example:9443");
        assert_eq!(origin_of("https://id.example"), "https://id.example");
    }
}
