//! Signing and verifying with OpenSSL, under `jsonwebtoken`: one crypto library in the build, keys parsed once.
//!
//! `jsonwebtoken` builds a signer from the key's bytes at every call. Here those bytes are a handle into a table of
//! parsed keys, so that a call costs a lock-free look-up instead of a DER parse.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{DecodingKey, EncodingKey};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use serde::{Deserialize, Serialize};

use crate::jose::Compact;

/// A JWS algorithm that we sign and verify with (RFC 7518, RFC 8037). Never HMAC, never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the registered ones")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Every algorithm, in order of preference where a key allows several.
pub const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The kind of a key, which decides the algorithms it may be used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA of 2048 to 8192 bits.
    Rsa,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// Why a key is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// An RSA modulus under 2048 bits.
    #[error("the RSA key has {0} bits; at least 2048 are required")]
    TooShort(u32),
    /// An RSA modulus over 8192 bits: verifying with it costs too much.
    #[error("the RSA key has {0} bits; at most 8192 are accepted")]
    TooLong(u32),
    /// Not RSA, P-256, P-384 or Ed25519.
    #[error("the key type is not supported; use RSA, EC P-256, EC P-384 or Ed25519")]
    Type,
    /// OpenSSL could not make sense of it.
    #[error("the key cannot be read")]
    Unreadable,
}

/// A signature could not be made, or does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature does not match, or the algorithm does not fit the key.
    #[error("the signature is invalid")]
    Invalid,
    /// OpenSSL failed to sign.
    #[error("signing failed")]
    Failed,
}

impl Algorithm {
    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The kind of key that the algorithm is tied to.
    #[must_use]
    pub fn key_kind(self) -> KeyKind {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => KeyKind::Rsa,
            Self::ES256 => KeyKind::P256,
            Self::ES384 => KeyKind::P384,
            Self::EdDSA => KeyKind::Ed25519,
        }
    }

    fn digest(self) -> MessageDigest {
        match self {
            Self::RS256 | Self::PS256 | Self::ES256 | Self::EdDSA => MessageDigest::sha256(),
            Self::RS384 | Self::PS384 | Self::ES384 => MessageDigest::sha384(),
            Self::RS512 | Self::PS512 => MessageDigest::sha512(),
        }
    }

    fn is_pss(self) -> bool {
        matches!(self, Self::PS256 | Self::PS384 | Self::PS512)
    }

    /// The length of `r` and of `s` in an ECDSA signature (RFC 7518, section 3.4).
    fn ecdsa_half(self) -> Option<i32> {
        match self {
            Self::ES256 => Some(32),
            Self::ES384 => Some(48),
            _ => None,
        }
    }

    fn of(library: jsonwebtoken::Algorithm) -> Option<Self> {
        use jsonwebtoken::Algorithm as Theirs;
        match library {
            Theirs::RS256 => Some(Self::RS256),
            Theirs::RS384 => Some(Self::RS384),
            Theirs::RS512 => Some(Self::RS512),
            Theirs::PS256 => Some(Self::PS256),
            Theirs::PS384 => Some(Self::PS384),
            Theirs::PS512 => Some(Self::PS512),
            Theirs::ES256 => Some(Self::ES256),
            Theirs::ES384 => Some(Self::ES384),
            Theirs::EdDSA => Some(Self::EdDSA),
            _ => None,
        }
    }

    fn library(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as Theirs;
        match self {
            Self::RS256 => Theirs::RS256,
            Self::RS384 => Theirs::RS384,
            Self::RS512 => Theirs::RS512,
            Self::PS256 => Theirs::PS256,
            Self::PS384 => Theirs::PS384,
            Self::PS512 => Theirs::PS512,
            Self::ES256 => Theirs::ES256,
            Self::ES384 => Theirs::ES384,
            Self::EdDSA => Theirs::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = SignatureError;

    /// By exact spelling: `rs256` and `none` are no algorithm.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        ALGORITHMS.into_iter().find(|a| a.as_str() == text).ok_or(SignatureError::Invalid)
    }
}

