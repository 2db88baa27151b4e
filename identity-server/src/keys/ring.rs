//! The ring: an immutable snapshot of all parsed keys, swapped as a whole when the database has news.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;
use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::jose::Compact;
use shared_claims::signature::{ALGORITHMS, Algorithm, SignatureError, UnusableKey};
use shared_server::sealing::{MasterKey, SealingError};

use super::published::Published;
use super::snapshot::{KeySummary, Snapshot};
use crate::domain::key::{self, KeyRecord};

/// Why a key cannot be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// OpenSSL does not take it.
    #[error(transparent)]
    Unusable(#[from] UnusableKey),
    /// It does not open with this master key.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// It could not sign.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// There is no key of this kind yet.
    #[error("there is no signing key for {0} yet")]
    Missing(Algorithm),
}

/// The key that a token was signed with, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The name under which the key is published for the algorithm.
    pub kid: String,
    /// The algorithm.
    pub algorithm: Algorithm,
}

/// Signs and verifies with the keys that the database held when it was last looked at.
pub struct KeyRing {
    snapshot: ArcSwap<Snapshot>,
    published: ArcSwap<Published>,
}

impl KeyRing {
    /// Opens the keys.
    ///
    /// # Errors
    /// [`KeyError`]: one does not open, or cannot be published.
    pub fn open(
        revision: i64,
        records: Vec<KeyRecord>,
        algorithms: Vec<Algorithm>,
        master: &MasterKey,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let snapshot = Snapshot::open(revision, records, algorithms, master)?;
        let published = snapshot.publish(now)?;
        Ok(Self { snapshot: ArcSwap::from_pointee(snapshot), published: ArcSwap::from_pointee(published) })
    }

    /// Puts what the database holds now in the place of what it held before; an older revision changes nothing.
    ///
    /// # Errors
    /// As [`KeyRing::open`]; the old keys stay.
    pub fn replace(
        &self,
        revision: i64,
        records: Vec<KeyRecord>,
        algorithms: Vec<Algorithm>,
        master: &MasterKey,
        now: UnixTime,
    ) -> Result<(), KeyError> {
        if revision <= self.revision() {
            return Ok(());
        }
        let snapshot = Snapshot::open(revision, records, algorithms, master)?;
        let published = snapshot.publish(now)?;
        self.snapshot.store(Arc::new(snapshot));
        self.published.store(Arc::new(published));
        Ok(())
    }

