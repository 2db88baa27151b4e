//! `/api/v1/apis`: publishers make APIs and move them through their lives, everybody with the right looks at them.

mod backend_states;
mod backends;
mod caching;
mod form;
mod openapi;
mod openapi_body;
mod security;
mod transforms;
mod transport;
mod view;

use actix_web::{HttpRequest, HttpResponse, web};
use shared_claims::field_error::FieldError;
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::OpenApi;

use super::caller::Caller;
use super::resource::{created, gone, listed, named, shown, sure};
use crate::app::App;
use crate::domain::actor::{Actor, Right};
use crate::domain::api::search::Search;
use crate::domain::api::{Api, Draft};
use crate::domain::ids::ApiId;
use crate::domain::lifecycle::{Action, State};
use crate::flows;
use crate::flows::replace_api::Replacement;
use view::{ApiView, LifecycleView};

const READERS: [Right; 4] = [Right::ViewApis, Right::CreateApis, Right::PublishApis, Right::Subscribe];

/// The routes and their description.
#[derive(OpenApi)]
#[openapi(
    paths(
        list,
        create,
        read,
        replace,
        delete,
        copy,
        read_lifecycle,
        change_lifecycle,
        backend_states::read_states,
        openapi::import,
        openapi::validate,
        openapi::describe,
        openapi::replace
    ),
    components(schemas(
        ApiView,
        backends::BackendsView,
        backends::BackendView,
        backends::EjectionView,
        backends::HealthCheckView,
        backends::RetriesView,
        backends::CircuitBreakerView,
        backend_states::StatesView,
        backend_states::StateView,
        view::OperationView,
        view::CorsView,
        view::TimeoutsView,
        transport::BackendTlsView,
        LifecycleView,
        view::EventView,
        openapi::ValidationView,
        openapi::ProblemView
    ))
)]
pub struct Docs;

/// Mounts the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    let one = "/api/v1/apis/{id}";
    openapi::routes(config);
    backend_states::routes(config);
    config
        .service(
            super::resource_at("/api/v1/apis", "GET, POST")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            super::resource_at(one, "GET, PUT, DELETE")
                .route(web::get().to(read))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        )
        .service(super::resource_at("/api/v1/apis/{id}/versions", "POST").route(web::post().to(copy)))
        .service(
            super::resource_at("/api/v1/apis/{id}/lifecycle", "GET, POST")
                .route(web::get().to(read_lifecycle))
                .route(web::post().to(change_lifecycle)),
        );
}

/// The APIs that the caller may see.
#[utoipa::path(get, path = "/api/v1/apis", tag = "APIs", params(
    ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ("tag" = Option<String>, Query, description = "one of its tags"),
    ("query" = Option<String>, Query, description = "a part of its name, context or a tag"),
    ("state" = Option<String>, Query),
), responses((status = 200, body = Listing<ApiView>)))]
async fn list(
    app: web::Data<App>,
    caller: Caller,
    page: Page,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let search = search(&request)?;
    let after = page.after.clone().unwrap_or_default();
    let found = flows::browse_apis::search_apis(&app, actor, search, (after, page.rows())).await?;
    let page = Listing::new(found, page.limit, |api| api.id.to_string());
    Ok(listed(&Listing {
        items: page.items.into_iter().map(|api| view_for(actor, api)).collect(),
        next: page.next,
    }))
}

fn search(request: &HttpRequest) -> Result<Search, Problem> {
    let unreadable = |_| Problem::bad_request("the query cannot be read");
    let pairs =
        web::Query::<Vec<(String, String)>>::from_query(request.query_string()).map_err(unreadable)?;
    let find = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let state = find("state").map(|text| {
        let words = State::ALL.map(State::as_str).join(", ");
        let unknown = || Problem::fields(vec![FieldError::new("state", format!("must be one of: {words}"))]);
        State::parse(&text).ok_or_else(unknown)
    });
    Ok(Search { tag: find("tag"), query: find("query"), state: state.transpose()? })
}

/// Where the backends are is for those who run the API; the addresses of inner networks are nobody else's business.
fn view_for(actor: &Actor, api: Api) -> ApiView {
    let owns = actor.owns(&api.owner);
    let view = ApiView::of(api);
    if owns { view } else { view.without_backends() }
}