/// The parsed keys behind the handles that `jsonwebtoken` carries.
static PRIVATE_KEYS: LazyLock<papaya::HashMap<[u8; 8], Arc<PKey<Private>>>> =
    LazyLock::new(papaya::HashMap::new);
static PUBLIC_KEYS: LazyLock<papaya::HashMap<[u8; 8], Arc<PKey<Public>>>> =
    LazyLock::new(papaya::HashMap::new);
static NEXT_HANDLE: AtomicU64 = AtomicU64::new(1);

fn next_handle() -> [u8; 8] {
    NEXT_HANDLE.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

struct PrivateHandle([u8; 8]);

impl Drop for PrivateHandle {
    fn drop(&mut self) {
        PRIVATE_KEYS.pin().remove(&self.0);
    }
}

struct PublicHandle([u8; 8]);

impl Drop for PublicHandle {
    fn drop(&mut self) {
        PUBLIC_KEYS.pin().remove(&self.0);
    }
}

/// A private key, parsed once and ready to sign.
#[derive(Clone)]
pub struct PrivateKey {
    key: Arc<PKey<Private>>,
    kind: KeyKind,
    encoding: EncodingKey,
    _handle: Arc<PrivateHandle>,
}

/// A public key, parsed once and ready to verify.
#[derive(Clone)]
pub struct PublicKey {
    key: Arc<PKey<Public>>,
    kind: KeyKind,
    decoding: DecodingKey,
    _handle: Arc<PublicHandle>,
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
        install_provider();
        let kind = kind_of(key.id(), key.bits(), key.ec_key().ok().and_then(|k| k.group().curve_name()))?;
        let key = Arc::new(key);
        let handle = next_handle();
        PRIVATE_KEYS.pin().insert(handle, Arc::clone(&key));
        let encoding = match kind {
            KeyKind::Rsa => EncodingKey::from_rsa_der(&handle),
            KeyKind::P256 | KeyKind::P384 => EncodingKey::from_ec_der(&handle),
            KeyKind::Ed25519 => EncodingKey::from_ed_der(&handle),
        };
        Ok(Self { key, kind, encoding, _handle: Arc::new(PrivateHandle(handle)) })
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
        if signing.algorithm.key_kind() != self.kind {
            return Err(SignatureError::Invalid);
        }
        let mut header = jsonwebtoken::Header::new(signing.algorithm.library());
        header.typ = signing.typ.map(str::to_owned);
        header.kid = signing.kid.map(str::to_owned);
        header.x5t_s256 = signing.x5t_s256.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(|_| SignatureError::Failed)
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

impl PublicKey {
    /// Takes a parsed OpenSSL key.
    ///
    /// # Errors
    /// [`UnusableKey`] by type and size.
    pub fn new(key: PKey<Public>) -> Result<Self, UnusableKey> {
        install_provider();
        let kind = kind_of(key.id(), key.bits(), key.ec_key().ok().and_then(|k| k.group().curve_name()))?;
        let key = Arc::new(key);
        let handle = next_handle();
        PUBLIC_KEYS.pin().insert(handle, Arc::clone(&key));
        let decoding = match kind {
            KeyKind::Rsa => DecodingKey::from_rsa_der(&handle),
            KeyKind::P256 | KeyKind::P384 => DecodingKey::from_ec_der(&handle),
            KeyKind::Ed25519 => DecodingKey::from_ed_der(&handle),
        };
        Ok(Self { key, kind, decoding, _handle: Arc::new(PublicHandle(handle)) })
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

fn generate_ec(curve: Nid) -> Result<PKey<Private>, ErrorStack> {
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

// === the provider that jsonwebtoken calls ===

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: openssl_signer,
    verifier_factory: openssl_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes OpenSSL the library under `jsonwebtoken`, once a process. Every key's constructor calls it.
fn install_provider() {
    static INSTALLED: LazyLock<()> = LazyLock::new(|| {
        // An error says that a provider is in place already; ours is the only one in the build.
        let _ = PROVIDER.install_default();
    });
    LazyLock::force(&INSTALLED);
}

struct OpensslSigner {
    key: Arc<PKey<Private>>,
    algorithm: Algorithm,
}

struct OpensslVerifier {
    key: Arc<PKey<Public>>,
    algorithm: Algorithm,
}

fn openssl_signer(
    algorithm: &jsonwebtoken::Algorithm,
    key: &EncodingKey,
) -> Result<Box<dyn JwtSigner>, JwtError> {
    let algorithm = Algorithm::of(*algorithm).ok_or(ErrorKind::InvalidAlgorithm)?;
    let handle: [u8; 8] = key.as_bytes().try_into().map_err(|_| ErrorKind::InvalidKeyFormat)?;
    let key = PRIVATE_KEYS.pin().get(&handle).cloned().ok_or(ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(OpensslSigner { key, algorithm }))
}

fn openssl_verifier(
    algorithm: &jsonwebtoken::Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, JwtError> {
    let algorithm = Algorithm::of(*algorithm).ok_or(ErrorKind::InvalidAlgorithm)?;
    let handle: [u8; 8] = key.try_get_as_bytes()?.try_into().map_err(|_| ErrorKind::InvalidKeyFormat)?;
    let key = PUBLIC_KEYS.pin().get(&handle).cloned().ok_or(ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(OpensslVerifier { key, algorithm }))
}

impl JwtSigner for OpensslSigner {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.library()
    }
}

impl signature::Signer<Vec<u8>> for OpensslSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        sign(&self.key, self.algorithm, message).map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for OpensslVerifier {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.library()
    }
}

impl signature::Verifier<Vec<u8>> for OpensslVerifier {
    fn verify(&self, message: &[u8], presented: &Vec<u8>) -> Result<(), signature::Error> {
        match verify(&self.key, self.algorithm, message, presented) {
            Ok(true) => Ok(()),
            // OpenSSL reports a misshapen signature as an error; to the caller it is simply not valid.
            Ok(false) | Err(_) => Err(signature::Error::new()),
        }
    }
}

fn sign(key: &PKey<Private>, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    if algorithm == Algorithm::EdDSA {
        return Signer::new_without_digest(key)?.sign_oneshot_to_vec(message);
    }
    let mut signer = Signer::new(algorithm.digest(), key)?;
    if algorithm.is_pss() {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_mgf1_md(algorithm.digest())?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    let made = signer.sign_oneshot_to_vec(message)?;
    let Some(half) = algorithm.ecdsa_half() else { return Ok(made) };
    let pair = EcdsaSig::from_der(&made)?;
    let mut joined = pair.r().to_vec_padded(half)?;
    joined.extend(pair.s().to_vec_padded(half)?);
    Ok(joined)
}

fn verify(
    key: &PKey<Public>,
    algorithm: Algorithm,
    message: &[u8],
    presented: &[u8],
) -> Result<bool, ErrorStack> {
    if algorithm == Algorithm::EdDSA {
        return Verifier::new_without_digest(key)?.verify_oneshot(presented, message);
    }
    let mut verifier = Verifier::new(algorithm.digest(), key)?;
    if algorithm.is_pss() {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_mgf1_md(algorithm.digest())?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    let Some(half) = algorithm.ecdsa_half().and_then(|h| usize::try_from(h).ok()) else {
        return verifier.verify_oneshot(presented, message);
    };
    let (Some(r), Some(s), true) =
        (presented.get(..half), presented.get(half..), presented.len() == 2 * half)
    else {
        return Ok(false);
    };
    let r = openssl::bn::BigNum::from_slice(r)?;
    let s = openssl::bn::BigNum::from_slice(s)?;
    let der = EcdsaSig::from_private_components(r, s)?.to_der()?;
    verifier.verify_oneshot(&der, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn signed(key: &PrivateKey, algorithm: Algorithm) -> String {
        let header = SigningHeader { algorithm, typ: Some("JWT"), kid: Some("k"), x5t_s256: None };
        key.sign(&header, &serde_json::json!({"sub": "alice"})).unwrap()
    }

    #[test]
    fn every_algorithm_signs_what_its_public_half_verifies() {
        for algorithm in ALGORITHMS {
            let key = PrivateKey::generate(algorithm.key_kind()).unwrap();
            let token = signed(&key, algorithm);
            let jwt = Compact::parse(&token).unwrap();
            assert_eq!(key.public().unwrap().verify(&jwt, algorithm), Ok(()), "{algorithm}");
        }
    }

    #[test]
    fn another_key_does_not_verify() {
        for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let algorithm = ALGORITHMS.into_iter().find(|a| a.key_kind() == kind).unwrap();
            let token = signed(&PrivateKey::generate(kind).unwrap(), algorithm);
            let stranger = PrivateKey::generate(kind).unwrap().public().unwrap();
            let jwt = Compact::parse(&token).unwrap();
            assert_eq!(stranger.verify(&jwt, algorithm), Err(SignatureError::Invalid));
        }
    }

    #[test]
    fn an_algorithm_of_another_key_type_or_another_header_is_refused() {
        let rsa = PrivateKey::generate(KeyKind::Rsa).unwrap();
        let token = signed(&rsa, Algorithm::RS256);
        let jwt = Compact::parse(&token).unwrap();
        let public = rsa.public().unwrap();
        assert_eq!(public.verify(&jwt, Algorithm::ES256), Err(SignatureError::Invalid));
        assert_eq!(public.verify(&jwt, Algorithm::PS256), Err(SignatureError::Invalid));
        let header = SigningHeader { algorithm: Algorithm::EdDSA, typ: None, kid: None, x5t_s256: None };
        assert_eq!(rsa.sign(&header, &serde_json::json!({})), Err(SignatureError::Invalid));
    }

    #[test]
    fn a_signature_cut_short_or_drawn_out_is_refused() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let token = signed(&key, Algorithm::ES256);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for bad in [&bytes[..60], &[&bytes[..], &[0; 3]].concat()] {
            let bad = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bad));
            let jwt = Compact::parse(&bad).unwrap();
            assert_eq!(key.public().unwrap().verify(&jwt, Algorithm::ES256), Err(SignatureError::Invalid));
        }
    }

    #[test]
    fn short_and_odd_keys_are_refused_with_their_reason() {
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        assert_eq!(PrivateKey::new(short).unwrap_err(), UnusableKey::TooShort(1024));
        let odd = generate_ec(Nid::SECP521R1).unwrap();
        assert_eq!(PrivateKey::new(odd).unwrap_err(), UnusableKey::Type);
        assert_eq!(PublicKey::from_spki(b"junk").unwrap_err(), UnusableKey::Unreadable);
    }

    #[test]
    fn no_other_spelling_is_an_algorithm() {
        for text in ["none", "None", "HS256", "rs256", "RS256 ", "", "ES512"] {
            assert!(text.parse::<Algorithm>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_survives_pkcs_8() {
        let key = PrivateKey::generate(KeyKind::P384).unwrap();
        let again = PrivateKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert!(again.pkey().public_eq(key.pkey()));
    }

    #[test]
    fn a_dropped_key_leaves_the_table() {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let handle: [u8; 8] = key.encoding.as_bytes().try_into().unwrap();
        assert!(PRIVATE_KEYS.pin().contains_key(&handle));
        drop(key);
        assert!(!PRIVATE_KEYS.pin().contains_key(&handle));
    }
}
