//! Client certificates that stand for an application in TLS with the gateway.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;

use super::application::KeyType;
use super::certificate::Certificate;
use super::ids::{ApplicationId, ClientCertificateId};

/// The most certificates of one application.
pub const MOST: usize = 100;

/// A registered certificate. It is known by what it is, not by who signed it: no chain is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its id.
    pub id: ClientCertificateId,
    /// Whose it is.
    pub application_id: ApplicationId,
    /// SHA-256 of its DER form.
    pub digest: Digest,
    /// Its subject, for people.
    pub subject: String,
    /// Which backends it reaches.
    pub key_type: KeyType,
    /// The first moment at which it holds.
    pub not_before: UnixTime,
    /// The last moment at which it holds.
    pub not_after: UnixTime,
    /// When it was registered.
    pub created_at: UnixTime,
}

impl ClientCertificate {
    /// Registers a certificate for an application.
    #[must_use]
    pub fn register(
        application_id: ApplicationId,
        certificate: &Certificate,
        key_type: KeyType,
        now: UnixTime,
    ) -> Self {
        Self {
            id: ClientCertificateId::generate(),
            application_id,
            digest: certificate.thumbprint,
            subject: certificate.subject.clone(),
            key_type,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            created_at: now,
        }
    }
}
