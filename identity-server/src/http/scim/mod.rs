//! SCIM 2.0 for users (RFC 7643, RFC 7644).

pub(super) mod answer;
pub(super) mod discovery;
pub(super) mod error;
mod filter;
mod patch;
mod read;
pub(super) mod users;

use actix_web::{HttpResponse, Resource, web};

pub(crate) use error::ScimError;

/// The schema of a user.
const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of a list.
const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The schema of a PATCH.
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The media type.
const MEDIA: &str = "application/scim+json";

/// Mounts the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            only("/scim/v2/Users", "GET, HEAD, POST").get(users::list).head(users::list).post(users::create),
        )
        .service(
            only("/scim/v2/Users/{id}", "GET, HEAD, PUT, PATCH, DELETE")
                .get(users::read)
                .head(users::read)
                .put(users::replace)
                .patch(users::patch)
                .delete(users::delete),
        )
        .service(only("/scim/v2/ServiceProviderConfig", "GET").get(discovery::service_provider_config))
        .service(only("/scim/v2/ResourceTypes", "GET").get(discovery::resource_types))
        .service(only("/scim/v2/Schemas", "GET").get(discovery::schemas))
        .service(web::resource("/scim/v2/{tail:.*}").default_service(web::to(not_found)));
}

fn only(path: &str, methods: &'static str) -> Resource {
    let refuse =
        move || async move { Err::<HttpResponse, ScimError>(ScimError::method_not_allowed(methods)) };
    web::resource(path).default_service(web::to(refuse))
}

async fn not_found() -> Result<HttpResponse, ScimError> {
    Err(ScimError::not_found("there is no such endpoint"))
}
