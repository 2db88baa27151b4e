//! `POST /oauth2/introspect` (RFC 7662)

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError, web};
use serde_json::{Value, json};
use shared_server::oauth::{OAuthError, OAuthRequest, no_store};

use super::openapi::{IntrospectionBody, OAuthErrorBody, TokenToLookAt};
use crate::app::App;
use crate::flows::client_login::{TokenCaller, token_caller};
use crate::flows::live_token::{AccessToken, LiveRefreshToken, LiveToken, find_live};

/// Tells whether a token is good, and what it says. A client learns about its own tokens and those meant for it.
#[utoipa::path(
    post, path = "/oauth2/introspect", tag = "oauth2",
    request_body(content = TokenToLookAt, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What the token says, or only that it is not active", body = IntrospectionBody),
        (status = 400, description = "The token parameter is missing", body = OAuthErrorBody),
        (status = 401, description = "The caller is unknown", body = OAuthErrorBody),
        (status = 503, description = "Busy", body = OAuthErrorBody),
    ),
    security(("client" = []), ("admin" = []), ("bearer" = ["identity:introspect"])),
)]
pub(super) async fn introspect(
    app: web::Data<App>,
    request: Result<OAuthRequest, OAuthError>,
) -> Result<HttpResponse, OAuthError> {
    let answered = answer(&app, request).await;
    let outcome = match &answered {
        Ok(Some(_)) => "active",
        Ok(None) => "inactive",
        Err(refused) => refused.code.as_str(),
    };
    app.counters.introspections.with_label_values(&[outcome]).inc();
    // RFC 7662, section 2.2: about a token that is not good, nothing else is said.
    Ok(no_store(&answered?.unwrap_or_else(|| json!({"active": false}))))
}

async fn answer(app: &App, request: Result<OAuthRequest, OAuthError>) -> Result<Option<Value>, OAuthError> {
    let request = match request {
        // No token of ours is that long, and saying so tells a stranger nothing.
        Err(refused) if refused.status_code() == StatusCode::PAYLOAD_TOO_LARGE => return Ok(None),
        request => request?,
    };
    let now = app.clock.now();
    let caller = token_caller(app, &request.client, now).await?;
    let is_empty = request.form.names().any(|name| name == "token") && request.form.get("token").is_none();
    if is_empty {
        return Ok(None);
    }

    let live = find_live(app, request.required("token")?, now).await?;
    Ok(live.filter(|token| may_see(&caller, token)).map(|token| match token {
        LiveToken::Access(access) => describe_access(&access),
        LiveToken::Refresh(refresh) => describe_refresh(&refresh, app),
    }))
}

fn may_see(caller: &TokenCaller, token: &LiveToken) -> bool {
    match (caller, token) {
        (TokenCaller::Privileged, _) => true,
        (TokenCaller::Client(client), LiveToken::Access(access)) => {
            access.client == client.id || access.audience.contains(&client.id.to_string())
        }
        (TokenCaller::Client(client), LiveToken::Refresh(refresh)) => refresh.family.client == client.id,
    }
}

fn describe_access(access: &AccessToken) -> Value {
    let mut answer = json!({
        "active": true,
        "token_type": "Bearer",
        "client_id": access.client.to_string(),
        "sub": access.subject,
        "aud": access.audience,
        "exp": access.expires_at,
        "iat": access.issued_at,
        "jti": access.jti,
    });
    if let Value::Object(members) = &mut answer {
        for name in ["iss", "nbf", "scope", "aut"] {
            members.extend(access.claims.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        if access.is_user {
            members.insert("username".to_owned(), Value::String(access.subject.clone()));
        }
    }
    answer
}

fn describe_refresh(refresh: &LiveRefreshToken, app: &App) -> Value {
    let mut answer = json!({
        "active": true,
        // Not `Bearer`: a resource server must not take it for an access token.
        "token_type": "refresh_token",
        "client_id": refresh.family.client.to_string(),
        "sub": refresh.user_name,
        "username": refresh.user_name,
        "iss": app.issuer.name,
        "exp": refresh.token.expires_at,
        "iat": refresh.token.issued_at,
    });
    if let (Value::Object(members), false) = (&mut answer, refresh.family.scope.is_empty()) {
        members.insert("scope".to_owned(), Value::String(refresh.family.scope.to_string()));
    }
    answer
}
