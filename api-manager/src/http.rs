//! Turns requests into types and results into responses. Knows actix, never SQL.

pub mod apis;
pub mod applications;
pub mod caller;
pub mod identity_providers;
pub mod introspection;
mod oauth_error;
mod resource;
pub mod rest_error;
pub mod revocation;
pub mod revocations;
pub mod subscriptions;
pub mod tiers;
pub mod token;
mod wrapping;

use actix_web::{Resource, web};
use shared_server::health::Health;
use shared_server::problem::Problem;
use shared_server::{docs, health};
use utoipa::OpenApi;

use crate::app::App;

pub use wrapping::wrapped;

/// Mounts everything that `listen` answers.
pub fn configure(config: &mut web::ServiceConfig, app: &web::Data<App>, health: &Health) {
    config.app_data(app.clone()).app_data(web::Data::new(health.clone()));
    health::routes(config);
    docs::routes(config, description());
    token::routes(config);
    introspection::routes(config);
    revocation::routes(config);
    identity_providers::routes(config);
    revocations::routes(config);
    apis::routes(config);
    applications::routes(config);
    subscriptions::routes(config);
    tiers::routes(config);
    config.default_service(web::to(nothing_here));
}

/// The description of the whole, for `/openapi.json` and `/docs`.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    let parts = [
        token::Docs::openapi(),
        introspection::Docs::openapi(),
        revocation::Docs::openapi(),
        identity_providers::Docs::openapi(),
        revocations::Docs::openapi(),
        apis::Docs::openapi(),
        applications::Docs::openapi(),
        subscriptions::Docs::openapi(),
        tiers::Docs::openapi(),
    ];
    for part in parts {
        description.merge(part);
    }
    description
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign API manager",
        description = "Trusts identity providers, exchanges their JWTs for opaque tokens, and guards APIs. \
                       Management takes Basic (the administrator) or Bearer (a JWT with the scope of the route). \
                       Errors are application/problem+json (RFC 9457)."
    ),
    modifiers(&Credentials),
    security(("basic" = []), ("bearer" = []))
)]
struct Description;

struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = description.components.get_or_insert_default();
        for (name, scheme) in [("basic", HttpAuthScheme::Basic), ("bearer", HttpAuthScheme::Bearer)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
    }
}

/// A resource that answers other methods than `allow` with 405.
fn resource_at(path: &str, allow: &'static str) -> Resource {
    web::resource(path)
        .default_service(web::to(move || async move { Err::<String, _>(Problem::method_not_allowed(allow)) }))
}

async fn nothing_here() -> Result<String, Problem> {
    Err(Problem::not_found("there is nothing here; /docs lists what there is"))
}
