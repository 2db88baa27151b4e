//! An identity provider of the test's own: keys of every kind, certificates, and assertions with any content.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::{X509, X509Name};
use serde_json::{Map, Value, json};
use shared_claims::clock::{Clock, UnixTime};
use shared_claims::jwk::Jwk;
use shared_claims::signature::{ALGORITHMS, PrivateKey};
pub use shared_claims::signature::{Algorithm, KeyKind};
use uuid::Uuid;

const DAY: i64 = 86_400;

/// An issuer of assertions.
#[derive(Clone)]
pub struct Idp {
    /// `iss`
    pub issuer: String,
    /// The client identifier that its assertions hold in `aud`.
    pub alias: String,
    key: PKey<Private>,
    algorithm: Algorithm,
    clock: Clock,
}

/// The claims of an assertion in the making.
#[derive(Clone, Debug)]
pub struct Claims(Map<String, Value>);

impl Idp {
    /// An issuer with an RSA key.
    #[must_use]
    pub fn new(issuer: &str, alias: &str, clock: &Clock) -> Self {
        Self::with_key(issuer, alias, KeyKind::Rsa, clock)
    }

    /// An issuer with a key of the given kind, who signs with the first algorithm that fits the key.
    ///
    /// # Panics
    /// OpenSSL makes no key.
    #[must_use]
    pub fn with_key(issuer: &str, alias: &str, kind: KeyKind, clock: &Clock) -> Self {
        let key = PrivateKey::generate(kind).expect("OpenSSL makes keys").pkey().clone();
        let algorithm = ALGORITHMS.into_iter().find(|algorithm| algorithm.key_kind() == kind);
        let algorithm = algorithm.expect("every kind has an algorithm");
        Self { issuer: issuer.to_owned(), alias: alias.to_owned(), key, algorithm, clock: clock.clone() }
    }

    /// The same issuer, signing with another algorithm.
    #[must_use]
    pub fn signing_with(&self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.clone() }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PKeyRef<Private> {
        &self.key
    }

    /// A self-signed certificate of its key, as PEM, good from yesterday for a month.
    #[must_use]
    pub fn certificate(&self) -> String {
        let now = self.clock.now();
        self.certificate_for(now.minus(DAY), now.plus(30 * DAY))
    }

    /// The same with other dates.
    ///
    /// # Panics
    /// OpenSSL makes no certificate.
    #[must_use]
    pub fn certificate_for(&self, from: UnixTime, until: UnixTime) -> String {
        let pem = self_signed(&self.key, from, until).and_then(|certificate| certificate.to_pem());
        String::from_utf8(pem.expect("OpenSSL makes certificates")).expect("PEM is ASCII")
    }

    /// Its public key as a member of a JWK set.
    ///
    /// # Panics
    /// OpenSSL does not tell the key.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> Value {
        let key = PrivateKey::new(self.key.clone()).and_then(|key| key.public());
        let jwk =
            key.and_then(|key| Jwk::published(&key, self.algorithm, kid, None)).expect("a key is a JWK");
        serde_json::to_value(jwk).expect("a JWK is JSON")
    }

    /// An assertion for a subject, good for ten minutes, that the API manager ought to take.
    #[must_use]
    pub fn sign_for(&self, subject: &str) -> String {
        self.sign(&self.claims(subject))
    }

    /// The claims of [`Idp::sign_for`], to be bent.
    #[must_use]
    pub fn claims(&self, subject: &str) -> Claims {
        let now = self.clock.now().0;
        Claims(Map::new())
            .with("iss", self.issuer.as_str())
            .with("sub", subject)
            .with("aud", json!([self.alias]))
            .with("iat", now)
            .with("exp", now + 600)
            .with("jti", Uuid::now_v7().to_string())
    }

    /// The header that belongs to its key.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm.as_str(), "typ": "JWT" })
    }

    /// Signs claims under the usual header.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        self.sign_text(&self.header().to_string(), &claims.text())
    }

    /// Signs claims under another header; the signature stays one of this issuer's algorithm.
    #[must_use]
    pub fn sign_under(&self, header: &Value, claims: &Claims) -> String {
        self.sign_text(&header.to_string(), &claims.text())
    }

    /// Signs any two texts, JSON or not.
    ///
    /// # Panics
    /// OpenSSL does not sign.
    #[must_use]
    pub fn sign_text(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = signature(&self.key, self.algorithm, input.as_bytes()).expect("OpenSSL signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Claims {
    /// The same with this claim added or replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The same with another claim missing.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// A compact token of any parts, with a signature of the caller's choice.
#[must_use]
pub fn compact(header: &Value, payload: &str, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(header.to_string().as_bytes()), part(payload.as_bytes()), part(signature))
}

/// `HS256` over the token's first two parts, keyed with bytes that were never meant to be a key.
///
/// # Panics
/// OpenSSL does not sign.
#[must_use]
pub fn sign_hs256(header: &Value, payload: &str, key: &[u8]) -> String {
    let input = compact(header, payload, b"");
    let input = input.trim_end_matches('.');
    let hmac = PKey::hmac(key)
        .and_then(|key| Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(input.as_bytes()));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(hmac.expect("OpenSSL signs")))
}

fn signature(
    key: &PKeyRef<Private>,
    algorithm: Algorithm,
    input: &[u8],
) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let digest = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => MessageDigest::sha256(),
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => MessageDigest::sha384(),
        Algorithm::RS512 | Algorithm::PS512 => MessageDigest::sha512(),
        Algorithm::EdDSA => return Signer::new_without_digest(key)?.sign_oneshot_to_vec(input),
    };
    let mut signer = Signer::new(digest, key)?;
    if matches!(algorithm, Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512) {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    let signed = signer.sign_oneshot_to_vec(input)?;
    // RFC 7518, section 3.4: R and S one after the other, each as long as the curve's order; not DER.
    let order = match algorithm {
        Algorithm::ES256 => 32,
        Algorithm::ES384 => 48,
        _ => return Ok(signed),
    };
    let signed = EcdsaSig::from_der(&signed)?;
    Ok([signed.r().to_vec_padded(order)?, signed.s().to_vec_padded(order)?].concat())
}

fn self_signed(
    key: &PKeyRef<Private>,
    from: UnixTime,
    until: UnixTime,
) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", "idp")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::from_unix(from.0)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(until.0)?)?;
    builder.set_pubkey(key)?;
    let digest =
        if key.id() == openssl::pkey::Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(key, digest)?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use shared_claims::jose::Compact;
    use shared_claims::signature::PublicKey;

    use super::*;

    #[test]
    fn what_it_signs_verifies_under_its_certificate() {
        for algorithm in ALGORITHMS {
            let idp = Idp::with_key("https://idp.example", "us", algorithm.key_kind(), &Clock::System);
            let certificate = X509::from_pem(idp.certificate().as_bytes()).unwrap();
            let key = PublicKey::new(certificate.public_key().unwrap()).unwrap();

            let assertion = idp.signing_with(algorithm).sign_for("alice");

            key.verify(&Compact::parse(&assertion).unwrap(), algorithm).unwrap();
        }
    }
}
