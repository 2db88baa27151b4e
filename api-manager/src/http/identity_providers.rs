//! `/api/v1/identity-providers`: whom we trust, and why an assertion of theirs is taken or not.

mod check;
mod wire;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use shared_server::etag::{etag, expected_revision};
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::OpenApi;

use super::caller::Caller;
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::identity_provider::IdentityProvider;
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
        check::StepReply
    ))
)]
pub struct Docs;

/// Mounts the resource.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource(PATH).route(web::get().to(list)).route(web::post().to(create)).default_service(
                web::to(async || Err::<HttpResponse, _>(Problem::method_not_allowed("GET, POST"))),
            ),
        )
        // Before `{id}`, which it would match.
        .service(
            web::resource("/api/v1/identity-providers/check")
                .route(web::post().to(check::check))
                .default_service(web::to(async || {
                    Err::<HttpResponse, _>(Problem::method_not_allowed("POST"))
                })),
        )
        .service(
            web::resource("/api/v1/identity-providers/{id}")
                .route(web::get().to(find))
                .route(web::put().to(replace))
                .route(web::delete().to(delete))
                .default_service(web::to(async || {
                    Err::<HttpResponse, _>(Problem::method_not_allowed("GET, PUT, DELETE"))
                })),
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
    Ok(reply(StatusCode::CREATED, &provider, Some(location)))
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
    Ok(no_store(HttpResponse::Ok()).json(Listing::new(replies, page.limit, |reply| reply.id.clone())))
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
    Ok(reply(StatusCode::OK, &provider, None))
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
    Ok(reply(StatusCode::OK, &provider, None))
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
    Ok(HttpResponse::NoContent().finish())
}

fn parse_id(text: &str) -> Result<IdentityProviderId, Problem> {
    IdentityProviderId::parse(text).ok_or_else(|| Problem::not_found("there is no such identity provider"))
}

fn reply(status: StatusCode, provider: &IdentityProvider, location: Option<String>) -> HttpResponse {
    let mut answer = no_store(HttpResponse::build(status));
    answer.insert_header(("ETag", etag(provider.revision)));
    if let Some(location) = location {
        answer.insert_header(("Location", location));
    }
    answer.json(IdentityProviderReply::of(provider))
}

fn no_store(mut answer: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    answer.insert_header(("Cache-Control", "no-store"));
    answer
}
