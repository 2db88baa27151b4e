//! `POST /oauth2/revoke` (RFC 7009)

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use shared_server::oauth::{OAuthError, OAuthRequest};

use super::openapi::{OAuthErrorBody, TokenToLookAt};
use crate::app::App;
use crate::flows;
use crate::flows::client_login::token_caller;

/// Calls a token back. A refresh token takes its family and the family's access tokens with it; an access token goes
/// alone.
#[utoipa::path(
    post, path = "/oauth2/revoke", tag = "oauth2",
    request_body(content = TokenToLookAt, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is not good any more, if it ever was"),
        (status = 400, description = "The token is missing, or another client's", body = OAuthErrorBody),
        (status = 401, description = "The client is unknown", body = OAuthErrorBody),
        (status = 413, description = "The form is longer than 64 KiB", body = OAuthErrorBody),
        (status = 503, description = "Busy", body = OAuthErrorBody),
    ),
    security(("client" = []), ("admin" = [])),
)]
pub(super) async fn revoke(app: web::Data<App>, request: OAuthRequest) -> Result<HttpResponse, OAuthError> {
    let now = app.clock.now();
    let caller = token_caller(&app, &request.client, now).await?;
    flows::revoke::revoke(&app, &caller, request.required("token")?, now).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish())
}
