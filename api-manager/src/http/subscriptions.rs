//! `/api/v1/subscriptions`: developers subscribe, publishers block and unblock.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared_claims::field_error::FieldError;
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::{OpenApi, ToSchema};

use super::caller::Caller;
use super::resource::{created, gone, listed, named, reference, shown, sure};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::ids::{ApiId, ApplicationId, SubscriptionId};
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::flows;
use crate::flows::subscribe::Wish;

/// Developers see those of their applications, publishers those to their APIs.
const READERS: [Right; 2] = [Right::Subscribe, Right::PublishApis];

/// The routes and their description.
#[derive(OpenApi)]
#[openapi(paths(list, create, read, replace, delete, block, unblock), components(schemas(SubscriptionView)))]
pub struct Docs;

/// Mounts the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            super::resource_at("/api/v1/subscriptions", "GET, POST")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            super::resource_at("/api/v1/subscriptions/{id}", "GET, PUT, DELETE")
                .route(web::get().to(read))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        )
        .service(super::resource_at("/api/v1/subscriptions/{id}/block", "POST").route(web::post().to(block)))
        .service(
            super::resource_at("/api/v1/subscriptions/{id}/unblock", "POST").route(web::post().to(unblock)),
        );
}

/// An application's right to call an API.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
struct SubscriptionView {
    #[schema(read_only)]
    id: String,
    application_id: String,
    api_id: String,
    /// One of the API's tiers.
    tier: String,
    /// active or blocked.
    #[schema(read_only)]
    state: &'static str,
    /// RFC 3339.
    #[schema(read_only)]
    created_at: String,
    /// RFC 3339.
    #[schema(read_only)]
    updated_at: String,
}

impl SubscriptionView {
    fn of(subscription: Subscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            application_id: subscription.application_id.to_string(),
            api_id: subscription.api_id.to_string(),
            tier: subscription.tier,
            state: subscription.state.as_str(),
            created_at: subscription.created_at.rfc3339(),
            updated_at: subscription.updated_at.rfc3339(),
        }
    }
}

/// The subscriptions of the caller's applications and, for publishers, to the caller's APIs.
#[utoipa::path(get, path = "/api/v1/subscriptions", tag = "Subscriptions", params(
    ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ("application_id" = Option<String>, Query), ("api_id" = Option<String>, Query),
), responses((status = 200, body = Listing<SubscriptionView>)))]
async fn list(
    app: web::Data<App>,
    caller: Caller,
    page: Page,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let narrow = narrow(&request)?;
    let after = (page.after.clone().unwrap_or_default(), page.rows());
    let found = flows::browse_subscriptions::list_subscriptions(&app, actor, narrow, after).await?;
    let page = Listing::new(found, page.limit, |subscription| subscription.id.to_string());
    Ok(listed(&Listing {
        items: page.items.into_iter().map(SubscriptionView::of).collect(),
        next: page.next,
    }))
}

fn narrow(request: &HttpRequest) -> Result<(Option<ApplicationId>, Option<ApiId>), Problem> {
    let unreadable = |_| Problem::bad_request("the query cannot be read");
    let pairs =
        web::Query::<Vec<(String, String)>>::from_query(request.query_string()).map_err(unreadable)?;
    let find = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut errors = Vec::new();
    let application = find("application_id").map(ApplicationId::parse);
    let api = find("api_id").map(ApiId::parse);
    for (name, is_bad) in [("application_id", application == Some(None)), ("api_id", api == Some(None))] {
        if is_bad {
            errors.push(FieldError::new(name, "must be an id: a UUID in lower case with hyphens"));
        }
    }
    if errors.is_empty() { Ok((application.flatten(), api.flatten())) } else { Err(Problem::fields(errors)) }
}

/// Subscribes an application to a published API.
#[utoipa::path(post, path = "/api/v1/subscriptions", tag = "Subscriptions", request_body = SubscriptionView,
    responses((status = 201, body = SubscriptionView), (status = 409, description = "subscribed already, or the API takes none"), (status = 422)))]
async fn create(app: web::Data<App>, caller: Caller, mut fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let application_id = reference(&mut fields, "application_id", ApplicationId::parse);
    let api_id = reference(&mut fields, "api_id", ApiId::parse);
    let tier = fields.required_text("tier", 60);
    fields.finish()?;
    let wish = Wish { application_id: sure(application_id)?, api_id: sure(api_id)?, tier };
    let subscription = flows::subscribe::subscribe(&app, actor, wish, app.clock.now()).await?;
    let location = format!("/api/v1/subscriptions/{}", subscription.id);
    Ok(created(&location, subscription.revision, &SubscriptionView::of(subscription)))
}

/// One subscription.
#[utoipa::path(get, path = "/api/v1/subscriptions/{id}", tag = "Subscriptions", params(("id" = String, Path)),
    responses((status = 200, body = SubscriptionView), (status = 404)))]
async fn read(app: web::Data<App>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let found = flows::browse_subscriptions::find_subscription(&app, actor, subscription_id(&id)?).await?;
    Ok(shown(found.revision, &SubscriptionView::of(found)))
}

/// Moves a subscription to another tier of the API.
#[utoipa::path(put, path = "/api/v1/subscriptions/{id}", tag = "Subscriptions",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body(content = Object, description = "{tier}"),
    responses((status = 200, body = SubscriptionView), (status = 412), (status = 422)))]
async fn replace(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let tier = fields.required_text("tier", 60);
    fields.ignore(&["id", "application_id", "api_id", "state", "created_at", "updated_at"]);
    fields.finish()?;
    let which = (subscription_id(&id)?, expected_revision(&request)?);
    let changed = flows::change_subscription::change_tier(&app, actor, which, tier, app.clock.now()).await?;
    Ok(shown(changed.revision, &SubscriptionView::of(changed)))
}

/// Ends a subscription.
#[utoipa::path(delete, path = "/api/v1/subscriptions/{id}", tag = "Subscriptions",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204), (status = 404), (status = 412)))]
async fn delete(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    flows::unsubscribe::unsubscribe(&app, actor, subscription_id(&id)?, expected_revision(&request)?).await?;
    Ok(gone())
}

/// Stops a subscription: its calls are refused until it is unblocked.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/block", tag = "Subscriptions", params(("id" = String, Path)),
    responses((status = 200, body = SubscriptionView), (status = 404)))]
async fn block(app: web::Data<App>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    put_into(&app, &caller, &id, SubscriptionState::Blocked).await
}

/// Lets a blocked subscription pass again.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/unblock", tag = "Subscriptions", params(("id" = String, Path)),
    responses((status = 200, body = SubscriptionView), (status = 404)))]
async fn unblock(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    put_into(&app, &caller, &id, SubscriptionState::Active).await
}

async fn put_into(
    app: &App,
    caller: &Caller,
    id: &str,
    state: SubscriptionState,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::PublishApis)?;
    let id = subscription_id(id)?;
    let changed = flows::block_subscription::put_into(app, actor, id, state, app.clock.now()).await?;
    Ok(shown(changed.revision, &SubscriptionView::of(changed)))
}

fn subscription_id(text: &str) -> Result<SubscriptionId, Problem> {
    named(SubscriptionId::parse(text), "subscription")
}
