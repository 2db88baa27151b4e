//! `/api/v1/applications`: developers own applications.

mod api_keys;
mod certificates;
mod keys;
mod mapped_clients;
mod view;

use actix_web::{HttpRequest, HttpResponse, web};
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::OpenApi;

use super::caller::Caller;
use super::resource::{created, description, gone, listed, name, named, shown};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::application::{DEFAULT_LIFETIME, Draft, KeyType, LIFETIMES};
use crate::domain::ids::ApplicationId;
use crate::flows;
use view::ApplicationView;

/// The routes and their description.
#[derive(OpenApi)]
#[openapi(
    paths(
        list,
        create,
        read,
        replace,
        delete,
        keys::list,
        keys::generate,
        keys::read,
        keys::replace,
        keys::delete,
        keys::rotate,
        api_keys::list,
        api_keys::make,
        api_keys::revoke,
        mapped_clients::list,
        mapped_clients::map,
        mapped_clients::unmap,
        certificates::list,
        certificates::register,
        certificates::remove
    ),
    components(schemas(
        ApplicationView,
        view::KeyView,
        api_keys::ApiKeyView,
        mapped_clients::MappedClientView,
        certificates::CertificateView
    ))
)]
pub struct Docs;

/// Mounts the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            super::resource_at("/api/v1/applications", "GET, POST")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            super::resource_at("/api/v1/applications/{id}", "GET, PUT, DELETE")
                .route(web::get().to(read))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        );
    keys::routes(config);
    api_keys::routes(config);
    mapped_clients::routes(config);
    certificates::routes(config);
}

/// The caller's applications, `DefaultApplication` among them; an administrator sees everybody's.
#[utoipa::path(get, path = "/api/v1/applications", tag = "Applications",
    params(("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Listing<ApplicationView>)))]
async fn list(app: web::Data<App>, caller: Caller, page: Page) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let after = (page.after.clone().unwrap_or_default(), page.rows());
    let found = flows::browse_applications::list_applications(&app, actor, after, app.clock.now()).await?;
    let page = Listing::new(found, page.limit, |application| application.id.to_string());
    Ok(listed(&Listing { items: page.items.into_iter().map(ApplicationView::of).collect(), next: page.next }))
}

/// Makes an application of the caller's.
#[utoipa::path(post, path = "/api/v1/applications", tag = "Applications", request_body = ApplicationView,
    responses((status = 201, body = ApplicationView), (status = 409, description = "the name is used"), (status = 422)))]
async fn create(app: web::Data<App>, caller: Caller, mut fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let draft = draft(&mut fields);
    fields.finish()?;
    let application =
        flows::create_application::create_application(&app, actor, draft, app.clock.now()).await?;
    let location = format!("/api/v1/applications/{}", application.id);
    Ok(created(&location, application.revision, &ApplicationView::of(application)))
}

/// One application.
#[utoipa::path(get, path = "/api/v1/applications/{id}", tag = "Applications", params(("id" = String, Path)),
    responses((status = 200, body = ApplicationView), (status = 404)))]
async fn read(app: web::Data<App>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let application = flows::browse_applications::find_application(&app, actor, application_id(&id)?).await?;
    Ok(shown(application.revision, &ApplicationView::of(application)))
}

/// Replaces an application.
#[utoipa::path(put, path = "/api/v1/applications/{id}", tag = "Applications",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = ApplicationView,
    responses((status = 200, body = ApplicationView), (status = 409), (status = 412), (status = 422)))]
async fn replace(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let draft = draft(&mut fields);
    fields.finish()?;
    let which = (application_id(&id)?, expected_revision(&request)?);
    let application =
        flows::replace_application::replace_application(&app, actor, which, draft, app.clock.now()).await?;
    Ok(shown(application.revision, &ApplicationView::of(application)))
}

/// Removes an application with its keys and subscriptions; everything that it ever bought is revoked.
#[utoipa::path(delete, path = "/api/v1/applications/{id}", tag = "Applications",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 409, description = "DefaultApplication stays"), (status = 412)))]
async fn delete(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let which = (application_id(&id)?, expected_revision(&request)?);
    flows::delete_application::delete_application(&app, actor, which, app.clock.now()).await?;
    Ok(gone())
}

fn draft(fields: &mut Fields) -> Draft {
    let draft = Draft {
        name: name(fields),
        tier: fields.required_text("tier", 60),
        description: description(fields),
        access_token_lifetime: fields.integer("access_token_lifetime", LIFETIMES).unwrap_or(DEFAULT_LIFETIME),
    };
    fields.ignore(&["id", "owner", "created_at", "updated_at"]);
    draft
}

fn application_id(text: &str) -> Result<ApplicationId, Problem> {
    named(ApplicationId::parse(text), "application")
}

/// A type of key that must be there.
fn key_type(fields: &mut Fields) -> Option<KeyType> {
    if !fields.has("key_type") {
        fields.blame("key_type", "is required");
    }
    fields.word("key_type", &[("production", KeyType::Production), ("sandbox", KeyType::Sandbox)])
}
