//! `POST /oauth2/token`: the assertion grant (RFC 7523), client credentials and refresh (RFC 6749).

use std::borrow::Cow;

use actix_web::{HttpResponse, web};
use shared_claims::clock::UnixTime;
use shared_claims::credentials::Pair;
use shared_claims::oauth::{CLIENT_CREDENTIALS, ErrorCode, JWT_BEARER, REFRESH_TOKEN, TokenAnswer};
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Secret;
use shared_server::oauth::{OAuthError, OAuthRequest, PresentedClient, no_store};
use utoipa::{OpenApi, ToSchema};

use crate::app::App;
use crate::flows::{self, AssertionGrant, Denied, Issued, RefreshGrant};

/// The token endpoint, for the API description.
#[derive(OpenApi)]
#[openapi(paths(token), components(schemas(TokenForm, TokenReply, ErrorReply)))]
pub struct Docs;

/// Mounts the endpoint.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/oauth2/token").route(web::post().to(token)).default_service(web::to(post_only)),
    );
}

/// What was asked for.
enum Grant {
    Assertion(AssertionGrant),
    ClientCredentials(ScopeSet),
    Refresh(RefreshGrant),
}

/// Issues opaque tokens to an application's key.
///
/// The key's credentials come by Basic or in the body, never both. With the assertion grant, `assertion` is a JWT of
/// a trusted identity provider.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "OAuth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A token", body = TokenReply),
        (status = 400, description = "invalid_request, invalid_grant, invalid_scope, unauthorized_client, unsupported_grant_type", body = ErrorReply),
        (status = 401, description = "invalid_client", body = ErrorReply),
        (status = 503, description = "temporarily_unavailable", body = ErrorReply),
    )
)]
async fn token(app: web::Data<App>, request: OAuthRequest) -> Result<HttpResponse, OAuthError> {
    let now = app.clock.now();
    let readings = readings(&request.client);
    // Nearly every exchange ends here; whatever speaks against one is said in the order below, of what was just read.
    if let Some(grant) = exchange(&request)
        && let Some(issued) = flows::exchange_on_kept_facts(&app, &readings, &grant, now).await?
    {
        return Ok(no_store(&answer(&issued, app.clock.now())));
    }

    let client = flows::client_login(&app, readings, now).await?;
    let grant_type = known_grant_type(&request)?;
    if !client.lists(grant_type) {
        return Err(Denied::GrantNotListed.into());
    }
    let issued = match read_grant(&request, grant_type)? {
        Grant::Assertion(grant) => flows::exchange_assertion(&app, client, grant, now).await?,
        Grant::ClientCredentials(scopes) => {
            flows::client_credentials_grant(&app, client, scopes, now).await?
        }
        Grant::Refresh(grant) => flows::refresh_grant(&app, client, grant, now).await?,
    };
    Ok(no_store(&answer(&issued, app.clock.now())))
}

/// What an exchange asks for; `None` for every other request, and for one that is to be refused.
fn exchange(request: &OAuthRequest) -> Option<AssertionGrant> {
    match read_grant(request, known_grant_type(request).ok()?).ok()? {
        Grant::Assertion(grant) => Some(grant),
        Grant::ClientCredentials(_) | Grant::Refresh(_) => None,
    }
}

/// `expires_in` counts from the answer, not from the request.
fn answer(issued: &Issued, now: UnixTime) -> TokenAnswer {
    TokenAnswer {
        access_token: issued.access_token.expose().to_owned(),
        token_type: Cow::Borrowed("Bearer"),
        expires_in: issued.expires_at.since(now).max(0),
        refresh_token: issued.refresh_token.as_ref().map(|token| token.expose().to_owned()),
        scope: (!issued.scopes.is_empty()).then(|| issued.scopes.to_string()),
    }
}

fn known_grant_type(request: &OAuthRequest) -> Result<&'static str, OAuthError> {
    let asked = request.required("grant_type")?;
    let known = [JWT_BEARER, CLIENT_CREDENTIALS, REFRESH_TOKEN].into_iter().find(|known| *known == asked);
    known.ok_or_else(|| {
        let description = "The grant type is not supported; use jwt-bearer (its full URN), client_credentials or refresh_token.";
        OAuthError::new(ErrorCode::UnsupportedGrantType, description)
    })
}

fn read_grant(request: &OAuthRequest, grant_type: &str) -> Result<Grant, OAuthError> {
    let scopes = || ScopeSet::parse(request.form.get("scope").unwrap_or_default()).map_err(Denied::from);
    Ok(match grant_type {
        JWT_BEARER => {
            let assertion = Secret::new(request.required("assertion")?);
            Grant::Assertion(AssertionGrant { assertion, scopes: scopes()? })
        }
        REFRESH_TOKEN => {
            let refresh_token = Secret::new(request.required("refresh_token")?);
            Grant::Refresh(RefreshGrant { refresh_token, scopes: scopes()? })
        }
        _ => Grant::ClientCredentials(scopes()?),
    })
}

/// Every reading of the credentials; none where the caller brought nothing that proves a client.
pub(super) fn readings(client: &PresentedClient) -> Vec<Pair> {
    match client {
        PresentedClient::Basic(basic) => basic.readings().into_iter().cloned().collect(),
        PresentedClient::Body(pair) => vec![pair.clone()],
        PresentedClient::Named(_) | PresentedClient::Bearer(_) | PresentedClient::Absent => Vec::new(),
    }
}

/// Every other method.
pub(super) async fn post_only() -> Result<HttpResponse, OAuthError> {
    Err(OAuthError::method_not_allowed("POST"))
}

/// The form of a token request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the form is read parameter by parameter")]
pub(super) struct TokenForm {
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer`, `client_credentials` or `refresh_token`.
    grant_type: String,
    /// The JWT, with the first of these.
    assertion: Option<String>,
    /// The refresh token, with the last.
    refresh_token: Option<String>,
    /// Space-separated scopes; `default` is granted where none is asked for.
    scope: Option<String>,
    /// The consumer key, unless it comes by Basic.
    client_id: Option<String>,
    /// The consumer secret, unless it comes by Basic.
    client_secret: Option<String>,
}

/// A successful answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the answer is shared_claims::oauth::TokenAnswer")]
pub(super) struct TokenReply {
    /// An opaque token in the form of a UUID.
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// Seconds from now.
    expires_in: i64,
    /// Only where the key lists refresh_token.
    refresh_token: Option<String>,
    /// What was granted.
    scope: Option<String>,
}

/// An error of an OAuth endpoint (RFC 6749, section 5.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the answer is shared_claims::oauth::ErrorAnswer")]
pub(super) struct ErrorReply {
    /// A code of RFC 6749.
    error: String,
    /// What went wrong, for people.
    error_description: String,
}
