//! Signing keys: which one signs, which are published, and when they go.

use shared_claims::clock::UnixTime;
use shared_claims::signature::{Algorithm, KeyKind};

/// Seconds between the publication of a key and its first signature where another process has to hear of it:
/// each looks for news every half second.
pub const LEAD: i64 = 2;
/// Seconds that a key stays published beyond the last token that it can have signed: the verifiers' skew and more.
pub const TAIL: i64 = 60;

/// A signing key as it is kept; the private half is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Which algorithms it is for.
    pub kind: KeyKind,
    /// Counts the keys of this kind, from 1.
    pub generation: i64,
    /// Self-signed, PEM.
    pub certificate: String,
    /// PKCS#8, sealed with the master key.
    pub sealed_key: Vec<u8>,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when on it signs.
    pub signs_from: UnixTime,
    /// When it ceases to be published; none for the newest of its kind.
    pub retires_at: Option<UnixTime>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and about to sign.
    Next,
    /// It signs.
    Current,
    /// It signs no more, but its tokens still verify.
    Published,
    /// Not published any more.
    Retired,
}

impl KeyState {
    /// The state as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }
}

/// The newest generation of a kind that may sign already; where none may yet, the oldest.
fn signer<'a>(
    keys: impl Iterator<Item = &'a KeyRecord> + Clone,
    kind: KeyKind,
    now: UnixTime,
) -> Option<&'a KeyRecord> {
    let of_kind = keys.filter(move |key| key.kind == kind && !is_retired(key, now));
    let ready = of_kind.clone().filter(|key| key.signs_from <= now).max_by_key(|key| key.generation);
    ready.or_else(|| of_kind.min_by_key(|key| key.generation))
}

fn is_retired(key: &KeyRecord, now: UnixTime) -> bool {
    key.retires_at.is_some_and(|at| at <= now)
}

/// The `kid` of the key that signs for `kind` now.
#[must_use]
pub fn current<'a>(
    keys: impl Iterator<Item = &'a KeyRecord> + Clone,
    kind: KeyKind,
    now: UnixTime,
) -> Option<&'a str> {
    signer(keys, kind, now).map(|key| key.kid.as_str())
}

/// Where `key` is in its life, among `keys`.
#[must_use]
pub fn state<'a>(
    key: &KeyRecord,
    keys: impl Iterator<Item = &'a KeyRecord> + Clone,
    now: UnixTime,
) -> KeyState {
    if is_retired(key, now) {
        KeyState::Retired
    } else if current(keys, key.kind, now) == Some(key.kid.as_str()) {
        KeyState::Current
    } else if now < key.signs_from {
        KeyState::Next
    } else {
        KeyState::Published
    }
}

/// When the answer of [`state`] for any of `keys` changes next, if ever.
#[must_use]
pub fn next_change<'a>(keys: impl Iterator<Item = &'a KeyRecord>, now: UnixTime) -> Option<UnixTime> {
    keys.flat_map(|key| [Some(key.signs_from), key.retires_at]).flatten().filter(|at| now < *at).min()
}

/// When the key before one that signs from `signs_from` may go: its last token has expired for everybody.
#[must_use]
pub fn retirement(signs_from: UnixTime, longest_lifetime: i64) -> UnixTime {
    signs_from.plus(longest_lifetime).plus(TAIL)
}

/// The name of a kind in the database.
#[must_use]
pub fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa => "RSA",
        KeyKind::P256 => "P-256",
        KeyKind::P384 => "P-384",
        KeyKind::Ed25519 => "Ed25519",
    }
}

/// Reads [`kind_name`].
#[must_use]
pub fn kind_of(name: &str) -> Option<KeyKind> {
    [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
}

/// The `kid` under which a key is published for an algorithm. One key serves several RSA algorithms, and a JWK names
/// one only (RFC 7517, section 4.4), so all but the kind's first algorithm get a name of their own.
#[must_use]
pub fn published_kid(kid: &str, algorithm: Algorithm) -> String {
    if algorithm == first_algorithm(algorithm.key_kind()) {
        kid.to_owned()
    } else {
        format!("{kid}-{}", algorithm.as_str())
    }
}

/// The algorithm that a kind of key is always published for.
#[must_use]
pub fn first_algorithm(kind: KeyKind) -> Algorithm {
    match kind {
        KeyKind::Rsa => Algorithm::RS256,
        KeyKind::P256 => Algorithm::ES256,
        KeyKind::P384 => Algorithm::ES384,
        KeyKind::Ed25519 => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, generation: i64, signs_from: i64, retires_at: Option<i64>) -> KeyRecord {
        KeyRecord {
            kid: kid.into(),
            kind: KeyKind::Rsa,
            generation,
            certificate: String::new(),
            sealed_key: vec![],
            created_at: UnixTime(0),
            signs_from: UnixTime(signs_from),
            retires_at: retires_at.map(UnixTime),
        }
    }

    fn states(keys: &[KeyRecord], now: i64) -> Vec<KeyState> {
        keys.iter().map(|one| state(one, keys.iter(), UnixTime(now))).collect()
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_an_old_one_after() {
        let keys = [key("old", 1, 0, Some(300)), key("new", 2, 100, None)];
        assert_eq!(states(&keys, 99), [KeyState::Current, KeyState::Next]);
        assert_eq!(states(&keys, 100), [KeyState::Published, KeyState::Current]);
        assert_eq!(states(&keys, 300), [KeyState::Retired, KeyState::Current]);
    }

    #[test]
    fn a_key_that_is_alone_signs_whatever_the_clock_says() {
        let keys = [key("only", 1, 500, None)];
        assert_eq!(current(keys.iter(), KeyKind::Rsa, UnixTime(1)), Some("only"));
        assert_eq!(current(keys.iter(), KeyKind::P256, UnixTime(1)), None);
    }

    #[test]
    fn the_next_change_is_the_nearest_moment_ahead() {
        let keys = [key("old", 1, 0, Some(300)), key("new", 2, 100, None)];
        assert_eq!(next_change(keys.iter(), UnixTime(50)), Some(UnixTime(100)));
        assert_eq!(next_change(keys.iter(), UnixTime(100)), Some(UnixTime(300)));
        assert_eq!(next_change(keys.iter(), UnixTime(300)), None);
    }

    #[test]
    fn each_algorithm_of_a_key_has_a_kid_of_its_own() {
        assert_eq!(published_kid("k", Algorithm::RS256), "k");
        assert_eq!(published_kid("k", Algorithm::PS256), "k-PS256");
        assert_eq!(published_kid("k", Algorithm::EdDSA), "k");
    }
}
