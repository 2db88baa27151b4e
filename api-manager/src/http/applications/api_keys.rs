//! `/api/v1/applications/{id}/api-keys`: keys that stand for the application itself.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_claims::secret::Secret;
use shared_server::fields::Fields;
use shared_server::listing::Listing;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::{application_id, key_type};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::api_key::{ApiKey, Draft, LIFETIMES, MOST_RULES, RefererRule};
use crate::domain::deny::AddressRange;
use crate::domain::ids::ApiKeyId;
use crate::flows;
use crate::http::caller::Caller;
use crate::http::resource::{created, gone, listed, name, named, sure};
use crate::http::resource_at;

/// A key that stands for its application, sent in the header `apikey`.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct ApiKeyView {
    id: String,
    application_id: String,
    /// Unique among the application's.
    name: String,
    /// production or sandbox.
    key_type: &'static str,
    /// Only in the answer that makes it; it is not kept and cannot be shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    /// RFC 3339; null where it holds until it is revoked.
    expires_at: Option<String>,
    /// Addresses and ranges that it may be used from; none means everywhere.
    allowed_ips: Vec<String>,
    /// Origins and pages that it may be used from; none means everywhere.
    allowed_referers: Vec<String>,
    /// RFC 3339.
    created_at: String,
}

impl ApiKeyView {
    fn of(key: ApiKey, secret: Option<&Secret>) -> Self {
        Self {
            id: key.id.to_string(),
            application_id: key.application_id.to_string(),
            name: key.name,
            key_type: key.key_type.as_str(),
            // The developer sees it this once.
            api_key: secret.map(|secret| secret.expose().to_owned()),
            expires_at: key.expires_at.map(|end| end.rfc3339()),
            allowed_ips: key.allowed_ips.iter().map(ToString::to_string).collect(),
            allowed_referers: key.allowed_referers.iter().map(ToString::to_string).collect(),
            created_at: key.created_at.rfc3339(),
        }
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let keys = "/api/v1/applications/{id}/api-keys";
    let one = "/api/v1/applications/{id}/api-keys/{key_id}";
    config
        .service(resource_at(keys, "GET, POST").route(web::get().to(list)).route(web::post().to(make)))
        .service(resource_at(one, "DELETE").route(web::delete().to(revoke)));
}

/// The application's API keys, without the keys themselves.
#[utoipa::path(get, path = "/api/v1/applications/{id}/api-keys", tag = "Applications", params(("id" = String, Path)),
    responses((status = 200, body = Listing<ApiKeyView>), (status = 404)))]
pub(super) async fn list(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let keys = flows::api_keys::list_api_keys(&app, actor, application_id(&id)?).await?;
    Ok(listed(&Listing {
        items: keys.into_iter().map(|key| ApiKeyView::of(key, None)).collect(),
        next: None,
    }))
}

/// Makes an API key. The answer holds it, this once. It opens APIs whose `security` lists `api_key`, on the
/// application's subscriptions and limits; operations that ask for a scope refuse it.
#[utoipa::path(post, path = "/api/v1/applications/{id}/api-keys", tag = "Applications", params(("id" = String, Path)),
    request_body(content = Object, description = "{name, key_type, expires_in?, allowed_ips?, allowed_referers?}; expires_in in seconds, \
        allowed_ips as 192.0.2.7 or 192.0.2.0/24, allowed_referers as https://app.example, https://app.example/shop/* or https://*.app.example"),
    responses((status = 201, body = ApiKeyView), (status = 409, description = "the name is used"), (status = 422)))]
pub(super) async fn make(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let name = name(&mut fields);
    let key_type = key_type(&mut fields);
    let expires_in = fields.integer("expires_in", LIFETIMES);
    let allowed_ips = rules(&mut fields, "allowed_ips", AddressRange::parse);
    let allowed_referers = rules(&mut fields, "allowed_referers", RefererRule::parse);
    fields.finish()?;
    let draft = Draft { name, key_type: sure(key_type)?, expires_in, allowed_ips, allowed_referers };
    let (key, secret) =
        flows::api_keys::make_api_key(&app, actor, application_id(&id)?, draft, app.clock.now()).await?;
    let location = format!("/api/v1/applications/{}/api-keys/{}", key.application_id, key.id);
    Ok(created(&location, 1, &ApiKeyView::of(key, Some(&secret))))
}

/// Revokes an API key: calls with it are refused, and live connections that it opened end, within a second.
#[utoipa::path(delete, path = "/api/v1/applications/{id}/api-keys/{key_id}", tag = "Applications",
    params(("id" = String, Path), ("key_id" = String, Path)), responses((status = 204), (status = 404)))]
pub(super) async fn revoke(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let which = (application_id(&path.0)?, named(ApiKeyId::parse(&path.1), "API key")?);
    flows::api_keys::revoke_api_key(&app, actor, which, app.clock.now()).await?;
    Ok(gone())
}

fn rules<T, F: Into<String>>(
    fields: &mut Fields,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, F>,
) -> Vec<T> {
    let mut rules = Vec::new();
    let texts = fields.texts(name, MOST_RULES, 300, false).unwrap_or_default();
    for (place, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(rule) => rules.push(rule),
            Err(fault) => fields.blame(&format!("{name}[{place}]"), fault),
        }
    }
    rules
}
