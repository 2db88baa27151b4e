//! `POST /oauth2/token`

use std::borrow::Cow;

use actix_web::{HttpResponse, web};
use shared_claims::clock::UnixTime;
use shared_claims::oauth::{ErrorCode, Form, TokenAnswer, printable};
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Secret;
use shared_server::oauth::{OAuthError, OAuthRequest, no_store};

use super::openapi::{OAuthErrorBody, TokenBody, TokenForm};
use crate::app::App;
use crate::domain::client::GrantType;
use crate::flows::client_credentials::client_credentials;
use crate::flows::client_login::client_login;
use crate::flows::password::{PasswordGrant, password};
use crate::flows::refresh::refresh;
use crate::flows::{FlowError, Issued};

/// What the token endpoint is asked for, taken from the form once.
enum Grant {
    Password(PasswordGrant),
    ClientCredentials(ScopeSet),
    Refresh { token: Secret, scope: ScopeSet },
}

/// Issues tokens for a password, for a client itself, or for a refresh token.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "oauth2",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens", body = TokenBody),
        (status = 400, description = "Refused, with RFC 6749's error code", body = OAuthErrorBody),
        (status = 401, description = "The client is unknown or its secret wrong", body = OAuthErrorBody),
        (status = 413, description = "The form is longer than 64 KiB", body = OAuthErrorBody),
        (status = 503, description = "Busy; Retry-After says when to come back", body = OAuthErrorBody),
    ),
    security(("client" = []), ()),
)]
pub(super) async fn token(
    app: web::Data<App>,
    request: Result<OAuthRequest, OAuthError>,
) -> Result<HttpResponse, OAuthError> {
    let grant =
        request.as_ref().ok().and_then(|request| request.form.get("grant_type")).and_then(GrantType::parse);
    let issued = match request {
        Ok(request) => issue(&app, request, app.clock.now()).await,
        Err(refused) => Err(refused),
    };
    let outcome = issued.as_ref().map_or_else(|refused| refused.code.as_str(), |_| "issued");
    app.counters.tokens.with_label_values(&[grant.map_or("other", GrantType::as_str), outcome]).inc();

    let issued = issued?;
    let answer = TokenAnswer {
        access_token: issued.access_token,
        token_type: Cow::Borrowed("Bearer"),
        expires_in: issued.expires_in,
        refresh_token: issued.refresh_token.map(|token| token.expose().to_owned()),
        scope: (!issued.scope.is_empty()).then(|| issued.scope.to_string()),
    };
    Ok(no_store(&answer))
}

/// 405 for every method but POST.
pub(super) async fn method_not_allowed() -> Result<HttpResponse, OAuthError> {
    Err(OAuthError::method_not_allowed("POST"))
}

async fn issue(app: &App, request: OAuthRequest, now: UnixTime) -> Result<Issued, OAuthError> {
    let client = client_login(app, &request.client, now).await?;

    let issued: Result<Issued, FlowError> = match Grant::parse(&request)? {
        Grant::Password(grant) => password(app, &client, grant, now).await,
        Grant::ClientCredentials(scope) => client_credentials(app, &client, &scope, now).await,
        Grant::Refresh { token, scope } => refresh(app, &client, token.expose(), &scope, now).await,
    };
    Ok(issued?)
}

impl Grant {
    fn parse(request: &OAuthRequest) -> Result<Self, OAuthError> {
        let name = request.required("grant_type")?;
        let unsupported = || {
            let description = format!("The grant type {} is not supported.", printable(name));
            OAuthError::new(ErrorCode::UnsupportedGrantType, description)
        };
        match GrantType::parse(name).ok_or_else(unsupported)? {
            GrantType::Password => Ok(Self::Password(PasswordGrant {
                username: request.required("username")?.to_owned(),
                password: Secret::new(request.required("password")?),
                scope: scope(&request.form)?,
            })),
            GrantType::ClientCredentials => Ok(Self::ClientCredentials(scope(&request.form)?)),
            GrantType::RefreshToken => {
                let token = Secret::new(request.required("refresh_token")?);
                Ok(Self::Refresh { token, scope: scope(&request.form)? })
            }
        }
    }
}

fn scope(form: &Form) -> Result<ScopeSet, OAuthError> {
    let scope = ScopeSet::parse(form.get("scope").unwrap_or_default());
    scope.map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "The scope is malformed."))
}
