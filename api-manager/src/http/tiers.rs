//! `/api/v1/tiers`: named rate limits.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::{OpenApi, ToSchema};

use super::caller::Caller;
use super::resource::{created, description, gone, listed, shown};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::tier::{Limit, MOST, Tier, parse_name};
use crate::flows;
use crate::flows::create_tier::Draft;

const READERS: [Right; 4] = [Right::ViewApis, Right::Subscribe, Right::CreateApis, Right::PublishApis];

/// The routes and their description.
#[derive(OpenApi)]
#[openapi(paths(list, create, read, replace, delete), components(schemas(TierView)))]
pub struct Docs;

/// Mounts the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            super::resource_at("/api/v1/tiers", "GET, POST")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            super::resource_at("/api/v1/tiers/{name}", "GET, PUT, DELETE")
                .route(web::get().to(read))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        );
}

/// A named rate limit: so many requests in so many seconds. Without both it has no limit.
#[derive(Serialize, ToSchema)]
#[schema(as = Tier)]
struct TierView {
    /// Letters, digits and - . _ ~. Fixed once it is made.
    name: String,
    description: String,
    requests: Option<u32>,
    /// At least 1.
    per_seconds: Option<u32>,
    /// How many at once, at most `requests`; null means as many.
    burst: Option<u32>,
    /// RFC 3339.
    #[schema(read_only)]
    created_at: String,
    /// RFC 3339.
    #[schema(read_only)]
    updated_at: String,
}

impl TierView {
    fn of(tier: Tier) -> Self {
        Self {
            name: tier.name,
            description: tier.description,
            requests: tier.limit.map(|limit| limit.requests),
            per_seconds: tier.limit.map(|limit| limit.per_seconds),
            burst: tier.limit.and_then(|limit| limit.burst),
            created_at: tier.created_at.rfc3339(),
            updated_at: tier.updated_at.rfc3339(),
        }
    }
}

/// The tiers, by name.
#[utoipa::path(get, path = "/api/v1/tiers", tag = "Tiers",
    params(("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Listing<TierView>)))]
async fn list(app: web::Data<App>, caller: Caller, page: Page) -> Result<HttpResponse, Problem> {
    caller.with_any(&READERS)?;
    let found =
        flows::browse_tiers::list_tiers(&app, page.after.clone().unwrap_or_default(), page.rows()).await?;
    let page = Listing::new(found, page.limit, |tier| tier.name.clone());
    Ok(listed(&Listing { items: page.items.into_iter().map(TierView::of).collect(), next: page.next }))
}

/// Makes a tier.
#[utoipa::path(post, path = "/api/v1/tiers", tag = "Tiers", request_body(content = TierView, example = json!({
    "name": "Small", "requests": 60, "per_seconds": 60, "burst": 5
})),
    responses((status = 201, body = TierView), (status = 409), (status = 422)))]
async fn create(app: web::Data<App>, caller: Caller, mut fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let name = fields.required_text("name", 60);
    if let Err(fault) = parse_name(&name)
        && !name.is_empty()
    {
        fields.blame("name", fault);
    }
    let draft = draft(&mut fields, name);
    fields.finish()?;
    let tier = flows::create_tier::create_tier(&app, actor, draft, app.clock.now()).await?;
    Ok(created(&format!("/api/v1/tiers/{}", tier.name), tier.revision, &TierView::of(tier)))
}

/// One tier.
#[utoipa::path(get, path = "/api/v1/tiers/{name}", tag = "Tiers", params(("name" = String, Path)),
    responses((status = 200, body = TierView), (status = 404)))]
async fn read(app: web::Data<App>, caller: Caller, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    caller.with_any(&READERS)?;
    let tier = flows::browse_tiers::find_tier(&app, name.into_inner()).await?;
    Ok(shown(tier.revision, &TierView::of(tier)))
}

/// Replaces a tier's description and limit.
#[utoipa::path(put, path = "/api/v1/tiers/{name}", tag = "Tiers",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)), request_body = TierView,
    responses((status = 200, body = TierView), (status = 404), (status = 412), (status = 422)))]
async fn replace(
    app: web::Data<App>,
    caller: Caller,
    name: web::Path<String>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let name = name.into_inner();
    if fields.text("name", 60).is_some_and(|sent| sent != name) {
        fields.blame("name", "cannot change; make another tier");
    }
    let draft = draft(&mut fields, name);
    fields.finish()?;
    let expected = expected_revision(&request)?;
    let tier = flows::replace_tier::replace_tier(&app, actor, draft, expected, app.clock.now()).await?;
    Ok(shown(tier.revision, &TierView::of(tier)))
}

/// Removes a tier that nothing uses.
#[utoipa::path(delete, path = "/api/v1/tiers/{name}", tag = "Tiers",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 404), (status = 409, description = "in use, or Unlimited"), (status = 412)))]
async fn delete(
    app: web::Data<App>,
    caller: Caller,
    name: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    flows::delete_tier::delete_tier(&app, actor, name.into_inner(), expected_revision(&request)?).await?;
    Ok(gone())
}

fn draft(fields: &mut Fields, name: String) -> Draft {
    let description = description(fields);
    let mut number = |name| fields.integer(name, 1..=MOST).and_then(|number| u32::try_from(number).ok());
    let (requests, per_seconds, burst) = (number("requests"), number("per_seconds"), number("burst"));
    fields.ignore(&["created_at", "updated_at"]);
    let limit = match (requests, per_seconds) {
        (Some(requests), Some(per_seconds)) => Some(Limit { requests, per_seconds, burst }),
        (None, None) => {
            if burst.is_some() {
                fields.blame("burst", "needs requests and per_seconds");
            }
            None
        }
        (Some(_), None) => {
            fields.blame("per_seconds", "is required with requests");
            None
        }
        (None, Some(_)) => {
            fields.blame("requests", "is required with per_seconds");
            None
        }
    };
    if let Some((member, fault)) = limit.as_ref().and_then(Limit::fault) {
        fields.blame(member, fault);
    }
    Draft { name, description, limit }
}
