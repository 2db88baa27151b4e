//! A developer registers client certificates, looks at them, and takes them back.

use shared_claims::clock::UnixTime;

use super::browse_applications::owned;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::client_certificate::{ClientCertificate, MOST};
use crate::domain::ids::{ApplicationId, ClientCertificateId};
use crate::domain::revocation::Revocation;
use crate::storage::{application_certificates, revocations};

/// Lets a certificate stand for its application.
///
/// # Errors
/// [`FlowError`]: the application is not there or not the caller's, the certificate is registered, or there are too many.
pub async fn register_certificate(
    app: &App,
    actor: &Actor,
    certificate: ClientCertificate,
) -> Result<ClientCertificate, FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        let id = certificate.application_id;
        owned(connection, &by, id)?;
        if application_certificates::list_of(connection, id)?.len() >= MOST {
            return Err(FlowError::conflict(format!(
                "the application has {MOST} certificates already; remove those that are no longer used"
            )));
        }
        application_certificates::insert(connection, &certificate).map_err(|error| {
            FlowError::or_conflict(error, || "the certificate stands for an application already".to_owned())
        })?;
        Ok(certificate)
    });
    let made = write.await?;
    audit::record(actor, "registered a client certificate", &made.id.to_string(), "", &summary(&made));
    Ok(made)
}

/// The client certificates of one of the caller's applications.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn list_certificates(
    app: &App,
    actor: &Actor,
    id: ApplicationId,
) -> Result<Vec<ClientCertificate>, FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        owned(connection, &by, id)?;
        Ok::<_, FlowError>(application_certificates::list_of(connection, id)?)
    });
    read.await
}

/// Removes a certificate. No gateway of this process takes it afterwards; others follow within a second.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn remove_certificate(
    app: &App,
    actor: &Actor,
    (application, id): (ApplicationId, ClientCertificateId),
    now: UnixTime,
) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        owned(connection, &by, application)?;
        let present = application_certificates::find_of(connection, application, id)?;
        let present = present.ok_or(FlowError::NotFound("certificate"))?;
        FlowError::unless_written(application_certificates::delete(connection, id)?)?;
        revocations::append(connection, &Revocation::ClientCertificate(id), now)?;
        Ok::<_, FlowError>(present)
    });
    let present = write.await?;
    app.changes.announce(Change::Revoked(Revocation::ClientCertificate(id))).await;
    audit::record(actor, "removed a client certificate", &id.to_string(), &summary(&present), "");
    Ok(())
}

fn summary(certificate: &ClientCertificate) -> String {
    let ClientCertificate { application_id, subject, key_type, .. } = certificate;
    let (key_type, digest) = (key_type.as_str(), certificate.digest.hex());
    format!("{subject}, SHA-256 {digest}, for application {application_id}, {key_type}")
}
