//! `/api/v1/deny-rules`: whom the gateway keeps away.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared_claims::clock::UnixTime;
use shared_server::etag::expected_revision;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::{OpenApi, ToSchema};

use super::caller::Caller;
use super::resource::{created, gone, listed, named, shown};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::deny::{AddressRange, Conditions, DenyRule, Draft, Subject};
use crate::domain::ids::{ApiId, ApplicationId, DenyRuleId};
use crate::flows::deny_rules as flows;

/// The routes and their description.
#[derive(OpenApi)]
#[openapi(paths(list, create, read, replace, delete), components(schemas(DenyRuleView, ConditionsView)))]
pub struct Docs;

/// Mounts the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            super::resource_at("/api/v1/deny-rules", "GET, POST")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            super::resource_at("/api/v1/deny-rules/{id}", "GET, PUT, DELETE")
                .route(web::get().to(read))
                .route(web::put().to(replace))
                .route(web::delete().to(delete)),
        );
}

/// Calls to which all conditions apply are refused with 403 and the code 900805.
#[derive(Serialize, ToSchema)]
#[schema(as = DenyRule)]
struct DenyRuleView {
    #[schema(read_only)]
    id: String,
    conditions: ConditionsView,
    /// True where not said.
    enabled: bool,
    /// Shown to administrators only.
    reason: Option<String>,
    /// RFC 3339; from then on the rule no longer counts.
    expires_at: Option<String>,
    /// RFC 3339.
    #[schema(read_only)]
    created_at: String,
    /// RFC 3339.
    #[schema(read_only)]
    updated_at: String,
}

/// At least one.
#[derive(Serialize, ToSchema)]
#[schema(as = DenyConditions)]
struct ConditionsView {
    /// An IP address, or a range of them in CIDR form. Compared with the peer of the connection.
    #[schema(example = "203.0.113.0/24")]
    ip: Option<String>,
    application_id: Option<String>,
    subject: Option<String>,
    /// Narrows `subject` to one issuer.
    issuer: Option<String>,
    api_id: Option<String>,
}

impl DenyRuleView {
    fn of(rule: DenyRule) -> Self {
        let Conditions { addresses, application, subject, api } = rule.conditions;
        let (subject, issuer) = subject.map_or((None, None), |subject| (Some(subject.name), subject.issuer));
        Self {
            id: rule.id.to_string(),
            conditions: ConditionsView {
                ip: addresses.map(|range| range.to_string()),
                application_id: application.map(|id| id.to_string()),
                subject,
                issuer,
                api_id: api.map(|id| id.to_string()),
            },
            enabled: rule.enabled,
            reason: Some(rule.reason).filter(|reason| !reason.is_empty()),
            expires_at: rule.expires_at.map(UnixTime::rfc3339),
            created_at: rule.created_at.rfc3339(),
            updated_at: rule.updated_at.rfc3339(),
        }
    }
}

/// The deny rules, the oldest first.
#[utoipa::path(get, path = "/api/v1/deny-rules", tag = "Gateway",
    params(("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Listing<DenyRuleView>)))]
async fn list(app: web::Data<App>, caller: Caller, page: Page) -> Result<HttpResponse, Problem> {
    caller.with(Right::Administer)?;
    let found = flows::list_deny_rules(&app, page.after.clone().unwrap_or_default(), page.rows()).await?;
    let page = Listing::new(found, page.limit, |rule| rule.id.to_string());
    Ok(listed(&Listing { items: page.items.into_iter().map(DenyRuleView::of).collect(), next: page.next }))
}

/// Makes a deny rule. It holds at once here, within a second on other nodes, and for live connections too.
#[utoipa::path(post, path = "/api/v1/deny-rules", tag = "Gateway", request_body(content = DenyRuleView, example = json!({
    "conditions": {"ip": "203.0.113.0/24"}, "reason": "floods", "expires_at": "2026-12-31T00:00:00Z"
})),
    responses((status = 201, body = DenyRuleView), (status = 409), (status = 422)))]
