//! What every answer of `listen` goes through: security headers, and a panic that becomes a 500.

use std::panic::AssertUnwindSafe;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
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
