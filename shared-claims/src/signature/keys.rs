//! Keys, parsed once.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::Rsa;
use serde::Serialize;

use super::provider::Handle;
use super::{Algorithm, KeyKind, SignatureError, UnusableKey};
use crate::jose::Compact;

/// Two dots and the signature of an RSA-2048 key in base64url; longer ones make the token's memory grow.
const LONGEST_SIGNATURE: usize = 344 + 2;

/// A private key, parsed once and ready to sign.
#[derive(Clone)]
pub struct PrivateKey {
    key: Arc<PKey<Private>>,
    kind: KeyKind,
    pub(super) encoding: EncodingKey,
    _handle: Arc<Handle<Private>>,
}

/// A public key, parsed once and ready to verify.
#[derive(Clone)]
pub struct PublicKey {
    key: Arc<PKey<Public>>,
    kind: KeyKind,
    decoding: DecodingKey,
    _handle: Arc<Handle<Public>>,
}

impl PrivateKey {
    /// Makes a new key: RSA-2048 for [`KeyKind::Rsa`].
    ///
    /// # Errors
    /// [`UnusableKey::Unreadable`] where OpenSSL failed.
    pub fn generate(kind: KeyKind) -> Result<Self, UnusableKey> {
        let made = match kind {
            KeyKind::Rsa => Rsa::generate(2048).and_then(PKey::from_rsa),
            KeyKind::P256 => generate_ec(Nid::X9_62_PRIME256V1),
            KeyKind::P384 => generate_ec(Nid::SECP384R1),
            KeyKind::Ed25519 => PKey::generate_ed25519(),
        };
        Self::new(made.map_err(|_| UnusableKey::Unreadable)?)
    }

    /// Takes a parsed OpenSSL key.
    ///
    /// # Errors
    /// [`UnusableKey`] by type and size.
    pub fn new(key: PKey<Private>) -> Result<Self, UnusableKey> {
        let kind = kind_of(key.id(), key.bits(), key.ec_key().ok().and_then(|k| k.group().curve_name()))?;
        let key = Arc::new(key);
        let handle = Handle::of_private(&key);
        let encoding = match kind {
            KeyKind::Rsa => EncodingKey::from_rsa_der(handle.bytes()),
            KeyKind::P256 | KeyKind::P384 => EncodingKey::from_ec_der(handle.bytes()),
            KeyKind::Ed25519 => EncodingKey::from_ed_der(handle.bytes()),
        };
        Ok(Self { key, kind, encoding, _handle: Arc::new(handle) })
    }

    /// Reads PKCS#8 DER.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, UnusableKey> {
        Self::new(PKey::private_key_from_pkcs8(der).map_err(|_| UnusableKey::Unreadable)?)
    }

    /// PKCS#8 DER of the key. The caller encrypts it before it is kept.
    ///
    /// # Errors
    /// [`UnusableKey::Unreadable`] where OpenSSL failed.
    pub fn to_pkcs8(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, UnusableKey> {
        self.key.private_key_to_pkcs8().map(zeroize::Zeroizing::new).map_err(|_| UnusableKey::Unreadable)
    }

    /// The public half.
    ///
    /// # Errors
    /// [`UnusableKey::Unreadable`] where OpenSSL failed.
    pub fn public(&self) -> Result<PublicKey, UnusableKey> {
        PublicKey::from_spki(&self.key.public_key_to_der().map_err(|_| UnusableKey::Unreadable)?)
    }

    /// The parsed key, for making certificates.
    #[must_use]
    pub fn pkey(&self) -> &PKey<Private> {
        &self.key
    }

    /// The kind of the key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Signs claims as a compact JWS.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`] where the algorithm does not fit the key, [`SignatureError::Failed`] otherwise.
    pub fn sign<C: Serialize>(
        &self,
        signing: &SigningHeader<'_>,
        claims: &C,
    ) -> Result<String, SignatureError> {
        self.sign_under(&signing.write()?, claims)
    }

    /// Signs claims as a compact JWS under a header that was written before.
    ///
    /// # Errors
    /// As [`PrivateKey::sign`].
    pub fn sign_under<C: Serialize>(
        &self,
        header: &WrittenHeader,
        claims: &C,
    ) -> Result<String, SignatureError> {
        if header.algorithm.key_kind() != self.kind {
            return Err(SignatureError::Invalid);
        }
        let failed = |_| SignatureError::Failed;
        let claims = serde_json::to_vec(claims).map_err(|_| SignatureError::Failed)?;
        let mut token = String::with_capacity(header.text.len() + claims.len() * 4 / 3 + LONGEST_SIGNATURE);
        token.push_str(&header.text);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let algorithm = header.algorithm.library();
        let signature =
            jsonwebtoken::crypto::sign(token.as_bytes(), &self.encoding, algorithm).map_err(failed)?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?}, …)", self.kind)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.kind)
    }
}

