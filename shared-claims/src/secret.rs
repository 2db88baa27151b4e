//! Values that must not leak, and what may be kept of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::Sha256;
use zeroize::Zeroizing;

/// A plain secret: never printed by `Debug`, wiped when dropped, shown by [`Secret::expose`] only.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the plain text into custody.
    #[must_use]
    pub fn new(plain: impl Into<String>) -> Self {
        Self(Zeroizing::new(plain.into()))
    }

    /// 256 random bits as 43 characters of base64url, from the system's random source.
    ///
    /// # Errors
    /// The random source failed; the caller must stop, not go on with less.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self::new(URL_SAFE_NO_PAD.encode(random::<32>()?)))
    }

    /// The plain text. Name the reason wherever this is called.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the plain text. Enough for secrets that we made (256 random bits), never for passwords.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A SHA-256 digest of something high in entropy; equality takes the same time wherever the bytes differ.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // OpenSSL's one-shot function looks the algorithm up by name at every call.
        let mut hash = Sha256::new();
        hash.update(bytes);
        Self(hash.finish())
    }

    /// A digest read back from storage; `None` unless it has 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hexadecimal, 64 characters.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// base64url without padding, 43 characters: the form of `x5t#S256` and of JWK thumbprints.
    #[must_use]
    pub fn base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        openssl::memcmp::eq(&self.0, &other.0)
    }
}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Digest({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// The system's random source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed")]
pub struct NoRandomness;

/// `N` bytes from the system's random source, by OpenSSL.
///
/// # Errors
/// [`NoRandomness`] where the source failed.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    openssl::rand::rand_bytes(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Compares two strings in a time that depends on neither's content: both are digested first.
#[must_use]
pub fn constant_time_eq(a: &str, b: &str) -> bool {
    Digest::of(a.as_bytes()) == Digest::of(b.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_neither_secret_nor_digest() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(format!("{:?}", secret.digest()).len() < 20);
    }

    #[test]
    fn a_digest_survives_storage() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::from_slice(digest.as_bytes()), Some(digest));
        assert_eq!(Digest::from_slice(&[0; 31]), None);
    }

    #[test]
    fn generated_secrets_differ_and_are_long() {
        let (a, b) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_eq!(a.expose().len(), 43);
        assert!(!constant_time_eq(a.expose(), b.expose()));
    }
}
