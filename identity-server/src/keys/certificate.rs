//! Makes a key with its self-signed certificate, so that others can register the key by certificate.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509, X509Name};
use shared_claims::clock::UnixTime;
use shared_claims::jwk::Jwk;
use shared_claims::signature::{KeyKind, PrivateKey, UnusableKey};
use shared_server::sealing::MasterKey;
use zeroize::Zeroizing;

use super::KeyError;
use super::snapshot::seal;
use crate::domain::key::KeyRecord;

/// Ten years, in seconds: the certificate carries a key to those who trust it by hand, and rotation is another matter.
const LIFETIME: i64 = 10 * 365 * 24 * 60 * 60;
/// Seconds by which the clock of one who checks the certificate may be behind ours.
const SKEW: i64 = 300;
/// The longest common name that X.509 allows.
const LONGEST_NAME: usize = 64;

/// A new key, ready to be sealed and kept.
pub struct KeyMaterial {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Self-signed, PEM.
    pub certificate: String,
    /// When it was made.
    pub created_at: UnixTime,
    private: Zeroizing<Vec<u8>>,
}

/// Makes a key of `kind` with a certificate in the name of `host`.
///
/// # Errors
/// [`KeyError`] where OpenSSL failed.
pub fn make(kind: KeyKind, host: &str, now: UnixTime) -> Result<KeyMaterial, KeyError> {
    let key = PrivateKey::generate(kind)?;
    let kid = Jwk::of(&key.public()?)?.thumbprint();
    let certificate = self_signed(&key, host, now).map_err(|_| UnusableKey::Unreadable)?;
    let pem = certificate.to_pem().map_err(|_| UnusableKey::Unreadable)?;
    let certificate = String::from_utf8_lossy(&pem).into_owned();
    Ok(KeyMaterial { kid, certificate, created_at: now, private: key.to_pkcs8()? })
}

impl KeyMaterial {
    /// The record to keep, its private half sealed; it signs from `signs_from` on.
    ///
    /// # Errors
    /// [`KeyError::Sealing`].
    pub fn into_record(
        self,
        kind: KeyKind,
        generation: i64,
        signs_from: UnixTime,
        master: &MasterKey,
    ) -> Result<KeyRecord, KeyError> {
        let sealed_key = seal(&self.kid, &self.private, master)?;
        Ok(KeyRecord {
            kid: self.kid,
            kind,
            generation,
            certificate: self.certificate,
            sealed_key,
            created_at: self.created_at,
            signs_from,
            retires_at: None,
        })
    }
}

fn self_signed(key: &PrivateKey, host: &str, now: UnixTime) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    let host: String = host.chars().take(LONGEST_NAME).collect();
    name.append_entry_by_nid(Nid::COMMONNAME, if host.is_empty() { "identity-server" } else { &host })?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let (from, until) = (Asn1Time::from_unix(now.minus(SKEW).0)?, Asn1Time::from_unix(now.plus(LIFETIME).0)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    builder.set_pubkey(key.pkey())?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    // Ed25519 hashes for itself and refuses a digest.
    let digest = if key.kind() == KeyKind::Ed25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(key.pkey(), digest)?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_gets_a_certificate_of_its_own() {
        for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::Ed25519] {
            let made = make(kind, "id.example", UnixTime(1_800_000_000)).unwrap();
            let certificate = X509::from_pem(made.certificate.as_bytes()).unwrap();
            let key = PrivateKey::from_pkcs8(&made.private).unwrap();
            assert!(certificate.public_key().unwrap().public_eq(key.pkey()), "{kind:?}");
            assert!(certificate.verify(key.pkey()).unwrap(), "{kind:?}");
            assert_eq!(Jwk::of(&key.public().unwrap()).unwrap().thumbprint(), made.kid);
        }
    }
}
