//! The provider that jsonwebtoken calls, and the table of parsed keys behind the handles that it carries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{DecodingKey, EncodingKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::Padding;
use openssl::sha::Sha384;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};

use super::Algorithm;
use crate::secret::Digest;

type Table<K> = LazyLock<papaya::HashMap<[u8; 8], Arc<PKey<K>>>>;

static PRIVATE_KEYS: Table<Private> = LazyLock::new(papaya::HashMap::new);
static PUBLIC_KEYS: Table<Public> = LazyLock::new(papaya::HashMap::new);
static NEXT_HANDLE: AtomicU64 = AtomicU64::new(1);

/// A parsed key's place in its table, left when the handle is dropped. Its bytes are what jsonwebtoken carries.
pub(super) struct Handle<K: 'static> {
    place: [u8; 8],
    table: &'static Table<K>,
}

impl<K> Handle<K> {
    fn enter(table: &'static Table<K>, key: &Arc<PKey<K>>) -> Self {
        install_provider();
        let place = NEXT_HANDLE.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        table.pin().insert(place, Arc::clone(key));
        Self { place, table }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.place
    }
}

impl Handle<Private> {
    pub(super) fn of_private(key: &Arc<PKey<Private>>) -> Self {
        Self::enter(&PRIVATE_KEYS, key)
    }
}

impl Handle<Public> {
    pub(super) fn of_public(key: &Arc<PKey<Public>>) -> Self {
        Self::enter(&PUBLIC_KEYS, key)
    }
}

impl<K> Drop for Handle<K> {
    fn drop(&mut self) {
        self.table.pin().remove(&self.place);
    }
}

/// Whether a private key stands behind these bytes; for the test of the table.
#[cfg(test)]
pub(super) fn is_private_handle(place: [u8; 8]) -> bool {
    PRIVATE_KEYS.pin().contains_key(&place)
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: openssl_signer,
    verifier_factory: openssl_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes OpenSSL the library under jsonwebtoken, once a process. No key gets a handle before.
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
        // Into room of the known length (RFC 8032, section 5.1.6): otherwise OpenSSL is asked for it each time.
        let mut made = vec![0; 64];
        Signer::new_without_digest(key)?.sign_oneshot(&mut made, message)?;
        return Ok(made);
    }
    if let Some(half) = algorithm.ecdsa_half() {
        return sign_ecdsa(key, half, message);
    }
    if algorithm == Algorithm::RS256 {
        return sign_rs256(key, message);
    }
    let mut signer = Signer::new(algorithm.digest(), key)?;
    if algorithm.is_pss() {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_mgf1_md(algorithm.digest())?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    signer.sign_oneshot_to_vec(message)
}

/// `DigestInfo` of a SHA-256 digest, up to the digest (RFC 8017, section 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.1): padding and private key operation are OpenSSL's. Its `Signer`
/// would make a context for each signature, and copy it before it is used.
fn sign_rs256(key: &PKey<Private>, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = key.rsa()?;
    let mut info = [0; SHA256_INFO.len() + 32];
    let (head, digest) = info.split_at_mut(SHA256_INFO.len());
    head.copy_from_slice(&SHA256_INFO);
    digest.copy_from_slice(Digest::of(message).as_bytes());
    let mut signature = vec![0; usize::try_from(key.size()).unwrap_or_default()];
    let length = key.private_encrypt(&info, &mut signature, Padding::PKCS1)?;
    signature.truncate(length);
    Ok(signature)
}

/// `r` and `s` as OpenSSL computes them. Its `Signer` would make a context for each signature, look the digest up by name
/// and write the two numbers as DER, from which they had to be read again.
fn sign_ecdsa(key: &PKey<Private>, half: i32, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = key.ec_key()?;
    let pair = match half {
        32 => EcdsaSig::sign(Digest::of(message).as_bytes(), &key)?,
        _ => {
            let mut hash = Sha384::new();
            hash.update(message);
            EcdsaSig::sign(&hash.finish(), &key)?
        }
    };
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
    use openssl::hash::MessageDigest;
    use openssl::rsa::Rsa;

    use super::*;

    #[test]
    fn rs256_is_what_openssls_own_signer_makes_also_for_keys_of_odd_sizes_that_were_read() {
        for bits in [2_048, 2_049, 3_072] {
            let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
            let key = PKey::private_key_from_der(&key.private_key_to_pkcs8().unwrap()).unwrap();
            for message in [&b""[..], b"header.claims", &[7; 5_000]] {
                let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
                let theirs = signer.sign_oneshot_to_vec(message).unwrap();
                assert_eq!(sign(&key, Algorithm::RS256, message).unwrap(), theirs, "{bits} bits");
            }
        }
    }

    #[test]
    fn rs256_with_a_key_of_another_kind_is_an_error() {
        let key = PKey::generate_ed25519().unwrap();
        assert!(sign(&key, Algorithm::RS256, b"header.claims").is_err());
    }
}
