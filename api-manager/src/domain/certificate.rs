//! Certificates of identity providers: read from PEM, and refused for a reason that names its remedy.
//!
//! OpenSSL is used for reading only: a pure function of the text.

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::x509::{X509, X509NameRef};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_claims::signature::{PublicKey, UnusableKey};

/// The most certificates that one provider may have.
pub const MOST: usize = 10;
/// The longest PEM text that is read, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// A certificate whose key may sign assertions. It is pinned: no chain is followed from it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate alone, as PEM.
    pub pem: String,
    /// Its subject, such as `CN=idp, O=Example`.
    pub subject: String,
    /// The subject of whoever signed it.
    pub issuer: String,
    /// The first moment at which it holds.
    pub not_before: UnixTime,
    /// The last moment at which it holds.
    pub not_after: UnixTime,
    /// SHA-256 of its DER form; `x5t#S256` in base64url.
    pub thumbprint: Digest,
    /// Its key.
    pub key: PublicKey,
}

/// Why a text is not taken as a certificate. Each sentence ends with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// No PEM block, or one that does not read.
    #[error(
        "is not a PEM certificate; send the text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE----- \
         (openssl x509 -inform der converts a binary one)"
    )]
    NotPem,
    /// A private key.
    #[error(
        "holds a private key; never send it to anyone: treat it as stolen, make a new key pair at the identity \
         provider, and send only the certificate"
    )]
    PrivateKey,
    /// A bare public key.
    #[error(
        "holds a public key instead of a certificate; send the X.509 certificate of that key, or give a jwks_uri"
    )]
    PublicKey,
    /// A certificate signing request.
    #[error(
        "holds a certificate signing request; have it signed first (or self-sign it) and send the certificate"
    )]
    Request,
    /// Too early.
    #[error("is not valid before {}; check the clocks, or send it again from then on", .0.rfc3339())]
    NotYetValid(UnixTime),
    /// Too late.
    #[error("has expired at {}; send the identity provider's current certificate", .0.rfc3339())]
    Expired(UnixTime),
    /// A short or unknown key.
    #[error("cannot be used: {0}; sign with another key and send its certificate")]
    Key(UnusableKey),
    /// More than [`MOST`].
    #[error("holds too many certificates; at most {MOST} are kept, so leave out those that no longer sign")]
    TooMany,
    /// Longer than [`LONGEST`].
    #[error("is too long; at most 64 KiB of PEM are read, so leave out everything but certificates")]
    TooLong,
}

/// Reads the certificates of a PEM text, of which there may be several, and checks that each may be used at `now`.
///
/// # Errors
/// [`BadCertificate`] of the first one that may not.
pub fn inspect(pem_text: &str, now: UnixTime) -> Result<Vec<Certificate>, BadCertificate> {
    let certificates = read(pem_text)?;
    certificates.iter().try_for_each(|certificate| certificate.check_dates(now))?;
    Ok(certificates)
}

/// Reads the certificates of a PEM text whatever their dates: those that were registered are checked at every use.
///
/// # Errors
/// As [`inspect`], but for the dates.
pub fn read(pem_text: &str) -> Result<Vec<Certificate>, BadCertificate> {
    if pem_text.len() > LONGEST {
        return Err(BadCertificate::TooLong);
    }
    let labels: Vec<&str> =
        pem_text.split("-----BEGIN ").skip(1).filter_map(|block| block.split("-----").next()).collect();
    // The private key first: beside a certificate it is as lost as alone.
    if labels.iter().any(|label| label.ends_with("PRIVATE KEY")) {
        return Err(BadCertificate::PrivateKey);
    }
    if labels.len() > MOST {
        return Err(BadCertificate::TooMany);
    }
    for label in &labels {
        match *label {
            "CERTIFICATE" => {}
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => return Err(BadCertificate::Request),
            label if label.ends_with("PUBLIC KEY") => return Err(BadCertificate::PublicKey),
            _ => return Err(BadCertificate::NotPem),
        }
    }
    let parsed = X509::stack_from_pem(pem_text.as_bytes()).map_err(|_| BadCertificate::NotPem)?;
    if parsed.is_empty() || parsed.len() != labels.len() {
        return Err(BadCertificate::NotPem);
    }
    let mut certificates: Vec<Certificate> = Vec::new();
    for one in &parsed {
        let certificate = Certificate::of(one)?;
        if !certificates.iter().any(|known| known.thumbprint == certificate.thumbprint) {
            certificates.push(certificate);
        }
    }
    Ok(certificates)
}

impl Certificate {
    /// Whether the certificate holds at `now`.
    ///
    /// # Errors
    /// [`BadCertificate::NotYetValid`] or [`BadCertificate::Expired`].
    pub fn check_dates(&self, now: UnixTime) -> Result<(), BadCertificate> {
        if now < self.not_before {
            return Err(BadCertificate::NotYetValid(self.not_before));
        }
        // RFC 5280, section 4.1.2.5: the period includes its last second.
        if self.not_after < now {
            return Err(BadCertificate::Expired(self.not_after));
        }
        Ok(())
    }

    fn of(parsed: &X509) -> Result<Self, BadCertificate> {
        let unreadable = |_: ErrorStack| BadCertificate::NotPem;
        let pem = parsed.to_pem().map_err(unreadable)?;
        let key = parsed.public_key().map_err(|_| BadCertificate::Key(UnusableKey::Type))?;
        Ok(Self {
            pem: String::from_utf8(pem).map_err(|_| BadCertificate::NotPem)?,
            subject: name(parsed.subject_name()),
            issuer: name(parsed.issuer_name()),
            not_before: moment(parsed.not_before()).map_err(unreadable)?,
            not_after: moment(parsed.not_after()).map_err(unreadable)?,
            thumbprint: Digest::of(&parsed.to_der().map_err(unreadable)?),
            key: PublicKey::new(key).map_err(BadCertificate::Key)?,
        })
    }
}

fn moment(time: &Asn1TimeRef) -> Result<UnixTime, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(UnixTime(i64::from(since.days) * 86_400 + i64::from(since.secs)))
}

/// The parts of a name in their order; whatever could disturb a page or a log line is replaced.
fn name(name: &X509NameRef) -> String {
    let parts = name.entries().map(|entry| {
        let kind = entry.object().nid().short_name().unwrap_or("?");
        let value = entry.data().to_string().unwrap_or_default();
        format!("{kind}={value}").chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>()
    });
    parts.collect::<Vec<_>>().join(", ").chars().take(512).collect()
}

#[cfg(test)]
mod tests;