/// Makes an API, not yet published.
#[utoipa::path(post, path = "/api/v1/apis", tag = "APIs", request_body(content = ApiView, example = json!({
    "name": "Pets", "context": "pets", "version": "1.0", "tiers": ["Gold"], "security": ["token", "api_key"],
    "backends": {
        "production": ["https://a.example", {"url": "https://b.example", "weight": 3}], "balance": "least_connections",
        "health_check": {"path": "/health"}, "circuit_breaker": {"max_requests": 200}
    },
    "backend_protocol": "http2", "backend_tls": {"server_name": "pets.internal"}, "backend_jwt": true,
    "limit_tier": "Gold", "max_tps": 500, "timeouts": {"connect": 2000, "first_byte": 10000, "idle": 60000},
    "cors": {"allow_origins": ["https://shop.example"], "allow_headers": ["Authorization"], "allow_credentials": false},
    "transforms": {"request": {"headers": {"set": {"X-Tenant": "7"}}}, "response": {"headers": {"remove": ["Server"]}}},
    "operations": [
        {"method": "GET", "path": "/cats/{id}", "scopes": ["cats:read"], "rewrite": "/v2/cats/{id}", "cache": {"ttl_seconds": 60}},
        {"method": "POST", "path": "/cats", "auth": "application", "tier": "Bronze"}
    ]
})), responses(
    (status = 201, body = ApiView, description = "with Location and ETag"),
    (status = 409, description = "the context has this version already, or is another publisher's"),
    (status = 422, description = "bad fields, all of them named"),
))]
async fn create(app: web::Data<App>, caller: Caller, mut fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::CreateApis)?;
    for name in ["context", "version"] {
        if !fields.has(name) {
            fields.blame(name, "is required");
        }
    }
    let form = form::read(&mut fields);
    fields.finish()?;
    let (context, version) = (sure(form.context)?, sure(form.version)?);
    let draft = Draft { name: form.name, context, version, definition: form.definition };
    let api = flows::create_api::create_api(&app, actor, draft, app.clock.now()).await?;
    Ok(created(&format!("/api/v1/apis/{}", api.id), api.revision, &ApiView::of(api)))
}

/// One API.
#[utoipa::path(get, path = "/api/v1/apis/{id}", tag = "APIs", params(("id" = String, Path)),
    responses((status = 200, body = ApiView, description = "with ETag"), (status = 404)))]
async fn read(app: web::Data<App>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let api = flows::browse_apis::find_api(&app, actor, api_id(&id)?).await?;
    Ok(shown(api.revision, &view_for(actor, api)))
}

/// Replaces an API; what is left out takes its default. Context and version are fixed.
#[utoipa::path(put, path = "/api/v1/apis/{id}", tag = "APIs", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = ApiView, responses((status = 200, body = ApiView), (status = 412), (status = 422)))]
async fn replace(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::CreateApis)?;
    let form = form::read(&mut fields);
    fields.finish()?;
    let which = (api_id(&id)?, expected_revision(&request)?);
    let replacement = Replacement {
        name: form.name,
        context: form.context,
        version: form.version,
        definition: form.definition,
    };
    let api = flows::replace_api::replace_api(&app, actor, which, replacement, app.clock.now()).await?;
    Ok(shown(api.revision, &ApiView::of(api)))
}

/// Removes an API: one that is created and has no subscriptions, or one that is retired.
#[utoipa::path(delete, path = "/api/v1/apis/{id}", tag = "APIs", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 409, description = "it is callable or has subscriptions")))]
async fn delete(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::CreateApis)?;
    flows::delete_api::delete_api(&app, actor, api_id(&id)?, expected_revision(&request)?).await?;
    Ok(gone())
}

/// Copies an API as a new version of its context.
#[utoipa::path(post, path = "/api/v1/apis/{id}/versions", tag = "APIs", params(("id" = String, Path)),
    request_body(content = Object, description = "{version}"), responses((status = 201, body = ApiView), (status = 409)))]
async fn copy(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::CreateApis)?;
    let version = form::required_version(&mut fields);
    fields.finish()?;
    let api = flows::copy_api::copy_api(&app, actor, api_id(&id)?, sure(version)?, app.clock.now()).await?;
    Ok(created(&format!("/api/v1/apis/{}", api.id), api.revision, &ApiView::of(api)))
}

/// Where an API is in its life, which actions it allows, and what happened to it.
#[utoipa::path(get, path = "/api/v1/apis/{id}/lifecycle", tag = "APIs", params(("id" = String, Path)),
    responses((status = 200, body = LifecycleView)))]
async fn read_lifecycle(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let (api, history) = flows::browse_apis::read_history(&app, actor, api_id(&id)?).await?;
    Ok(shown(api.revision, &LifecycleView::of(&api, history)))
}

/// Takes an action: publish, demote, block, republish, deprecate or retire. Once this answers, the gateway acts on it.
#[utoipa::path(post, path = "/api/v1/apis/{id}/lifecycle", tag = "APIs", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body(content = Object, description = "{action}"),
    responses((status = 200, body = ApiView), (status = 409, description = "an illegal move; the legal ones are named")))]
async fn change_lifecycle(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::PublishApis)?;
    if !fields.has("action") {
        fields.blame("action", "is required");
    }
    let action = fields.word("action", &Action::ALL.map(|action| (action.as_str(), action)));
    fields.finish()?;
    let which = (api_id(&id)?, expected_revision(&request)?);
    let api =
        flows::change_lifecycle::change_lifecycle(&app, actor, which, sure(action)?, app.clock.now()).await?;
    Ok(shown(api.revision, &ApiView::of(api)))
}

/// The gateway is reached under the same host, at its own port.
fn gateway_url(app: &App) -> String {
    let public = url::Url::parse(&app.settings.public_url).ok();
    let host = public.as_ref().and_then(url::Url::host_str).unwrap_or("localhost");
    format!("https://{host}:{}", app.settings.gateway_listen.port())
}

fn api_id(text: &str) -> Result<ApiId, Problem> {
    named(ApiId::parse(text), "API")
}
