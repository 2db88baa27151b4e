//! What every answer of `listen` goes through: security headers, and a panic that becomes a 500.

use std::panic::AssertUnwindSafe;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::{App as Actix, Error, web};
use futures_util::FutureExt;
use shared_server::health::Health;
use shared_server::problem::Problem;

use crate::app::App;

/// The application of one worker.
pub fn wrapped(
    app: &web::Data<App>,
    health: &Health,
) -> Actix<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    Actix::new()
        .wrap(from_fn(panic_to_500))
        .wrap(from_fn(head_as_get))
        .wrap(security_headers())
        .configure(|config| super::configure(config, app, health))
}

fn security_headers() -> DefaultHeaders {
    // The browsable description brings styles inside its markup; nothing else is served to browsers.
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    DefaultHeaders::new()
        .add(("Strict-Transport-Security", "max-age=31536000"))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Content-Security-Policy", policy))
}

/// RFC 9110, section 9.3.2: HEAD is GET without the body, which the server leaves out by itself.
async fn head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    next.call(request).await
}

/// A mistake of ours costs one answer: the connection, its other streams and the worker live on.
async fn panic_to_500(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answered) => answered,
        Err(_) => Err(Problem::fault(&"a handler panicked").into()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test;

    use super::*;

    #[actix_web::test]
    async fn a_panic_costs_one_answer() {
        let panics = web::get().to(async || -> &'static str { panic!("on purpose") });
        let app = Actix::new().wrap(from_fn(panic_to_500)).route("/panics", panics);
        let app = test::init_service(app.route("/fine", web::get().to(async || "fine"))).await;
        let call = async |path: &str| {
            let request = test::TestRequest::get().uri(path).to_request();
            match test::try_call_service(&app, request).await {
                Ok(answer) => answer.status().as_u16(),
                Err(error) => error.as_response_error().status_code().as_u16(),
            }
        };

        assert_eq!((call("/panics").await, call("/fine").await), (500, 200));
    }
}
