//! Turns requests into types and results into responses. Knows actix, never SQL.

pub mod apis;
pub mod applications;
pub mod caller;
pub mod decisions;
pub mod deny_rules;
pub mod identity_providers;
pub mod introspection;
mod oauth_error;
mod resource;
pub mod rest_error;
pub mod revocation;
pub mod revocations;
mod steps;
pub mod subscriptions;
pub mod tiers;
pub mod token;
pub mod usage;
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
    // Tried in this order, so what is asked most comes first: some of what follows are patterns.
    token::routes(config);
    introspection::routes(config);
    revocation::routes(config);
    health::routes(config);
    docs::routes(config, &DESCRIPTION);
    identity_providers::routes(config);
    revocations::routes(config);
    apis::routes(config);
    applications::routes(config);
    subscriptions::routes(config);
    tiers::routes(config);
    decisions::routes(config);
    deny_rules::routes(config);
    usage::routes(config);
    config.default_service(web::to(nothing_here));
}

static DESCRIPTION: docs::Text = docs::Text::new(|| docs::text(&description()));

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
        decisions::Docs::openapi(),
        deny_rules::Docs::openapi(),
        usage::Docs::openapi(),
    ];
    for part in parts {
        description.merge(part);
    }
    name_operations(&mut description);
    description
}

/// Handlers of different modules share names; what generates clients wants each operation's to be its own.
fn name_operations(description: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut description.paths.paths {
        let words: Vec<&str> =
            path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}_{}", words.join("_")));
                refuses(operation, path.starts_with("/oauth2/"));
            }
        }
    }
}

/// Every route can refuse for reasons that are not its own: credentials, rights, media type, length, a busy server.
fn refuses(operation: &mut utoipa::openapi::path::Operation, oauth: bool) {
    use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
    let (description, schema, media) = if oauth {
        ("Refused, with an error of RFC 6749, section 5.2", "OAuthError", "application/json")
    } else {
        ("Refused; every bad field is named at once (RFC 9457)", "Problem", "application/problem+json")
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let response = ResponseBuilder::new().description(description).content(media, content).build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
}

/// A refusal of everything but the OAuth endpoints.
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "describes what shared_server::problem writes")]
struct Refused {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    errors: Option<Vec<BadField>>,
}

/// One bad field and its remedy.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes what shared_server::problem writes")]
struct BadField {
    field: String,
    detail: String,
}

/// A refusal of an OAuth endpoint.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes what shared_server::oauth writes")]
struct OAuthError {
    error: String,
    error_description: String,
}

#[derive(OpenApi)]
#[openapi(
    components(schemas(Refused, BadField, OAuthError)),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_is_described_under_a_name_of_its_own() {
        let description = serde_json::to_value(super::description()).unwrap();
        let mut names = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(_, value)| value.is_object())
            {
                let name = operation["operationId"].as_str().unwrap().to_owned();
                assert!(names.insert(name.clone()), "{method} {path}: {name}");
            }
        }
        for path in [
            "/oauth2/token",
            "/api/v1/apis/{id}/lifecycle",
            "/api/v1/identity-providers",
            "/api/v1/tiers/{name}",
        ] {
            assert!(description["paths"][path].is_object(), "{path}");
        }
    }
}
