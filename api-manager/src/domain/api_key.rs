//! API keys: a secret that stands for an application by itself, with limits on where it may be used.

mod referer;

use std::net::IpAddr;

use shared_claims::clock::UnixTime;
use shared_claims::secret::{Digest, NoRandomness, Secret};

use super::application::KeyType;
use super::deny::AddressRange;
use super::ids::{ApiKeyId, ApplicationId};

pub use referer::RefererRule;

/// The longest life of a key that ends at all, in seconds.
pub const LIFETIMES: std::ops::RangeInclusive<i64> = 1..=315_360_000;
/// The most keys of one application.
pub const MOST: usize = 100;
/// The most addresses, and the most referers, of one key.
pub const MOST_RULES: usize = 50;
/// What every key begins with, so that one that lies about is recognised by people and scanners.
const PREFIX: &str = "csk_";
/// The characters after it: 256 bits of base64url.
const RANDOM: usize = 43;

/// A key of an application. The key itself is not here: only its digest is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub application_id: ApplicationId,
    /// For people; unique among the application's.
    pub name: String,
    /// Which backends it reaches.
    pub key_type: KeyType,
    /// SHA-256 of the key as presented.
    pub digest: Digest,
    /// The first moment at which it is refused, if it ends at all.
    pub expires_at: Option<UnixTime>,
    /// Where it may be used from; nothing means from everywhere.
    pub allowed_ips: Vec<AddressRange>,
    /// From which pages it may be used; nothing means from everywhere.
    pub allowed_referers: Vec<RefererRule>,
    /// When it was made.
    pub created_at: UnixTime,
}

/// What a developer says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// For people.
    pub name: String,
    /// Which backends it reaches.
    pub key_type: KeyType,
    /// For how many seconds it holds; `None` for ever.
    pub expires_in: Option<i64>,
    /// Where it may be used from.
    pub allowed_ips: Vec<AddressRange>,
    /// From which pages.
    pub allowed_referers: Vec<RefererRule>,
}

impl Draft {
    /// The key's record; the plain key is `secret`.
    #[must_use]
    pub fn into_key(self, application_id: ApplicationId, secret: &Secret, now: UnixTime) -> ApiKey {
        ApiKey {
            id: ApiKeyId::generate(),
            application_id,
            name: self.name,
            key_type: self.key_type,
            digest: secret.digest(),
            expires_at: self.expires_in.map(|seconds| now.plus(seconds)),
            allowed_ips: self.allowed_ips,
            allowed_referers: self.allowed_referers,
            created_at: now,
        }
    }
}

/// Why a good key does not open the door here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFromHere {
    /// The caller's address is none of the key's.
    Address,
    /// The page that the call comes from is none of the key's, or unknown.
    Referer,
}

impl ApiKey {
    /// Whether a call from `peer`, made by the page `referer`, may use the key.
    ///
    /// # Errors
    /// [`NotFromHere`].
    pub fn allows(&self, peer: IpAddr, referer: Option<&str>) -> Result<(), NotFromHere> {
        if !self.allowed_ips.is_empty() && !self.allowed_ips.iter().any(|network| network.contains(peer)) {
            return Err(NotFromHere::Address);
        }
        if self.allowed_referers.is_empty() {
            return Ok(());
        }
        let referer = referer.ok_or(NotFromHere::Referer)?;
        let is_known = self.allowed_referers.iter().any(|rule| rule.allows(referer));
        if is_known { Ok(()) } else { Err(NotFromHere::Referer) }
    }
}

/// A new key, plain, to be shown once.
///
/// # Errors
/// The random source failed.
pub fn generate() -> Result<Secret, NoRandomness> {
    Ok(Secret::new(format!("{PREFIX}{}", Secret::generate()?.expose())))
}

/// The digest of a presented key, or `None` for what cannot be a key of ours: junk stops before any look-up.
#[must_use]
pub fn presented(key: &[u8]) -> Option<Digest> {
    let random = key.strip_prefix(PREFIX.as_bytes())?;
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    (random.len() == RANDOM && random.iter().all(is_base64url)).then(|| Digest::of(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ips: &[&str], referers: &[&str]) -> ApiKey {
        let draft = Draft {
            name: "k".to_owned(),
            key_type: KeyType::Production,
            expires_in: Some(60),
            allowed_ips: ips.iter().map(|text| AddressRange::parse(text).unwrap()).collect(),
            allowed_referers: referers.iter().map(|text| RefererRule::parse(text).unwrap()).collect(),
        };
        draft.into_key(ApplicationId::generate(), &generate().unwrap(), UnixTime(10))
    }

    #[test]
    fn a_key_is_found_by_the_digest_of_exactly_what_was_shown() {
        let secret = generate().unwrap();
        assert_eq!(presented(secret.expose().as_bytes()), Some(secret.digest()));
        let (upper, bare) = (secret.expose().to_uppercase(), &secret.expose()[4..]);
        for bad in [upper.as_str(), bare, "", "csk_", "csk_x y", &format!("{} ", secret.expose())] {
            assert_eq!(presented(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_key_without_limits_may_be_used_from_everywhere() {
        let (peer, key) = ("203.0.113.9".parse().unwrap(), key(&[], &[]));
        assert_eq!(key.allows(peer, None), Ok(()));
        assert_eq!(key.expires_at, Some(UnixTime(70)));
    }

    #[test]
    fn a_key_with_limits_may_be_used_only_within_each_of_them() {
        let key = key(&["192.0.2.0/24", "::1"], &["https://app.example"]);
        let (inside, outside) = ("192.0.2.3".parse().unwrap(), "192.0.3.3".parse().unwrap());
        assert_eq!(key.allows(inside, Some("https://app.example/")), Ok(()));
        assert_eq!(key.allows(outside, Some("https://app.example/")), Err(NotFromHere::Address));
        assert_eq!(key.allows(inside, Some("https://evil.example/")), Err(NotFromHere::Referer));
        assert_eq!(key.allows(inside, None), Err(NotFromHere::Referer));
    }
}
