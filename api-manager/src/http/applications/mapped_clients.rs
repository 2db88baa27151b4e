//! `/api/v1/applications/{id}/mapped-clients`: clients of trusted identity providers that stand for the application.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_server::fields::Fields;
use shared_server::listing::Listing;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::{application_id, key_type};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::ids::{IdentityProviderId, MappedClientId};
use crate::domain::mapped_client::{LONGEST, MappedClient};
use crate::flows::map_client::{Draft, list_mapped_clients, map_client, unmap_client};
use crate::http::caller::Caller;
use crate::http::resource::{created, gone, listed, named, reference, sure};
use crate::http::resource_at;

/// A client whose JWTs call on the application's account.
#[derive(Serialize, ToSchema)]
#[schema(as = MappedClient)]
pub(super) struct MappedClientView {
    id: String,
    application_id: String,
    identity_provider_id: String,
    /// What its JWTs hold in `client_id` or `azp`.
    client_id: String,
    /// production or sandbox.
    key_type: &'static str,
    /// RFC 3339.
    created_at: String,
}

impl MappedClientView {
    fn of(client: MappedClient) -> Self {
        Self {
            id: client.id.to_string(),
            application_id: client.application_id.to_string(),
            identity_provider_id: client.identity_provider_id.to_string(),
            client_id: client.client_id,
            key_type: client.key_type.as_str(),
            created_at: client.created_at.rfc3339(),
        }
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let all = "/api/v1/applications/{id}/mapped-clients";
    let one = "/api/v1/applications/{id}/mapped-clients/{mapping_id}";
    config
        .service(resource_at(all, "GET, POST").route(web::get().to(list)).route(web::post().to(map)))
        .service(resource_at(one, "DELETE").route(web::delete().to(unmap)));
}

/// The clients that stand for the application.
#[utoipa::path(get, path = "/api/v1/applications/{id}/mapped-clients", tag = "Applications", params(("id" = String, Path)),
    responses((status = 200, body = Listing<MappedClientView>), (status = 404)))]
pub(super) async fn list(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let clients = list_mapped_clients(&app, actor, application_id(&id)?).await?;
    Ok(listed(&Listing { items: clients.into_iter().map(MappedClientView::of).collect(), next: None }))
}

/// Lets JWTs of a provider's client call APIs whose `security` lists `jwt`, on the application's account. For
/// administrators: whose client it is cannot be proved here.
#[utoipa::path(post, path = "/api/v1/applications/{id}/mapped-clients", tag = "Applications", params(("id" = String, Path)),
    request_body(content = Object, description = "{identity_provider_id, client_id, key_type}", example = json!({
        "identity_provider_id": "0198c7a4-0000-7000-8000-000000000000", "client_id": "mobile", "key_type": "production"
    })),
    responses((status = 201, body = MappedClientView), (status = 409, description = "the client is mapped"), (status = 422)))]
pub(super) async fn map(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let provider = reference(&mut fields, "identity_provider_id", IdentityProviderId::parse);
    let client_id = fields.required_text("client_id", LONGEST);
    let key_type = key_type(&mut fields);
    fields.finish()?;
    let draft = Draft { identity_provider_id: sure(provider)?, client_id, key_type: sure(key_type)? };
    let made = map_client(&app, actor, application_id(&id)?, draft, app.clock.now()).await?;
    let location = format!("/api/v1/applications/{}/mapped-clients/{}", made.application_id, made.id);
    Ok(created(&location, 1, &MappedClientView::of(made)))
}

/// Removes a mapping: JWTs of that client are refused, and live connections that they opened end, within a second.
#[utoipa::path(delete, path = "/api/v1/applications/{id}/mapped-clients/{mapping_id}", tag = "Applications",
    params(("id" = String, Path), ("mapping_id" = String, Path)), responses((status = 204), (status = 404)))]
pub(super) async fn unmap(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let which = (application_id(&path.0)?, named(MappedClientId::parse(&path.1), "mapped client")?);
    unmap_client(&app, actor, which, app.clock.now()).await?;
    Ok(gone())
}
