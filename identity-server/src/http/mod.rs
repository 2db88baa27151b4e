//! What is spoken: requests become types, results become responses. Knows actix, never SQL.

mod body;
mod caller;
mod client_wire;
mod clients;
mod guard;
mod introspect;
mod keys;
mod oauth_error;
mod openapi;
mod published;
mod rest_error;
mod revoke;
mod scim;
mod signup;
mod token;

use actix_web::{HttpResponse, Resource, web};
use shared_server::problem::Problem;
use shared_server::{docs, health};

pub(crate) use guard::guard;
pub(crate) use published::Metadata;

/// Mounts every route. `App`, `Health` and `Metadata` must be among the app's data.
pub(crate) fn routes(config: &mut web::ServiceConfig, metadata: &Metadata) {
    // Tried in this order, so what is asked most comes first: some of what follows are patterns.
    config
        .service(
            web::resource("/oauth2/token")
                .post(token::token)
                .default_service(web::to(token::method_not_allowed)),
        )
        .service(
            web::resource("/oauth2/introspect")
                .post(introspect::introspect)
                .default_service(web::to(token::method_not_allowed)),
        )
        .service(
            web::resource("/oauth2/revoke")
                .post(revoke::revoke)
                .default_service(web::to(token::method_not_allowed)),
        )
        .service(readable("/oauth2/jwks").get(published::jwks).head(published::jwks));
    health::routes(config);
    docs::routes(config, &openapi::DESCRIPTION);
    config
        .service(readable("/oauth2/certificate").get(published::certificate).head(published::certificate))
        .service(
            only("/api/v1/clients", "GET, HEAD, POST")
                .get(clients::list)
                .head(clients::list)
                .post(clients::register),
        )
        .service(
            only("/api/v1/clients/{client_id}", "GET, HEAD, PUT, DELETE")
                .get(clients::read)
                .head(clients::read)
                .put(clients::replace)
                .delete(clients::delete),
        )
        .service(only("/api/v1/clients/{client_id}/secret", "POST").post(clients::rotate_secret))
        .service(only("/api/v1/signup", "POST").post(signup::sign_up))
        .service(readable("/api/v1/keys").get(keys::list).head(keys::list))
        .service(only("/api/v1/keys/rotate", "POST").post(keys::rotate));
    scim::routes(config);
    for path in metadata.oauth_paths() {
        config.service(readable(&path).get(published::oauth_metadata).head(published::oauth_metadata));
    }
    for path in metadata.openid_paths() {
        config.service(readable(&path).get(published::openid_metadata).head(published::openid_metadata));
    }
    config.default_service(web::to(not_found));
}

fn readable(path: &str) -> Resource {
    only(path, "GET, HEAD")
}

/// A resource that answers 405 with these methods to all others.
fn only(path: &str, methods: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, Problem>(Problem::method_not_allowed(methods)) };
    web::resource(path).default_service(web::to(refuse))
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("there is nothing at this path; /docs says what there is"))
}
