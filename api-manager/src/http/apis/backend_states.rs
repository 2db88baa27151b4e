//! `/api/v1/apis/{id}/backends`: how an API's backends are doing, for those who run it.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::{READERS, api_id};
use crate::app::App;
use crate::flows::read_backends::{Standing, read_backends};
use crate::http::caller::Caller;
use crate::http::resource::listed;

/// The backends of an API.
#[derive(Serialize, ToSchema)]
#[schema(as = BackendStates)]
pub(super) struct StatesView {
    items: Vec<StateView>,
}

/// How one backend is doing, on the node that answers.
#[derive(Serialize, ToSchema)]
#[schema(as = BackendState)]
pub(super) struct StateView {
    /// production or sandbox.
    key_type: &'static str,
    url: String,
    /// 0 is drained.
    weight: u8,
    /// healthy, ejected, unhealthy, or unknown where the gateway has not heard of it yet.
    state: &'static str,
    /// Since when, RFC 3339.
    since: Option<String>,
    /// Requests whose answers have not ended.
    in_flight: u32,
    /// Requests whose answers have not begun.
    pending: u32,
}

impl StateView {
    fn of(Standing { key_type, backend, report }: Standing) -> Self {
        Self {
            key_type: key_type.as_str(),
            url: backend.url,
            weight: backend.weight,
            state: report.map_or("unknown", |report| report.condition.as_str()),
            since: report.map(|report| report.since.rfc3339()),
            in_flight: report.map_or(0, |report| report.in_flight),
            pending: report.map_or(0, |report| report.pending),
        }
    }
}

/// Mounts the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        crate::http::resource_at("/api/v1/apis/{id}/backends", "GET").route(web::get().to(read_states)),
    );
}

/// How the API's backends are doing on this node; for its owner and administrators.
#[utoipa::path(get, path = "/api/v1/apis/{id}/backends", tag = "APIs", params(("id" = String, Path)), responses(
    (status = 200, body = StatesView), (status = 403, description = "it is another's"), (status = 404)))]
pub(super) async fn read_states(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let standings = read_backends(&app, actor, api_id(&id)?).await?;
    Ok(listed(&StatesView { items: standings.into_iter().map(StateView::of).collect() }))
}
