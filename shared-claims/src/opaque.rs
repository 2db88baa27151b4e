//! Opaque access and refresh tokens: 128 random bits (RFC 6749, section 10.10) printed in the UUID form.

use std::fmt;

use crate::secret::{Digest, NoRandomness, Secret, random};

/// The length of a token as presented.
pub const LENGTH: usize = 36;

/// A plain opaque token. Only its digest may be stored; the plain form is shown once.
#[derive(Clone)]
pub struct OpaqueToken(Secret);

impl OpaqueToken {
    /// A new token from the system's random source. All 128 bits are random: no version, no variant.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate() -> Result<Self, NoRandomness> {
        let token = uuid::Uuid::from_bytes(random::<16>()?);
        Ok(Self(Secret::new(token.as_hyphenated().to_string())))
    }

    /// The plain token, for the answer to the client and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored and looked up: SHA-256 of the token's text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }
}

impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueToken(…)")
    }
}

/// The digest of a presented token, or `None` for anything not in the canonical form.
///
/// A token is compared as the bytes that were presented: a UUID parser would take five spellings for one value,
/// and each spelling would escape the other's revocation. Junk stops here, before any look-up.
#[must_use]
pub fn presented(token: &[u8]) -> Option<Digest> {
    is_canonical(token).then(|| Digest::of(token))
}

/// Whether `token` is 8-4-4-4-12 lower-case hexadecimal digits.
#[must_use]
pub fn is_canonical(token: &[u8]) -> bool {
    token.len() == LENGTH
        && token.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_token_is_canonical_and_digests_as_presented() {
        let token = OpaqueToken::generate().unwrap();
        assert!(is_canonical(token.expose().as_bytes()));
        assert_eq!(presented(token.expose().as_bytes()), Some(token.digest()));
    }

    #[test]
    fn other_spellings_of_the_same_uuid_are_junk() {
        let token = OpaqueToken::generate().unwrap();
        let plain = token.expose();
        for other in [
            plain.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
            plain.replace('-', ""),
            format!("{{{plain}}}"),
            format!("urn:uuid:{plain}"),
            format!("{plain} "),
            String::new(),
        ] {
            assert_eq!(presented(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn twenty_thousand_tokens_have_no_duplicate_and_no_fixed_bit() {
        let mut seen = std::collections::HashSet::new();
        let (mut ever_one, mut ever_zero) = (0_u128, 0_u128);
        for _ in 0..20_000 {
            let token = OpaqueToken::generate().unwrap();
            let bits = uuid::Uuid::try_parse(token.expose()).unwrap().as_u128();
            ever_one |= bits;
            ever_zero |= !bits;
            assert!(seen.insert(bits));
        }
        assert_eq!((ever_one, ever_zero), (u128::MAX, u128::MAX));
    }

    proptest! {
        #[test]
        fn whatever_is_canonical_is_a_lower_case_uuid(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if is_canonical(&bytes) {
                let text = String::from_utf8(bytes).unwrap();
                prop_assert_eq!(uuid::Uuid::try_parse(&text).unwrap().as_hyphenated().to_string(), text);
            }
        }
    }
}
