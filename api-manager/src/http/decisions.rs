//! `GET /api/v1/decisions/{request_id}`: why the gateway refused a request.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_server::problem::Problem;
use utoipa::{OpenApi, ToSchema};

use super::caller::Caller;
use super::resource::listed;
use super::resource_at;
use super::steps::StepReply;
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::explanation::Explanation;
use crate::flows::explain_refusal::explain_refusal;

const READERS: [Right; 4] = [Right::ViewApis, Right::Subscribe, Right::CreateApis, Right::PublishApis];

/// The route and its description.
#[derive(OpenApi)]
#[openapi(paths(find), components(schemas(DecisionReply)))]
pub struct Docs;

/// Mounts the route.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(resource_at("/api/v1/decisions/{request_id}", "GET").route(web::get().to(find)));
}

/// A refused request, and the gateway's steps in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
struct DecisionReply {
    request_id: String,
    /// RFC 3339.
    at: String,
    method: String,
    /// Without the query.
    path: String,
    /// Of the answer.
    status: u16,
    /// The stable word of the log.
    reason: &'static str,
    /// The API, where the path leads to one.
    api_id: Option<String>,
    /// Whose credentials came, where that is known.
    application_id: Option<String>,
    checks: Vec<StepReply>,
}

/// Why a request was refused, by the `X-Request-Id` of the refusal: for the owners of the API and of the application, and
/// for administrators. Each node remembers its own last 10,000 refusals, of one API at most 500, until it stops.
#[utoipa::path(get, path = "/api/v1/decisions/{request_id}", tag = "Gateway", params(("request_id" = String, Path)),
    responses((status = 200, body = DecisionReply), (status = 404, description = "unknown, forgotten, of another node or somebody else's")))]
async fn find(
    app: web::Data<App>,
    caller: Caller,
    request_id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    Ok(listed(&DecisionReply::of(&*explain_refusal(&app, actor, &request_id).await?)))
}

impl DecisionReply {
    fn of(explanation: &Explanation) -> Self {
        Self {
            request_id: explanation.request_id.to_string(),
            at: explanation.at.rfc3339(),
            method: explanation.method.to_string(),
            path: explanation.path.to_string(),
            status: explanation.status,
            reason: explanation.reason,
            api_id: explanation.api.map(|id| id.to_string()),
            application_id: explanation.application.map(|id| id.to_string()),
            checks: explanation.checks().into_iter().map(StepReply::of).collect(),
        }
    }
}