    /// The revision of the keys that are in use.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.snapshot.load().revision
    }

    /// What is published now; rendered anew only where a key has begun to sign or gone since.
    #[must_use]
    pub fn published(&self, now: UnixTime) -> Arc<Published> {
        let published = self.published.load_full();
        if published.until.is_none_or(|until| now < until) {
            return published;
        }
        match self.snapshot.load().publish(now) {
            Ok(renewed) => {
                let renewed = Arc::new(renewed);
                self.published.store(Arc::clone(&renewed));
                renewed
            }
            Err(_) => published,
        }
    }

    /// Whether tokens can be signed with this algorithm and verified by those who read the published keys.
    #[must_use]
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        let snapshot = self.snapshot.load();
        let has_key = snapshot.keys.iter().any(|key| key.record.kind == algorithm.key_kind());
        has_key && snapshot.is_published(algorithm)
    }

    /// Signs claims as an access token (RFC 9068, section 2.1) with the key that is current.
    ///
    /// # Errors
    /// [`KeyError::Missing`] where no key of the kind was made yet.
    pub fn sign<C: Serialize>(
        &self,
        algorithm: Algorithm,
        claims: &C,
        now: UnixTime,
    ) -> Result<String, KeyError> {
        let snapshot = self.snapshot.load();
        let records = snapshot.keys.iter().map(|key| &key.record);
        let kid = key::current(records, algorithm.key_kind(), now).ok_or(KeyError::Missing(algorithm))?;
        let key =
            snapshot.keys.iter().find(|key| key.record.kid == kid).ok_or(KeyError::Missing(algorithm))?;
        let header = key.header(algorithm).ok_or(KeyError::Missing(algorithm))?;
        Ok(key.private.sign_under(header, claims)?)
    }

    /// The claims of a token that one of the published keys signed, and that key; `None` for everything else. Dates and
    /// issuer are not looked at.
    #[must_use]
    pub fn verify(&self, token: &str, now: UnixTime) -> Option<(ClaimSet, SignedBy)> {
        let jwt = Compact::parse(token).ok()?;
        let by = SignedBy { algorithm: jwt.header.alg.parse().ok()?, kid: jwt.header.kid.clone()? };
        let snapshot = self.snapshot.load();
        snapshot.verifying(&by, now)?.public.verify(&jwt, by.algorithm).ok()?;
        Some((ClaimSet::from(jwt.unverified_claims), by))
    }

    /// Whether what this key signed is good now. A `kid` is a thumbprint, so that it never names another key.
    #[must_use]
    pub fn vouches(&self, by: &SignedBy, now: UnixTime) -> bool {
        self.snapshot.load().verifying(by, now).is_some()
    }

    /// Every key that is known, the newest last.
    #[must_use]
    pub fn summaries(&self, now: UnixTime) -> Vec<KeySummary> {
        let snapshot = self.snapshot.load();
        snapshot.keys.iter().map(|key| snapshot.summary(key, now)).collect()
    }

    /// The algorithms that tokens are signed with, for the metadata.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        ALGORITHMS.into_iter().filter(|algorithm| self.serves(*algorithm)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::make;
    use serde_json::json;
    use shared_claims::jwk::{Jwk, JwkSet};
    use shared_claims::signature::KeyKind;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn master() -> MasterKey {
        let given = shared_claims::secret::Secret::new("00".repeat(32));
        MasterKey::load_or_create(std::path::Path::new("/nowhere"), Some(&given)).unwrap()
    }

    fn record(
        kind: KeyKind,
        generation: i64,
        signs_from: UnixTime,
        retires_at: Option<UnixTime>,
    ) -> KeyRecord {
        let made =
            make(kind, "id.example", NOW).unwrap().into_record(kind, generation, NOW, &master()).unwrap();
        KeyRecord { signs_from, retires_at, ..made }
    }

    fn ring(records: Vec<KeyRecord>, algorithms: Vec<Algorithm>) -> KeyRing {
        KeyRing::open(1, records, algorithms, &master(), NOW).unwrap()
    }

    fn jwks(ring: &KeyRing, now: UnixTime) -> Vec<Jwk> {
        serde_json::from_str::<JwkSet>(&ring.published(now).jwks.body).unwrap().keys
    }

    #[test]
    fn every_algorithm_signs_what_the_published_key_of_its_own_verifies() {
        let kinds = [KeyKind::Rsa, KeyKind::P256, KeyKind::Ed25519];
        let ring = ring(kinds.map(|kind| record(kind, 1, NOW, None)).to_vec(), ALGORITHMS.to_vec());
        for algorithm in crate::domain::client_metadata::SIGNING_ALGORITHMS {
            let token = ring.sign(algorithm, &json!({"sub": "alice"}), NOW).unwrap();
            assert_eq!(ring.verify(&token, NOW).unwrap().0.text("sub"), Ok(Some("alice")));
            let jwt = Compact::parse(&token).unwrap();
            let published = jwks(&ring, NOW).into_iter().find(|key| key.kid == jwt.header.kid).unwrap();
            assert_eq!(published.alg.as_deref(), Some(algorithm.as_str()));
            assert_eq!(published.x5t_s256, jwt.header.x5t_s256);
            assert_eq!(published.public_key().unwrap().verify(&jwt, algorithm), Ok(()));
        }
    }

    #[test]
    fn only_the_first_algorithm_is_published_until_another_is_asked_for() {
        let one = ring(vec![record(KeyKind::Rsa, 1, NOW, None)], vec![]);
        assert_eq!(jwks(&one, NOW).len(), 1);
        assert!(
            one.serves(Algorithm::RS256) && !one.serves(Algorithm::PS256) && !one.serves(Algorithm::ES256)
        );
    }

    #[test]
    fn a_retired_key_leaves_the_set_and_verifies_no_more() {
        let (begins, ends) = (NOW.plus(10), NOW.plus(100));
        let keys = vec![record(KeyKind::Rsa, 1, NOW, Some(ends)), record(KeyKind::Rsa, 2, begins, None)];
        let (old_kid, ring) = (keys[0].kid.clone(), ring(keys, vec![]));
        let old = ring.sign(Algorithm::RS256, &json!({}), NOW).unwrap();
        let new = ring.sign(Algorithm::RS256, &json!({}), begins).unwrap();
        assert_eq!(Compact::parse(&old).unwrap().header.kid, Some(old_kid));
        assert_ne!(Compact::parse(&old).unwrap().header.kid, Compact::parse(&new).unwrap().header.kid);
        assert_ne!(ring.published(NOW).certificate.body, ring.published(begins).certificate.body);
        assert_eq!((jwks(&ring, begins).len(), jwks(&ring, ends).len()), (2, 1));
        assert!(ring.verify(&old, begins).is_some() && ring.verify(&old, ends).is_none());
        let (_, by) = ring.verify(&old, begins).unwrap();
        assert!(
            ring.vouches(&by, begins) && !ring.vouches(&by, ends),
            "not for what was verified before either"
        );
    }

    #[test]
    fn a_sealed_key_cannot_be_put_in_anothers_place() {
        let (one, mut other) = (record(KeyKind::P256, 1, NOW, None), record(KeyKind::P256, 2, NOW, None));
        other.sealed_key = one.sealed_key;
        assert!(matches!(KeyRing::open(1, vec![other], vec![], &master(), NOW), Err(KeyError::Sealing(_))));
    }

    #[test]
    fn a_token_that_we_did_not_sign_is_nothing_to_us() {
        let (ours, theirs) = (
            ring(vec![record(KeyKind::P256, 1, NOW, None)], vec![]),
            ring(vec![record(KeyKind::P256, 1, NOW, None)], vec![]),
        );
        let foreign = theirs.sign(Algorithm::ES256, &json!({}), NOW).unwrap();
        assert!(ours.verify(&foreign, NOW).is_none());
        assert!(ours.verify("a.b.c", NOW).is_none());
        assert!(ours.verify("", NOW).is_none());
    }
}
