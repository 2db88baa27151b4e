//! `/api/v1/identity-providers`: whom we trust, and why an assertion of theirs is taken or not.

mod check;
mod wire;

use actix_web::{HttpRequest, HttpResponse, web};
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::OpenApi;

use super::caller::Caller;
use super::resource::{created, gone, listed, named, shown};
use super::resource_at;
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::ids::IdentityProviderId;
use crate::flows::trust;

use wire::{IdentityProviderBody, IdentityProviderReply};

const PATH: &str = "/api/v1/identity-providers";

/// The resource, for the API description.
#[derive(OpenApi)]
#[openapi(
    paths(create, list, find, replace, delete, check::check),
    components(schemas(
        IdentityProviderBody,
        IdentityProviderReply,
        wire::CertificateReply,
        check::CheckBody,
        check::CheckReply,
        super::steps::StepReply
    ))
)]
pub struct Docs;

/// Mounts the resource.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource_at(PATH, "GET, POST").route(web::get().to(list)).route(web::post().to(create)))
        // Before `{id}`, which it would match.
        .service(resource_at("/api/v1/identity-providers/check", "POST").route(web::post().to(check::check)))
        .service(
            resource_at("/api/v1/identity-providers/{id}", "GET, PUT, DELETE")
                .route(web::get().to(find))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        );
}

/// Trusts an identity provider.
#[utoipa::path(
    post, path = "/api/v1/identity-providers", tag = "Identity providers",
    request_body = IdentityProviderBody,
    responses(
        (status = 201, description = "Trusted", body = IdentityProviderReply),
        (status = 409, description = "Its name or issuer is trusted already"),
        (status = 422, description = "Fields are wrong; each is named with its remedy"),
    )
)]
async fn create(app: web::Data<App>, caller: Caller, fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let now = app.clock.now();
    let terms = wire::read(fields, app.settings.allow_http_jwks, now)?;
    let provider = trust::add_identity_provider(&app, actor, terms, now).await?;
    let location = format!("{PATH}/{}", provider.id);
    Ok(created(&location, provider.revision, &IdentityProviderReply::of(&provider)))
}

/// Lists the identity providers.
#[utoipa::path(
    get, path = "/api/v1/identity-providers", tag = "Identity providers",
    params(("limit" = Option<u8>, Query, description = "1 to 100; 20 where not said"), ("after" = Option<String>, Query, description = "The id after which the page begins")),
    responses((status = 200, description = "A page", body = Listing<IdentityProviderReply>))
)]
async fn list(app: web::Data<App>, caller: Caller, page: Page) -> Result<HttpResponse, Problem> {
    caller.with(Right::Administer)?;
    let after = page.after.as_deref().map(parse_id).transpose()?;
    let providers = trust::browse_identity_providers(&app, after, page.rows()).await?;
    let replies = providers.iter().map(IdentityProviderReply::of).collect();
    Ok(listed(&Listing::new(replies, page.limit, |reply| reply.id.clone())))
}

/// Reads an identity provider.
#[utoipa::path(
    get, path = "/api/v1/identity-providers/{id}", tag = "Identity providers",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The provider", body = IdentityProviderReply), (status = 404, description = "No such provider"))
)]
async fn find(app: web::Data<App>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    caller.with(Right::Administer)?;
    let provider = trust::find_identity_provider(&app, parse_id(&id)?).await?;
    Ok(shown(provider.revision, &IdentityProviderReply::of(&provider)))
}

/// Replaces an identity provider. Disabled, it suspends its live grants at once, until it is enabled again.
#[utoipa::path(
    put, path = "/api/v1/identity-providers/{id}", tag = "Identity providers",
    params(("id" = String, Path, description = "Its id"), ("If-Match" = Option<String>, Header, description = "The ETag that the change was made to")),
    request_body = IdentityProviderBody,
    responses(
        (status = 200, description = "Replaced", body = IdentityProviderReply),
        (status = 404, description = "No such provider"),
        (status = 409, description = "The name or issuer is another provider's"),
        (status = 412, description = "It has changed since"),
        (status = 422, description = "Fields are wrong; each is named with its remedy"),
    )
)]
async fn replace(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let (id, expected) = (parse_id(&id)?, expected_revision(&request)?);
    let now = app.clock.now();
    let terms = wire::read(fields, app.settings.allow_http_jwks, now)?;
    let provider = trust::replace_identity_provider(&app, actor, (id, expected), terms, now).await?;
    Ok(shown(provider.revision, &IdentityProviderReply::of(&provider)))
}

/// Ends the trust and revokes every token that it ever bought.
#[utoipa::path(
    delete, path = "/api/v1/identity-providers/{id}", tag = "Identity providers",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "Gone"), (status = 404, description = "No such provider"), (status = 412, description = "It has changed since"))
)]
async fn delete(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let named = (parse_id(&id)?, expected_revision(&request)?);
    trust::delete_identity_provider(&app, actor, named, app.clock.now()).await?;
    Ok(gone())
}

fn parse_id(text: &str) -> Result<IdentityProviderId, Problem> {
    named(IdentityProviderId::parse(text), "identity provider")
}