/// The header of a token to be signed.
#[derive(Clone, Copy, Debug)]
pub struct SigningHeader<'a> {
    /// How to sign.
    pub algorithm: Algorithm,
    /// `typ`, such as `at+jwt` (RFC 9068).
    pub typ: Option<&'a str>,
    /// The key's id in the JWK set.
    pub kid: Option<&'a str>,
    /// The certificate's SHA-256 thumbprint, base64url.
    pub x5t_s256: Option<&'a str>,
}

/// A header as it stands in a token, written once for all tokens of a key and algorithm.
#[derive(Clone, Debug)]
pub struct WrittenHeader {
    /// How to sign.
    pub algorithm: Algorithm,
    text: String,
}

impl SigningHeader<'_> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`SignatureError::Failed`].
    pub fn write(&self) -> Result<WrittenHeader, SignatureError> {
        let mut header = jsonwebtoken::Header::new(self.algorithm.library());
        header.typ = self.typ.map(str::to_owned);
        header.kid = self.kid.map(str::to_owned);
        header.x5t_s256 = self.x5t_s256.map(str::to_owned);
        let json = serde_json::to_vec(&header).map_err(|_| SignatureError::Failed)?;
        Ok(WrittenHeader { algorithm: self.algorithm, text: URL_SAFE_NO_PAD.encode(json) })
    }
}

impl PublicKey {
    /// Takes a parsed OpenSSL key.
    ///
    /// # Errors
    /// [`UnusableKey`] by type and size.
    pub fn new(key: PKey<Public>) -> Result<Self, UnusableKey> {
        let kind = kind_of(key.id(), key.bits(), key.ec_key().ok().and_then(|k| k.group().curve_name()))?;
        let key = Arc::new(key);
        let handle = Handle::of_public(&key);
        let decoding = match kind {
            KeyKind::Rsa => DecodingKey::from_rsa_der(handle.bytes()),
            KeyKind::P256 | KeyKind::P384 => DecodingKey::from_ec_der(handle.bytes()),
            KeyKind::Ed25519 => DecodingKey::from_ed_der(handle.bytes()),
        };
        Ok(Self { key, kind, decoding, _handle: Arc::new(handle) })
    }

    /// Reads a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn from_spki(der: &[u8]) -> Result<Self, UnusableKey> {
        Self::new(PKey::public_key_from_der(der).map_err(|_| UnusableKey::Unreadable)?)
    }

    /// The parsed key.
    #[must_use]
    pub fn pkey(&self) -> &PKey<Public> {
        &self.key
    }

    /// The kind of the key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Verifies the signature of a compact JWS. The algorithm must be one of `allowed` **and** fit this key: the
    /// sender's header never chooses how a key is used (RFC 8725, section 3.1).
    ///
    /// # Errors
    /// [`SignatureError::Invalid`].
    pub fn verify(&self, jwt: &Compact<'_>, algorithm: Algorithm) -> Result<(), SignatureError> {
        if algorithm.key_kind() != self.kind || jwt.header.alg != algorithm.as_str() {
            return Err(SignatureError::Invalid);
        }
        match jsonwebtoken::crypto::verify(
            jwt.signature,
            jwt.signing_input,
            &self.decoding,
            algorithm.library(),
        ) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(SignatureError::Invalid),
        }
    }
}

pub(super) fn generate_ec(curve: Nid) -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve)?;
    EcKey::generate(&group).and_then(PKey::from_ec_key)
}

fn kind_of(id: Id, bits: u32, curve: Option<Nid>) -> Result<KeyKind, UnusableKey> {
    match (id, curve) {
        (Id::RSA, _) if bits < 2048 => Err(UnusableKey::TooShort(bits)),
        (Id::RSA, _) if bits > 8192 => Err(UnusableKey::TooLong(bits)),
        (Id::RSA, _) => Ok(KeyKind::Rsa),
        (Id::EC, Some(Nid::X9_62_PRIME256V1)) => Ok(KeyKind::P256),
        (Id::EC, Some(Nid::SECP384R1)) => Ok(KeyKind::P384),
        (Id::ED25519, _) => Ok(KeyKind::Ed25519),
        _ => Err(UnusableKey::Type),
    }
}
