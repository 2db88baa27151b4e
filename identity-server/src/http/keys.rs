//! `/api/v1/keys`

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_claims::signature::{Algorithm, KeyKind};
use shared_server::listing::Listing;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::body::OptionalFields;
use super::caller::{Caller, ToKeys};
use super::openapi::Refusals;
use crate::app::App;
use crate::domain::client_metadata::SIGNING_ALGORITHMS;
use crate::flows;
use crate::keys::KeySummary;

/// A signing key, without its private half.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyAnswer {
    kid: String,
    /// What it is published for first.
    algorithm: &'static str,
    /// Everything that it is published for.
    algorithms: Vec<&'static str>,
    /// `next`, `current`, `published` or `retired`.
    state: &'static str,
    created_at: String,
    /// From when on it signs.
    signs_from: String,
    /// When it ceases to be published; left out for the newest of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    retires_at: Option<String>,
    /// When its certificate ends.
    not_after: String,
    /// `x5t#S256`: SHA-256 of the certificate, base64url.
    thumbprint: String,
    /// PEM.
    certificate: String,
}

/// Which key is rotated.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what Fields reads")]
pub(super) struct KeyRotationBody {
    /// An algorithm of the key: `RS256` (default), `ES256`, `EdDSA`, …
    algorithm: Option<String>,
}

impl From<KeySummary> for KeyAnswer {
    fn from(key: KeySummary) -> Self {
        let algorithms: Vec<_> = key.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        Self {
            kid: key.kid,
            algorithm: algorithms.first().copied().unwrap_or_default(),
            algorithms,
            state: key.state.as_str(),
            created_at: key.created_at.rfc3339(),
            signs_from: key.signs_from.rfc3339(),
            retires_at: key.retires_at.map(|at| at.rfc3339()),
            not_after: key.not_after.rfc3339(),
            thumbprint: key.thumbprint,
            certificate: key.certificate,
        }
    }
}

/// Lists the signing keys; there are few, so there is one page.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys",
    responses((status = 200, description = "The keys", body = Listing<KeyAnswer>), Refusals),
    security(("admin" = []), ("bearer" = ["identity:keys"])))]
pub(super) async fn list(app: web::Data<App>, _caller: Caller<ToKeys>) -> Result<HttpResponse, Problem> {
    let items: Vec<KeyAnswer> =
        app.keys.summaries(app.clock.now()).into_iter().map(KeyAnswer::from).collect();
    Ok(HttpResponse::Ok().json(Listing { items, next: None }))
}

/// Makes the next key. The one before stays published until its last token has expired.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "keys", request_body = KeyRotationBody,
    responses((status = 201, description = "The new key", body = KeyAnswer), Refusals),
    security(("admin" = []), ("bearer" = ["identity:keys"])))]
pub(super) async fn rotate(
    app: web::Data<App>,
    caller: Caller<ToKeys>,
    OptionalFields(mut fields): OptionalFields,
) -> Result<HttpResponse, Problem> {
    let words = SIGNING_ALGORITHMS.map(|algorithm| (algorithm.as_str(), algorithm));
    let kind = fields.word("algorithm", &words).map_or(KeyKind::Rsa, Algorithm::key_kind);
    fields.finish()?;

    let now = app.clock.now();
    let kid = flows::keys::rotate(&app, &caller.name, kind, now).await?;
    let made = app.keys.summaries(now).into_iter().find(|key| key.kid == kid);
    let made = made.ok_or_else(|| Problem::fault(&"the new key is not among the keys"))?;
    Ok(HttpResponse::Created().json(KeyAnswer::from(made)))
}
