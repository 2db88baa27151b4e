//! `/api/v1/revocations` and `/api/v1/grants`: taking back what was granted, and looking at where it came from.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_server::fields::Fields;
use shared_server::listing::{Listing, Page};
use shared_server::problem::Problem;
use utoipa::{OpenApi, ToSchema};

use super::caller::Caller;
use super::resource::listed;
use super::resource_at;
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::grant::{Grant, Refresh};
use crate::domain::ids::{ApplicationId, GrantId, IdentityProviderId};
use crate::domain::revocation::Revocation;
use crate::flows::browse_grants::{Selection, browse_grants};
use crate::flows::revoke;

/// Both resources, for the API description.
#[derive(OpenApi)]
#[openapi(
    paths(create, list),
    components(schemas(RevocationBody, AssertionBody, RevocationReply, GrantReply, RefreshReply))
)]
pub struct Docs;

/// Mounts both resources.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource_at("/api/v1/revocations", "POST").route(web::post().to(create)))
        .service(resource_at("/api/v1/grants", "GET").route(web::get().to(list)));
}

/// What shall be revoked: exactly one of these; `issuer` belongs to `subject`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the body is read field by field")]
pub(super) struct RevocationBody {
    /// A plain access or refresh token.
    token: Option<String>,
    /// Everything that an application ever bought.
    application_id: Option<String>,
    /// Everything bought for a subject.
    subject: Option<String>,
    /// Narrows `subject` to one issuer.
    issuer: Option<String>,
    /// Everything that one assertion bought.
    assertion: Option<AssertionBody>,
    /// Everything bought with assertions of one provider.
    identity_provider_id: Option<String>,
    /// A line of refreshed grants.
    family: Option<String>,
}

/// An assertion by what identifies it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the body is read field by field")]
pub(super) struct AssertionBody {
    issuer: String,
    jti: String,
}

/// How many grants were alive until now.
#[derive(Serialize, ToSchema)]
struct RevocationReply {
    revoked: u64,
}

/// Revokes tokens by where they came from.
#[utoipa::path(
    post, path = "/api/v1/revocations", tag = "Grants",
    request_body = RevocationBody,
    responses((status = 200, description = "They are worth nothing now", body = RevocationReply), (status = 422, description = "Fields are wrong"))
)]
async fn create(app: web::Data<App>, caller: Caller, mut fields: Fields) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Administer)?;
    let named = read(&mut fields);
    fields.finish()?;
    let revoked = match named {
        Named::Lineage(revocation) => {
            revoke::revoke_by_administrator(&app, actor, revocation, app.clock.now()).await?
        }
        Named::Token(token) => {
            revoke::revoke_token_by_administrator(&app, actor, &token, app.clock.now()).await?
        }
    };
    Ok(listed(&RevocationReply { revoked }))
}

enum Named {
    Token(String),
    Lineage(Revocation),
}

const SELECTORS: [&str; 6] =
    ["token", "application_id", "subject", "assertion", "identity_provider_id", "family"];

fn read(fields: &mut Fields) -> Named {
    if SELECTORS.iter().filter(|name| fields.has(name)).count() != 1 {
        fields.blame("", format!("exactly one of these must be given: {}", SELECTORS.join(", ")));
    }
    let with_subject = fields.has("subject");
    let token = fields.text("token", 255).map(Named::Token);
    let application = id(fields, "application_id", ApplicationId::parse).map(Revocation::Application);
    let provider =
        id(fields, "identity_provider_id", IdentityProviderId::parse).map(Revocation::IdentityProvider);
    let family = id(fields, "family", GrantId::parse).map(Revocation::Family);
    let issuer = fields.text("issuer", 255);
    if issuer.is_some() && !with_subject {
        fields.blame("issuer", "only narrows subject; leave it out, or name the subject as well");
    }
    let subject = fields.text("subject", 255).map(|subject| Revocation::Subject { subject, issuer });
    let assertion = fields.object("assertion", |fields| Revocation::Assertion {
        issuer: fields.required_text("issuer", 255),
        jti: fields.required_text("jti", 255),
    });
    let lineage = application.or(provider).or(family).or(subject).or(assertion).map(Named::Lineage);
    // Whatever is missing was blamed.
    token.or(lineage).unwrap_or(Named::Token(String::new()))
}

fn id<T>(fields: &mut Fields, name: &'static str, parse: fn(&str) -> Option<T>) -> Option<T> {
    let text = fields.text(name, 64)?;
    let id = parse(&text);
    if id.is_none() {
        fields.blame(name, "is not an id; ids are lower-case UUIDs, as the lists show them");
    }
    id
}

#[derive(Deserialize)]
struct Query {
    application_id: Option<String>,
    subject: Option<String>,
    identity_provider_id: Option<String>,
}

