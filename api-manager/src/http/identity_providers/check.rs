//! `POST /api/v1/identity-providers/check`: the exchange explained step by step, changing nothing.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_server::fields::Fields;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::actor::Right;
use crate::flows::{self, Checked, Denied, FlowError};
use crate::http::caller::Caller;
use crate::http::steps::StepReply;

/// The longest assertion that is looked at, in bytes: more than the exchange takes, to be able to say so.
const LONGEST_ASSERTION: usize = 64 * 1024;

/// What is to be explained.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the body is read field by field")]
pub(super) struct CheckBody {
    /// The JWT as it would be sent to the token endpoint.
    assertion: String,
    /// The consumer key that would send it.
    client_id: Option<String>,
}

/// The steps of the exchange, in their order.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckReply {
    /// Whether the exchange would take the assertion.
    accepted: bool,
    /// The provider that the assertion names.
    identity_provider_id: Option<String>,
    checks: Vec<StepReply>,
}

/// Explains what the exchange would do with an assertion, and what to change. The assertion is not used up.
#[utoipa::path(
    post, path = "/api/v1/identity-providers/check", tag = "Identity providers",
    request_body = CheckBody,
    responses((status = 200, description = "The steps", body = CheckReply), (status = 422, description = "Fields are wrong"))
)]
pub(super) async fn check(
    app: web::Data<App>,
    caller: Caller,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    caller.with(Right::Administer)?;
    let assertion = fields.long_text("assertion", LONGEST_ASSERTION);
    if assertion.is_none() && !fields.is_blamed("assertion") {
        fields.blame("assertion", "is required");
    }
    let client_id = fields.text("client_id", 255);
    fields.finish()?;
    let assertion = assertion.unwrap_or_default().trim().to_owned();
    let checked = flows::check_assertion(&app, assertion, client_id, app.clock.now()).await;
    let checked = checked.map_err(|denied| match denied {
        Denied::Storage(error) => FlowError::Storage(error),
        // A refusal is part of the answer; whatever else there is, is ours.
        other => FlowError::Fault(format!("{other:?}")),
    })?;
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(CheckReply::of(checked)))
}

impl CheckReply {
    fn of(checked: Checked) -> Self {
        Self {
            accepted: checked.is_accepted(),
            identity_provider_id: checked.identity_provider.map(|id| id.to_string()),
            checks: checked.checks.into_iter().map(StepReply::of).collect(),
        }
    }
}
