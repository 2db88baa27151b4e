//! `/api/v1/applications/{id}/certificates`: client certificates that stand for the application.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_server::fields::Fields;
use shared_server::listing::Listing;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::{application_id, key_type};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::certificate::{Certificate, LONGEST, inspect};
use crate::domain::client_certificate::ClientCertificate;
use crate::domain::ids::ClientCertificateId;
use crate::flows::client_certificates::{list_certificates, register_certificate, remove_certificate};
use crate::http::caller::Caller;
use crate::http::resource::{created, gone, listed, named, sure};
use crate::http::resource_at;

/// A certificate that its application shows in TLS with the gateway.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientCertificate)]
pub(super) struct CertificateView {
    id: String,
    application_id: String,
    /// Of its DER form, in hexadecimal.
    sha256: String,
    subject: String,
    /// production or sandbox.
    key_type: &'static str,
    /// RFC 3339.
    not_before: String,
    /// RFC 3339.
    not_after: String,
    /// RFC 3339.
    created_at: String,
}

impl CertificateView {
    fn of(certificate: ClientCertificate) -> Self {
        Self {
            id: certificate.id.to_string(),
            application_id: certificate.application_id.to_string(),
            sha256: certificate.digest.hex(),
            subject: certificate.subject,
            key_type: certificate.key_type.as_str(),
            not_before: certificate.not_before.rfc3339(),
            not_after: certificate.not_after.rfc3339(),
            created_at: certificate.created_at.rfc3339(),
        }
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let all = "/api/v1/applications/{id}/certificates";
    let one = "/api/v1/applications/{id}/certificates/{certificate_id}";
    config
        .service(resource_at(all, "GET, POST").route(web::get().to(list)).route(web::post().to(register)))
        .service(resource_at(one, "DELETE").route(web::delete().to(remove)));
}

/// The application's client certificates.
#[utoipa::path(get, path = "/api/v1/applications/{id}/certificates", tag = "Applications", params(("id" = String, Path)),
    responses((status = 200, body = Listing<CertificateView>), (status = 404)))]
pub(super) async fn list(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let found = list_certificates(&app, actor, application_id(&id)?).await?;
    Ok(listed(&Listing { items: found.into_iter().map(CertificateView::of).collect(), next: None }))
}

/// Registers a client certificate. It opens APIs whose `security` lists `client_certificate`, on the application's
/// subscriptions and limits; operations that ask for a scope refuse it.
#[utoipa::path(post, path = "/api/v1/applications/{id}/certificates", tag = "Applications", params(("id" = String, Path)),
    request_body(content = Object, description = "{certificate, key_type}; certificate is one X.509 certificate as PEM",
        example = json!({"certificate": "-----BEGIN CERTIFICATE-----…", "key_type": "production"})),
    responses((status = 201, body = CertificateView), (status = 409, description = "it is registered"), (status = 422)))]
pub(super) async fn register(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let now = app.clock.now();
    if !fields.has("certificate") {
        fields.blame("certificate", "is required");
    }
    let pem = fields.long_text("certificate", LONGEST);
    let certificate = pem.and_then(|pem| read(&mut fields, &pem, now));
    let key_type = key_type(&mut fields);
    fields.finish()?;
    let made = ClientCertificate::register(application_id(&id)?, &sure(certificate)?, sure(key_type)?, now);
    let made = register_certificate(&app, actor, made).await?;
    let location = format!("/api/v1/applications/{}/certificates/{}", made.application_id, made.id);
    Ok(created(&location, 1, &CertificateView::of(made)))
}

/// Removes a client certificate: calls with it are refused, and live connections that it opened end, within a second.
#[utoipa::path(delete, path = "/api/v1/applications/{id}/certificates/{certificate_id}", tag = "Applications",
    params(("id" = String, Path), ("certificate_id" = String, Path)), responses((status = 204), (status = 404)))]
pub(super) async fn remove(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::Subscribe)?;
    let which = (application_id(&path.0)?, named(ClientCertificateId::parse(&path.1), "certificate")?);
    remove_certificate(&app, actor, which, app.clock.now()).await?;
    Ok(gone())
}

fn read(fields: &mut Fields, pem: &str, now: shared_claims::clock::UnixTime) -> Option<Certificate> {
    match inspect(pem, now).map(<[Certificate; 1]>::try_from) {
        Ok(Ok([certificate])) => return Some(certificate),
        Ok(Err(_)) => {
            fields.blame("certificate", "must be the client's own certificate alone, without its chain")
        }
        Err(bad) => fields.blame("certificate", bad.to_string()),
    }
    None
}
