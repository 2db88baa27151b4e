//! `/api/v1/applications/{id}/keys`: consumer keys and their secrets.

use actix_web::{HttpRequest, HttpResponse, web};
use shared_claims::oauth::JWT_BEARER;
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::Listing;
use shared_server::problem::Problem;

use super::view::KeyView;
use super::{application_id, key_type};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::application::{KeyType, LONGEST_OVERLAP, check_grant_types};
use crate::domain::ids::ApplicationId;
use crate::flows;
use crate::flows::change_keys::Which;
use crate::http::caller::Caller;
use crate::http::resource::{OptionalFields, created, gone, listed, named, shown, sure};
use crate::http::resource_at;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let keys = "/api/v1/applications/{id}/keys";
    let one = "/api/v1/applications/{id}/keys/{key_type}";
    let secret = "/api/v1/applications/{id}/keys/{key_type}/secret";
    config
        .service(resource_at(keys, "GET, POST").route(web::get().to(list)).route(web::post().to(generate)))
        .service(
            resource_at(one, "GET, PUT, DELETE")
                .route(web::get().to(read))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        )
        .service(resource_at(secret, "POST").route(web::post().to(rotate)));
}

/// The application's keys: at most one of each type, without secrets.
#[utoipa::path(get, path = "/api/v1/applications/{id}/keys", tag = "Applications", params(("id" = String, Path)),
    responses((status = 200, body = Listing<KeyView>)))]
pub(super) async fn list(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let keys = flows::browse_applications::list_keys(&app, actor, application_id(&id)?).await?;
    Ok(listed(&Listing { items: keys.into_iter().map(KeyView::of).collect(), next: None }))
}

/// Makes the key of one type. The answer holds the secret, this once.
#[utoipa::path(post, path = "/api/v1/applications/{id}/keys", tag = "Applications", params(("id" = String, Path)),
    request_body(content = Object, description = "{key_type, grant_types}; without grant_types, jwt-bearer only"),
    responses((status = 201, body = KeyView), (status = 409, description = "there is a key of this type"), (status = 422)))]
pub(super) async fn generate(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let key_type = key_type(&mut fields);
    let grant_types =
        if fields.has("grant_types") { grant_types(&mut fields) } else { vec![JWT_BEARER.to_owned()] };
    fields.finish()?;
    let which = (application_id(&id)?, sure(key_type)?);
    let (key, secret) =
        flows::generate_keys::generate_keys(&app, actor, which, grant_types, app.clock.now()).await?;
    let location = format!("/api/v1/applications/{}/keys/{}", key.application_id, key.key_type.as_str());
    Ok(created(&location, key.revision, &KeyView::with_secret(key, &secret)))
}

/// One key, without its secret.
#[utoipa::path(get, path = "/api/v1/applications/{id}/keys/{key_type}", tag = "Applications",
    params(("id" = String, Path), ("key_type" = String, Path)), responses((status = 200, body = KeyView), (status = 404)))]
pub(super) async fn read(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let (id, key_type) = key_of(&path)?;
    let key = flows::change_keys::find_key(&app, actor, id, key_type).await?;
    Ok(shown(key.revision, &KeyView::of(key)))
}

/// Replaces the grant types of a key.
#[utoipa::path(put, path = "/api/v1/applications/{id}/keys/{key_type}", tag = "Applications",
    params(("id" = String, Path), ("key_type" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body(content = Object, description = "{grant_types}"),
    responses((status = 200, body = KeyView), (status = 404), (status = 412), (status = 422)))]
pub(super) async fn replace(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    if !fields.has("grant_types") {
        fields.blame("grant_types", "is required");
    }
    let grant_types = grant_types(&mut fields);
    fields.ignore(&[
        "application_id",
        "key_type",
        "consumer_key",
        "previous_secret_until",
        "created_at",
        "updated_at",
    ]);
    fields.finish()?;
    let which = which(&path, &request)?;
    let key =
        flows::change_keys::change_grant_types(&app, actor, which, grant_types, app.clock.now()).await?;
    Ok(shown(key.revision, &KeyView::of(key)))
}

/// Removes a key; its client gets no tokens any more, and those that it has are revoked.
#[utoipa::path(delete, path = "/api/v1/applications/{id}/keys/{key_type}", tag = "Applications",
    params(("id" = String, Path), ("key_type" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 404), (status = 412)))]
pub(super) async fn delete(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    flows::change_keys::delete_key(&app, actor, which(&path, &request)?, app.clock.now()).await?;
    Ok(gone())
}

/// Makes another secret. The old one dies at once, or after `overlap_seconds`.
#[utoipa::path(post, path = "/api/v1/applications/{id}/keys/{key_type}/secret", tag = "Applications",
    params(("id" = String, Path), ("key_type" = String, Path)),
    request_body(content = Object, description = "{overlap_seconds?}, 0 to 604800"),
    responses((status = 200, body = KeyView, description = "with the secret, this once"), (status = 404), (status = 422)))]
pub(super) async fn rotate(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
    OptionalFields(fields): OptionalFields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let overlap = overlap(fields)?;
    let (key, secret) =
        flows::rotate_secret::rotate_secret(&app, actor, key_of(&path)?, overlap, app.clock.now()).await?;
    Ok(shown(key.revision, &KeyView::with_secret(key, &secret)))
}

fn overlap(fields: Option<Fields>) -> Result<i64, Problem> {
    let Some(mut fields) = fields else { return Ok(0) };
    let overlap = fields.integer("overlap_seconds", 0..=LONGEST_OVERLAP);
    fields.finish()?;
    Ok(overlap.unwrap_or(0))
}

fn grant_types(fields: &mut Fields) -> Vec<String> {
    let Some(grant_types) = fields.texts("grant_types", 10, 100, false) else { return Vec::new() };
    if let Err(fault) = check_grant_types(&grant_types) {
        fields.blame("grant_types", fault);
    }
    grant_types
}

fn key_of(path: &(String, String)) -> Result<(ApplicationId, KeyType), Problem> {
    Ok((application_id(&path.0)?, named(KeyType::parse(&path.1), "key")?))
}

fn which(path: &(String, String), request: &HttpRequest) -> Result<Which, Problem> {
    let (application, key_type) = key_of(path)?;
    Ok(Which { application, key_type, expected: expected_revision(request)? })
}