/// What was granted, and where it came from. Tokens are not part of it: only their digests are kept.
#[derive(Serialize, ToSchema)]
struct GrantReply {
    id: String,
    /// `active`, `expired` or `revoked`; of the access token.
    state: &'static str,
    application_id: String,
    consumer_key: String,
    key_type: &'static str,
    subject: String,
    scope: String,
    issued_at: String,
    expires_at: String,
    revoked_at: Option<String>,
    refresh: Option<RefreshReply>,
    /// The first grant of the line.
    family: String,
    /// The grant whose refresh token bought this one.
    parent: Option<String>,
    identity_provider_id: Option<String>,
    issuer: Option<String>,
    /// The key that verified the assertion.
    key_thumbprint: Option<String>,
    assertion_jti: Option<String>,
    /// Of the assertion as presented, hexadecimal.
    assertion_sha256: Option<String>,
}

/// The state of a grant's refresh token.
#[derive(Serialize, ToSchema)]
struct RefreshReply {
    expires_at: String,
    line_ends_at: String,
    spent_at: Option<String>,
    /// The grant that it bought.
    successor: Option<String>,
}

/// Lists grants with their lineage, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/grants", tag = "Grants",
    params(
        ("application_id" = Option<String>, Query, description = "Of this application"),
        ("subject" = Option<String>, Query, description = "For this subject"),
        ("identity_provider_id" = Option<String>, Query, description = "Bought with assertions of this provider"),
        ("limit" = Option<u8>, Query, description = "1 to 100; 20 where not said"),
        ("after" = Option<String>, Query, description = "The id after which the page begins"),
    ),
    responses((status = 200, description = "A page", body = Listing<GrantReply>))
)]
async fn list(
    app: web::Data<App>,
    caller: Caller,
    request: HttpRequest,
    page: Page,
) -> Result<HttpResponse, Problem> {
    caller.with(Right::Administer)?;
    let (selection, after) = select(&request, &page)?;
    let now = app.clock.now();
    let grants = browse_grants(&app, selection, after, page.rows()).await?;
    let replies = grants.into_iter().map(|grant| GrantReply::of(grant, now)).collect();
    let listing = Listing::new(replies, page.limit, |reply: &GrantReply| reply.id.clone());
    Ok(listed(&listing))
}

fn select(request: &HttpRequest, page: &Page) -> Result<(Selection, Option<GrantId>), Problem> {
    let query = web::Query::<Query>::from_query(request.query_string());
    let query = query.map_err(|_| Problem::bad_request("the query cannot be read"))?.into_inner();
    let mut errors = Vec::new();
    let mut blame = |name: &str| errors.push(FieldError::new(name, "is not an id; ids are lower-case UUIDs"));
    let application_id = query.application_id.as_deref().map(ApplicationId::parse);
    if application_id == Some(None) {
        blame("application_id");
    }
    let identity_provider_id = query.identity_provider_id.as_deref().map(IdentityProviderId::parse);
    if identity_provider_id == Some(None) {
        blame("identity_provider_id");
    }
    let after = page.after.as_deref().map(GrantId::parse);
    if after == Some(None) {
        blame("after");
    }
    if query.subject.as_deref().is_some_and(|subject| subject.chars().any(char::is_control)) {
        errors.push(FieldError::new("subject", "must not hold control characters"));
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let selection = Selection {
        application_id: application_id.flatten(),
        subject: query.subject,
        identity_provider_id: identity_provider_id.flatten(),
    };
    Ok((selection, after.flatten()))
}

impl GrantReply {
    fn of(grant: Grant, now: UnixTime) -> Self {
        let origin = grant.lineage.assertion.as_ref();
        let state = match grant.revoked_at {
            Some(_) => "revoked",
            None if grant.is_live(now) => "active",
            None => "expired",
        };
        Self {
            id: grant.id.to_string(),
            state,
            application_id: grant.application_id.to_string(),
            identity_provider_id: origin.map(|origin| origin.identity_provider_id.to_string()),
            issuer: origin.map(|origin| origin.issuer.clone()),
            key_thumbprint: origin.map(|origin| origin.key_thumbprint.clone()),
            assertion_jti: origin.and_then(|origin| origin.jti.clone()),
            assertion_sha256: origin.map(|origin| origin.digest.hex()),
            consumer_key: grant.consumer_key,
            key_type: grant.key_type.as_str(),
            subject: grant.subject,
            scope: grant.scopes.to_string(),
            issued_at: grant.issued_at.rfc3339(),
            expires_at: grant.expires_at.rfc3339(),
            revoked_at: grant.revoked_at.map(UnixTime::rfc3339),
            refresh: grant.refresh.map(RefreshReply::of),
            family: grant.lineage.family.to_string(),
            parent: grant.lineage.parent.map(|parent| parent.to_string()),
        }
    }
}

impl RefreshReply {
    fn of(refresh: Refresh) -> Self {
        Self {
            expires_at: refresh.expires_at.rfc3339(),
            line_ends_at: refresh.line_ends_at.rfc3339(),
            spent_at: refresh.spent.map(|(at, _)| at.rfc3339()),
            successor: refresh.spent.map(|(_, successor)| successor.to_string()),
        }
    }
}
