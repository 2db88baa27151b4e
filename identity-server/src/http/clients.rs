//! `/api/v1/clients`

use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use shared_claims::secret::Secret;
use shared_server::etag::{etag, expected_revision};
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;

use super::body::OptionalFields;
use super::caller::{Caller, ToClients};
use super::client_wire::{self, ClientAnswer, ClientBody, RotationBody};
use super::openapi::{PageQuery, Refusals};
use crate::app::App;
use crate::domain::client::{Client, ClientId};
use crate::domain::client_metadata::SECRET_OVERLAPS;
use crate::flows;

/// Registers a client; the answer is the only one that holds its secret.
#[utoipa::path(post, path = "/api/v1/clients", tag = "clients", request_body = ClientBody,
    responses((status = 201, description = "Registered", body = ClientAnswer), Refusals),
    security(("admin" = []), ("bearer" = ["identity:clients"])))]
pub(super) async fn register(
    app: web::Data<App>,
    caller: Caller<ToClients>,
    fields: Fields,
) -> Result<HttpResponse, Problem> {
    let settings = client_wire::read(fields)?;
    let (client, secret) = flows::clients::register(&app, &caller.name, settings, app.clock.now()).await?;
    let location = format!("{}/api/v1/clients/{}", app.public_url, client.id);
    let mut answer = HttpResponse::Created();
    Ok(with_tag(answer.insert_header((LOCATION, location)), client, Some(&secret)))
}

/// Lists clients.
#[utoipa::path(get, path = "/api/v1/clients", tag = "clients", params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<ClientAnswer>), Refusals),
    security(("admin" = []), ("bearer" = ["identity:clients"])))]
pub(super) async fn list(
    app: web::Data<App>,
    _caller: Caller<ToClients>,
    page: Page,
) -> Result<HttpResponse, Problem> {
    let (after, rows) = (page.after.clone().unwrap_or_default(), page.rows());
    let clients = flows::clients::list(&app, after, rows).await?;
    let listing = Listing::new(clients, page.limit, |client| client.id.to_string());
    let items = listing.items.into_iter().map(|client| ClientAnswer::new(client, None)).collect();
    Ok(HttpResponse::Ok().json(Listing { items, next: listing.next }))
}

/// Reads a client.
#[utoipa::path(get, path = "/api/v1/clients/{client_id}", tag = "clients", params(("client_id" = String, Path)),
    responses((status = 200, description = "The client", body = ClientAnswer), Refusals),
    security(("admin" = []), ("bearer" = ["identity:clients"])))]
pub(super) async fn read(
    app: web::Data<App>,
    _caller: Caller<ToClients>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let client = flows::clients::find(&app, id(&path)?).await?;
    Ok(with_tag(&mut HttpResponse::Ok(), client, None))
}

/// Replaces a client's settings; what is left out gets its default. The secret stays.
#[utoipa::path(put, path = "/api/v1/clients/{client_id}", tag = "clients", request_body = ClientBody,
    params(("client_id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "Replaced", body = ClientAnswer), Refusals),
    security(("admin" = []), ("bearer" = ["identity:clients"])))]
pub(super) async fn replace(
    app: web::Data<App>,
    caller: Caller<ToClients>,
    request: HttpRequest,
    path: web::Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Problem> {
    let (id, expected) = (id(&path)?, expected_revision(&request)?);
    let settings = client_wire::read(fields)?;
    let now = app.clock.now();
    let client = flows::clients::replace(&app, &caller.name, id, (settings, expected), now).await?;
    Ok(with_tag(&mut HttpResponse::Ok(), client, None))
}

/// Deletes a client with its refresh tokens.
#[utoipa::path(delete, path = "/api/v1/clients/{client_id}", tag = "clients",
    params(("client_id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "Deleted"), Refusals),
    security(("admin" = []), ("bearer" = ["identity:clients"])))]
pub(super) async fn delete(
    app: web::Data<App>,
    caller: Caller<ToClients>,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (id, expected) = (id(&path)?, expected_revision(&request)?);
    flows::clients::delete(&app, &caller.name, id, expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Gives a client a new secret; the answer is the only one that holds it.
#[utoipa::path(post, path = "/api/v1/clients/{client_id}/secret", tag = "clients", request_body = RotationBody,
    params(("client_id" = String, Path)),
    responses((status = 200, description = "The client with its new secret", body = ClientAnswer), Refusals),
    security(("admin" = []), ("bearer" = ["identity:clients"])))]
pub(super) async fn rotate_secret(
    app: web::Data<App>,
    caller: Caller<ToClients>,
    path: web::Path<String>,
    OptionalFields(mut fields): OptionalFields,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let overlap = fields.integer("overlap_seconds", SECRET_OVERLAPS).unwrap_or(0);
    fields.finish()?;
    let now = app.clock.now();
    let (client, secret) = flows::clients::rotate_secret(&app, &caller.name, id, overlap, now).await?;
    Ok(with_tag(&mut HttpResponse::Ok(), client, Some(&secret)))
}

fn id(path: &str) -> Result<ClientId, Problem> {
    ClientId::parse(path).ok_or_else(|| Problem::not_found("there is no such client"))
}

fn with_tag(
    answer: &mut actix_web::HttpResponseBuilder,
    client: Client,
    secret: Option<&Secret>,
) -> HttpResponse {
    let tag = etag(client.revision);
    answer.insert_header((ETAG, tag)).json(ClientAnswer::new(client, secret))
}
