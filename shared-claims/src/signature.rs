//! Signing and verifying with OpenSSL, under `jsonwebtoken`: one crypto library in the build, keys parsed once.
//!
//! `jsonwebtoken` builds a signer from the key's bytes at every call. Here those bytes are a handle into a table of
//! parsed keys, so that a call costs a lock-free look-up instead of a DER parse.

mod keys;
mod provider;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use openssl::hash::MessageDigest;
use serde::{Deserialize, Serialize};

pub use keys::{PrivateKey, PublicKey, SigningHeader, WrittenHeader};

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
