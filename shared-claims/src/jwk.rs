//! JSON Web Keys (RFC 7517), their thumbprints (RFC 7638) and their way to and from OpenSSL.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};

use crate::secret::Digest;
use crate::signature::{Algorithm, KeyKind, PublicKey, UnusableKey};

/// A set of public keys, as a `jwks_uri` serves it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys; readers skip those that they do not understand.
    pub keys: Vec<Jwk>,
}

/// One public key. Private members are never read and never written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// `sig` for signatures; a key for something else is not used.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<String>,
    /// The one algorithm that the key is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alg: Option<String>,
    /// The key's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kid: Option<String>,
    /// RSA modulus.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n: Option<String>,
    /// RSA exponent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub e: Option<String>,
    /// Curve.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crv: Option<String>,
    /// EC x coordinate, or the Ed25519 public key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub x: Option<String>,
    /// EC y coordinate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub y: Option<String>,
    /// Certificate chain, each base64 DER.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub x5c: Option<Vec<String>>,
    /// SHA-256 thumbprint of the first certificate, base64url.
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none", default)]
    pub x5t_s256: Option<String>,
}

impl Jwk {
    /// Describes a public key.
    ///
    /// # Errors
    /// [`UnusableKey::Unreadable`] where OpenSSL failed.
    pub fn of(key: &PublicKey) -> Result<Self, UnusableKey> {
        describe(key).map_err(|_| UnusableKey::Unreadable)
    }

    /// The same key with an id, an algorithm and, where there is one, its certificate.
    ///
    /// # Errors
    /// [`UnusableKey::Unreadable`] where OpenSSL failed.
    pub fn published(
        key: &PublicKey,
        algorithm: Algorithm,
        kid: &str,
        certificate: Option<&X509>,
    ) -> Result<Self, UnusableKey> {
        let mut jwk = Self::of(key)?;
        jwk.usage = Some("sig".to_owned());
        jwk.alg = Some(algorithm.as_str().to_owned());
        jwk.kid = Some(kid.to_owned());
        if let Some(certificate) = certificate {
            let der = certificate.to_der().map_err(|_| UnusableKey::Unreadable)?;
            jwk.x5t_s256 = Some(Digest::of(&der).base64url());
            jwk.x5c = Some(vec![STANDARD.encode(der)]);
        }
        Ok(jwk)
    }

    /// The key, ready to verify.
    ///
    /// # Errors
    /// [`UnusableKey`]: another type or curve, a short modulus, members missing or broken.
    pub fn public_key(&self) -> Result<PublicKey, UnusableKey> {
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(self.n.as_ref())?, number(self.e.as_ref())?);
                Rsa::from_public_components(n, e).and_then(PKey::from_rsa)
            }
            ("EC", Some("P-256")) => {
                ec(Nid::X9_62_PRIME256V1, number(self.x.as_ref())?, number(self.y.as_ref())?)
            }
            ("EC", Some("P-384")) => ec(Nid::SECP384R1, number(self.x.as_ref())?, number(self.y.as_ref())?),
            ("OKP", Some("Ed25519")) => {
                PKey::public_key_from_raw_bytes(&bytes(self.x.as_ref())?, Id::ED25519)
            }
            _ => return Err(UnusableKey::Type),
        };
        PublicKey::new(key.map_err(|_| UnusableKey::Unreadable)?)
    }

    /// Whether the key may verify signatures, as far as it says.
    #[must_use]
    pub fn is_for_signatures(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
    }

    /// RFC 7638: SHA-256 over the required members in lexicographic order, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let part = |value: &Option<String>| value.clone().unwrap_or_default();
        let canonical = match self.kty.as_str() {
            "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, part(&self.e), part(&self.n)),
            "EC" => {
                let (crv, x, y) = (part(&self.crv), part(&self.x), part(&self.y));
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            _ => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, part(&self.crv), part(&self.x)),
        };
        Digest::of(canonical.as_bytes()).base64url()
    }
}

fn describe(key: &PublicKey) -> Result<Jwk, ErrorStack> {
    let encode = |bytes: Vec<u8>| Some(URL_SAFE_NO_PAD.encode(bytes));
    match key.kind() {
        KeyKind::Rsa => {
            let rsa = key.pkey().rsa()?;
            Ok(Jwk {
                kty: "RSA".into(),
                n: encode(rsa.n().to_vec()),
                e: encode(rsa.e().to_vec()),
                ..Jwk::default()
            })
        }
        KeyKind::P256 | KeyKind::P384 => {
            let (crv, length) = if key.kind() == KeyKind::P256 { ("P-256", 32) } else { ("P-384", 48) };
            let ec = key.pkey().ec_key()?;
            let (mut x, mut y, mut context) = (BigNum::new()?, BigNum::new()?, BigNumContext::new()?);
            ec.public_key().affine_coordinates(ec.group(), &mut x, &mut y, &mut context)?;
            let (x, y) = (x.to_vec_padded(length)?, y.to_vec_padded(length)?);
            Ok(Jwk { kty: "EC".into(), crv: Some(crv.into()), x: encode(x), y: encode(y), ..Jwk::default() })
        }
        KeyKind::Ed25519 => {
            let x = encode(key.pkey().raw_public_key()?);
            Ok(Jwk { kty: "OKP".into(), crv: Some("Ed25519".into()), x, ..Jwk::default() })
        }
    }
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, UnusableKey> {
    let text = text.ok_or(UnusableKey::Unreadable)?;
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| UnusableKey::Unreadable)
}

fn number(text: Option<&String>) -> Result<BigNum, UnusableKey> {
    BigNum::from_slice(&bytes(text)?).map_err(|_| UnusableKey::Unreadable)
}

fn ec(curve: Nid, x: BigNum, y: BigNum) -> Result<PKey<openssl::pkey::Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve)?;
    EcKey::from_public_key_affine_coordinates(&group, &x, &y).and_then(PKey::from_ec_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::PrivateKey;

    #[test]
    fn every_kind_of_key_survives_its_jwk() {
        for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let public = PrivateKey::generate(kind).unwrap().public().unwrap();
            let text = serde_json::to_string(&Jwk::of(&public).unwrap()).unwrap();
            let again: Jwk = serde_json::from_str(&text).unwrap();
            assert!(again.public_key().unwrap().pkey().public_eq(public.pkey()));
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfcs() {
        // RFC 7638, section 3.1 and RFC 8037, appendix A.3.
        let rsa = Jwk {
            kty: "RSA".into(),
            e: Some("AQAB".into()),
            n: Some("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw".into()),
            ..Jwk::default()
        };
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let ed = Jwk {
            kty: "OKP".into(),
            crv: Some("Ed25519".into()),
            x: Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into()),
            ..Jwk::default()
        };
        assert_eq!(ed.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn foreign_and_broken_keys_are_refused() {
        let symmetric: Jwk = serde_json::from_str(r#"{"kty":"oct","k":"c2VjcmV0"}"#).unwrap();
        assert_eq!(symmetric.public_key().unwrap_err(), UnusableKey::Type);
        let off_curve = r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}"#;
        assert_eq!(
            serde_json::from_str::<Jwk>(off_curve).unwrap().public_key().unwrap_err(),
            UnusableKey::Unreadable
        );
        let empty: Jwk = serde_json::from_str(r#"{"kty":"RSA"}"#).unwrap();
        assert_eq!(empty.public_key().unwrap_err(), UnusableKey::Unreadable);
    }
}
