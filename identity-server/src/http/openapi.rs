//! The description of the API, served as `/openapi.json`.

use serde::Serialize;
use shared_server::docs;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{
    ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme,
};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};

use super::{clients, introspect, keys, published, revoke, scim, signup, token};

/// The description as it is served.
pub(super) static DESCRIPTION: docs::Text = docs::Text::new(|| docs::text(&description()));

/// The description with its security schemes.
fn description() -> Description {
    Api::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Countersign identity server", description = "Users and clients in, JWTs out."),
    paths(
        token::token,
        introspect::introspect,
        revoke::revoke,
        published::jwks,
        published::certificate,
        published::oauth_metadata,
        published::openid_metadata,
        clients::register,
        clients::list,
        clients::read,
        clients::replace,
        clients::delete,
        clients::rotate_secret,
        signup::sign_up,
        keys::list,
        keys::rotate,
        scim::users::create,
        scim::users::list,
        scim::users::read,
        scim::users::replace,
        scim::users::patch,
        scim::users::delete,
        scim::discovery::service_provider_config,
        scim::discovery::resource_types,
        scim::discovery::schemas,
    ),
    components(schemas(ProblemBody, FieldFault, scim::error::ScimErrorBody)),
    modifiers(&Security),
)]
struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_with(Default::default);
        let basic = |text: &str| {
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(text)).build(),
            )
        };
        components.add_security_scheme("admin", basic("The bootstrap administrator"));
        components
            .add_security_scheme("client", basic("A client and its secret; both may be in the form instead"));
        let scopes = Scopes::from_iter([
            ("identity:clients", "Keep clients"),
            ("identity:users", "Keep users"),
            ("identity:keys", "See and rotate signing keys"),
            ("identity:introspect", "Introspect every token"),
        ]);
        let flow = Flow::ClientCredentials(ClientCredentials::new("/oauth2/token", scopes));
        components.add_security_scheme("bearer", SecurityScheme::OAuth2(OAuth2::new([flow])));
    }
}

/// Which page of a list is wanted.
#[derive(IntoParams)]
#[allow(dead_code, reason = "describes what Page reads")]
pub(super) struct PageQuery {
    /// The most items.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// One bad field.
#[derive(Serialize, ToSchema)]
pub(super) struct FieldFault {
    field: String,
    detail: String,
}

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemBody {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    errors: Option<Vec<FieldFault>>,
}

/// The refusals of the REST.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what Problem writes")]
pub(super) enum Refusals {
    /// The request cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// No credentials, or wrong ones.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemBody),
    /// The token lacks the scope, or the request comes from another origin's page.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemBody),
    /// No such resource.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemBody),
    /// It exists already.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemBody),
    /// `If-Match` names another version.
    #[response(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(ProblemBody),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(ProblemBody),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemBody),
    /// Fields are wrong; `errors` names them all.
    #[response(status = 422, content_type = "application/problem+json")]
    Fields(ProblemBody),
    /// Busy; `Retry-After` says when to come back.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What the token endpoint reads.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what Form reads")]
pub(super) struct TokenForm {
    /// `password`, `client_credentials` or `refresh_token`.
    grant_type: String,
    /// For `password`.
    username: Option<String>,
    /// For `password`.
    password: Option<String>,
    /// For `refresh_token`.
    refresh_token: Option<String>,
    /// Space-separated.
    scope: Option<String>,
    /// Where Basic is not used.
    client_id: Option<String>,
    /// Where Basic is not used.
    client_secret: Option<String>,
}

/// What introspection and revocation read.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what Form reads")]
pub(super) struct TokenToLookAt {
    token: String,
    /// Taken and not needed: every kind is looked for.
    token_type_hint: Option<String>,
}

/// The answer to a token request (RFC 6749, section 5.1).
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes TokenAnswer")]
pub(super) struct TokenBody {
    access_token: String,
    token_type: String,
    expires_in: i64,
    refresh_token: Option<String>,
    scope: Option<String>,
}

/// The answer to an introspection (RFC 7662, section 2.2).
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what introspection writes")]
pub(super) struct IntrospectionBody {
    active: bool,
    token_type: Option<String>,
    scope: Option<String>,
    client_id: Option<String>,
    username: Option<String>,
    sub: Option<String>,
    aud: Option<Vec<String>>,
    iss: Option<String>,
    jti: Option<String>,
    aut: Option<String>,
    exp: Option<i64>,
    iat: Option<i64>,
    nbf: Option<i64>,
}

/// A refusal (RFC 6749, section 5.2).
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes ErrorAnswer")]
pub(super) struct OAuthErrorBody {
    error: String,
    error_description: String,
}

/// Server metadata (RFC 8414, section 2).
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the metadata documents")]
pub(super) struct MetadataBody {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    grant_types_supported: Vec<String>,
    response_types_supported: Vec<String>,
}