async fn create(app: web::Data<App>, caller: Caller, mut fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let draft = draft(&mut fields);
    fields.finish()?;
    let rule = flows::create_deny_rule(&app, actor, draft, app.clock.now()).await?;
    Ok(created(&format!("/api/v1/deny-rules/{}", rule.id), rule.revision, &DenyRuleView::of(rule)))
}

/// One deny rule.
#[utoipa::path(get, path = "/api/v1/deny-rules/{id}", tag = "Gateway", params(("id" = String, Path)),
    responses((status = 200, body = DenyRuleView), (status = 404)))]
async fn read(app: web::Data<App>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    caller.with(Right::Administer)?;
    let rule = flows::find_deny_rule(&app, parsed(&id)?).await?;
    Ok(shown(rule.revision, &DenyRuleView::of(rule)))
}

/// Replaces a deny rule.
#[utoipa::path(put, path = "/api/v1/deny-rules/{id}", tag = "Gateway",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = DenyRuleView,
    responses((status = 200, body = DenyRuleView), (status = 404), (status = 412), (status = 422)))]
async fn replace(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let id = parsed(&id)?;
    let draft = draft(&mut fields);
    fields.finish()?;
    let expected = expected_revision(&request)?;
    let rule = flows::replace_deny_rule(&app, actor, (id, draft), expected, app.clock.now()).await?;
    Ok(shown(rule.revision, &DenyRuleView::of(rule)))
}

/// Removes a deny rule.
#[utoipa::path(delete, path = "/api/v1/deny-rules/{id}", tag = "Gateway",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 404), (status = 412)))]
async fn delete(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    flows::delete_deny_rule(&app, actor, parsed(&id)?, expected_revision(&request)?).await?;
    Ok(gone())
}

fn parsed(id: &str) -> Result<DenyRuleId, Problem> {
    named(DenyRuleId::parse(id), "deny rule")
}

fn draft(fields: &mut Fields) -> Draft {
    let was_sent = fields.has("conditions");
    let conditions = fields.object("conditions", conditions);
    if !was_sent {
        fields.blame("conditions", "is required; name at least one of ip, application_id, subject, api_id");
    }
    let expires_at = fields.text("expires_at", 40).and_then(|text| {
        let moment = UnixTime::parse_rfc3339(&text);
        if moment.is_none() {
            fields.blame("expires_at", "must be a moment as in 2026-01-31T12:00:00Z (RFC 3339)");
        }
        moment
    });
    let enabled = fields.flag("enabled").unwrap_or(true);
    let reason = fields.text("reason", 500).unwrap_or_default();
    fields.ignore(&["id", "created_at", "updated_at"]);
    Draft { conditions: conditions.unwrap_or_default(), enabled, reason, expires_at }
}

fn conditions(fields: &mut Fields) -> Conditions {
    let names = ["ip", "application_id", "subject", "api_id"];
    if !names.iter().any(|name| fields.has(name)) {
        fields.blame("ip", "or application_id, subject or api_id is required: a rule denies somebody");
    }
    let with_subject = fields.has("subject");
    let issuer = fields.text("issuer", 255);
    if issuer.is_some() && !with_subject {
        fields.blame("issuer", "only narrows subject; leave it out, or name the subject as well");
    }
    Conditions {
        addresses: fields.text("ip", 64).and_then(|text| match AddressRange::parse(&text) {
            Ok(range) => Some(range),
            Err(fault) => {
                fields.blame("ip", fault);
                None
            }
        }),
        application: id(fields, "application_id", ApplicationId::parse),
        subject: fields.text("subject", 255).map(|name| Subject { name, issuer }),
        api: id(fields, "api_id", ApiId::parse),
    }
}

fn id<T>(fields: &mut Fields, name: &'static str, parse: fn(&str) -> Option<T>) -> Option<T> {
    let id = parse(&fields.text(name, 36)?);
    if id.is_none() {
        fields.blame(name, "must be an id: a UUID in lower case with hyphens");
    }
    id
}
