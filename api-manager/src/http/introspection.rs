//! `POST /oauth2/introspect` (RFC 7662), and the public keys at `GET /oauth2/jwks`.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_claims::claims::AuthorizedKind;
use shared_claims::clock::UnixTime;
use shared_claims::credentials::Basic;
use shared_claims::oauth::ErrorCode;
use shared_server::administrator;
use shared_server::hashing::HashingError;
use shared_server::oauth::{OAuthError, OAuthRequest, PresentedClient, no_store};
use utoipa::{OpenApi, ToSchema};

use super::token::{ErrorReply, post_only, readings};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::grant::Grant;
use crate::flows::{self, Asker};

/// The endpoints, for the API description.
#[derive(OpenApi)]
#[openapi(paths(introspect, jwks), components(schemas(IntrospectionForm, IntrospectionReply, ErrorReply)))]
pub struct Docs;

/// Mounts the endpoints.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/oauth2/introspect")
                .route(web::post().to(introspect))
                .default_service(web::to(post_only)),
        )
        .service(
            web::resource("/oauth2/jwks")
                .route(web::get().to(jwks))
                .route(web::head().to(jwks))
                .default_service(web::to(async || {
                    Err::<HttpResponse, _>(OAuthError::method_not_allowed("GET, HEAD"))
                })),
        );
}

/// What an active token stands for. A member that does not apply is left out.
#[derive(Serialize, ToSchema)]
pub(super) struct IntrospectionReply {
    /// Whether the token is worth anything; alone where it is not.
    active: bool,
    #[serde(flatten)]
    grant: Option<GrantReply>,
}

#[derive(Serialize, ToSchema)]
struct GrantReply {
    scope: String,
    /// The consumer key.
    client_id: String,
    /// The assertion's `sub`, or the consumer key.
    sub: String,
    /// The assertion's `sub`, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The assertion's `iss`, or this server's.
    iss: String,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    nbf: i64,
    /// `APPLICATION_USER` or `APPLICATION`.
    #[schema(value_type = String)]
    aut: AuthorizedKind,
    /// `production` or `sandbox`.
    key_type: &'static str,
}

/// Says what a token stands for.
///
/// Every application's key may ask about every token that was presented to it; so may the administrator, by Basic or
/// by Bearer. A token that is unknown, expired, revoked or misspelt is inactive, and nothing else is said of it.
#[utoipa::path(
    post, path = "/oauth2/introspect", tag = "OAuth",
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Active, or not", body = IntrospectionReply),
        (status = 401, description = "invalid_client, invalid_token", body = ErrorReply),
    )
)]
async fn introspect(app: web::Data<App>, request: OAuthRequest) -> Result<HttpResponse, OAuthError> {
    let now = app.clock.now();
    let asker = asker(&app, &request.client, now).await?;
    let token = request.form.get("token").unwrap_or_default();
    let grant = flows::introspect(&app, asker, token, now).await?;
    // An empty token is an unknown one; only a form without it is malformed, which a stranger is not told.
    if !request.form.names().any(|name| name == "token") {
        return Err(OAuthError::invalid_request("Missing parameters: token."));
    }
    let reply = grant.map(|grant| describe(grant, &app.settings.issuer));
    Ok(no_store(&IntrospectionReply { active: reply.is_some(), grant: reply }))
}

fn describe(grant: Grant, own_issuer: &str) -> GrantReply {
    let origin = grant.lineage.assertion;
    let aut = if origin.is_some() { AuthorizedKind::User } else { AuthorizedKind::Application };
    GrantReply {
        scope: grant.scopes.to_string(),
        client_id: grant.consumer_key,
        username: origin.is_some().then(|| grant.subject.clone()),
        sub: grant.subject,
        iss: origin.map_or_else(|| own_issuer.to_owned(), |origin| origin.issuer),
        token_type: "Bearer",
        exp: grant.expires_at.0,
        iat: grant.issued_at.0,
        nbf: grant.issued_at.0,
        aut,
        key_type: grant.key_type.as_str(),
    }
}

async fn asker(app: &App, client: &PresentedClient, now: UnixTime) -> Result<Asker, OAuthError> {
    let basic = match client {
        PresentedClient::Bearer(token) => {
            let actor = flows::bearer_login(app, token.expose(), now).await.map_err(|denied| {
                let error = OAuthError::from(denied);
                let is_refusal =
                    error.code == ErrorCode::InvalidGrant || error.code == ErrorCode::InvalidScope;
                if is_refusal { OAuthError::new(ErrorCode::InvalidToken, error.description) } else { error }
            })?;
            return if actor.may(Right::Administer) {
                Ok(Asker::Administrator)
            } else {
                let description = format!("This needs a token with the scope {}.", Right::Administer.scope());
                Err(OAuthError::new(ErrorCode::InsufficientScope, description))
            };
        }
        PresentedClient::Basic(basic) => basic.clone(),
        PresentedClient::Body(pair) => Basic { form_decoded: None, raw: pair.clone() },
        PresentedClient::Named(_) | PresentedClient::Absent => return Err(OAuthError::invalid_client()),
    };
    if basic.readings().iter().any(|pair| pair.name == administrator::NAME) {
        return match app.administrator.verify(&basic).await {
            Ok(true) => Ok(Asker::Administrator),
            Ok(false) => Err(OAuthError::invalid_client()),
            Err(HashingError::Busy) => Err(OAuthError::unavailable()),
            Err(error @ HashingError::Failed) => Err(OAuthError::fault(&error)),
        };
    }
    Ok(Asker::Key(readings(client)))
}

/// The public key of this server: it signs what backends are told about callers (`X-JWT-Assertion`).
#[utoipa::path(get, path = "/oauth2/jwks", tag = "OAuth", responses((status = 200, description = "A JWK set")))]
async fn jwks(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "public, max-age=300")).json(app.backend_key.jwks())
}

/// The form of an introspection or a revocation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the form is read parameter by parameter")]
pub(super) struct IntrospectionForm {
    /// The token.
    token: String,
    /// Not needed: both kinds are looked for.
    token_type_hint: Option<String>,
}
