//! `POST /oauth2/revoke` (RFC 7009): a client takes back its own token.

use actix_web::{HttpResponse, web};
use shared_server::oauth::{OAuthError, OAuthRequest};
use utoipa::OpenApi;

use super::introspection::IntrospectionForm;
use super::token::{ErrorReply, post_only, readings};
use crate::app::App;
use crate::flows;

/// The endpoint, for the API description.
#[derive(OpenApi)]
#[openapi(paths(revoke))]
pub struct Docs;

/// Mounts the endpoint.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/oauth2/revoke").route(web::post().to(revoke)).default_service(web::to(post_only)),
    );
}

/// Revokes a token of the calling key.
///
/// An access token goes with the refresh token that came with it; a refresh token with every token of its line. An
/// unknown token is answered with 200 as well. The gateway of this process refuses the token once this is answered.
#[utoipa::path(
    post, path = "/oauth2/revoke", tag = "OAuth",
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is worth nothing now"),
        (status = 400, description = "invalid_request, unauthorized_client", body = ErrorReply),
        (status = 401, description = "invalid_client", body = ErrorReply),
    )
)]
async fn revoke(app: web::Data<App>, request: OAuthRequest) -> Result<HttpResponse, OAuthError> {
    let now = app.clock.now();
    let client = flows::client_login(&app, readings(&request.client), now).await?;
    flows::revoke_token(&app, &client, request.required("token")?, now).await?;
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).finish())
}
