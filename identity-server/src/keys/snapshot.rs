//! One moment's keys: parsed, opened, and ready to be published.

use std::collections::BTreeSet;

use openssl::x509::X509;
use shared_claims::clock::UnixTime;
use shared_claims::jwk::{Jwk, JwkSet};
use shared_claims::secret::Digest;
use shared_claims::signature::{
    ALGORITHMS, Algorithm, KeyKind, PrivateKey, PublicKey, SignatureError, SigningHeader, UnusableKey,
    WrittenHeader,
};
use shared_server::sealing::MasterKey;

use super::KeyError;
use super::published::{Document, Published};
use super::ring::SignedBy;
use crate::domain::key::{self, KeyRecord, KeyState, first_algorithm, published_kid};

/// The purpose for which a signing key is sealed, with its `kid`: a sealed key cannot be put in another's place.
fn purpose(kid: &str) -> String {
    format!("the signing key {kid}")
}

/// What may be told about a key.
#[derive(Clone, Debug)]
pub struct KeySummary {
    /// Its identifier.
    pub kid: String,
    /// The algorithms that it is published for.
    pub algorithms: Vec<Algorithm>,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when on it signs.
    pub signs_from: UnixTime,
    /// When it ceases to be published.
    pub retires_at: Option<UnixTime>,
    /// When its certificate ends.
    pub not_after: UnixTime,
    /// SHA-256 of its certificate, base64url.
    pub thumbprint: String,
    /// Its certificate, PEM.
    pub certificate: String,
}

/// All keys of one revision.
pub(super) struct Snapshot {
    pub(super) revision: i64,
    pub(super) keys: Vec<Key>,
    pub(super) algorithms: BTreeSet<Algorithm>,
}

/// A key, opened.
pub(super) struct Key {
    pub(super) record: KeyRecord,
    pub(super) private: PrivateKey,
    pub(super) public: PublicKey,
    pub(super) certificate: X509,
    pub(super) thumbprint: String,
    /// The header of its tokens, for each algorithm of its kind.
    headers: Vec<WrittenHeader>,
}

impl Snapshot {
    pub(super) fn open(
        revision: i64,
        records: Vec<KeyRecord>,
        algorithms: Vec<Algorithm>,
        master: &MasterKey,
    ) -> Result<Self, KeyError> {
        let keys = records.into_iter().map(|record| Key::open(record, master)).collect::<Result<_, _>>()?;
        Ok(Self { revision, keys, algorithms: algorithms.into_iter().collect() })
    }

    pub(super) fn is_published(&self, algorithm: Algorithm) -> bool {
        algorithm == first_algorithm(algorithm.key_kind()) || self.algorithms.contains(&algorithm)
    }

    /// The key that verifies what is said to be signed so, if it is published now.
    pub(super) fn verifying(&self, by: &SignedBy, now: UnixTime) -> Option<&Key> {
        let is_retired = |key: &Key| key.record.retires_at.is_some_and(|at| at <= now);
        let named = self.keys.iter().find(|key| {
            key.record.kind == by.algorithm.key_kind()
                && published_kid(&key.record.kid, by.algorithm) == by.kid
        });
        named.filter(|key| self.is_published(by.algorithm) && !is_retired(key))
    }

    pub(super) fn algorithms_of(&self, key: &Key) -> Vec<Algorithm> {
        let fits =
            |algorithm: &Algorithm| algorithm.key_kind() == key.record.kind && self.is_published(*algorithm);
        ALGORITHMS.into_iter().filter(fits).collect()
    }

    pub(super) fn publish(&self, now: UnixTime) -> Result<Published, KeyError> {
        let records = || self.keys.iter().map(|key| &key.record);
        let mut set = JwkSet::default();
        for key in self.keys.iter().filter(|key| key::state(&key.record, records(), now) != KeyState::Retired)
        {
            for algorithm in self.algorithms_of(key) {
                let kid = published_kid(&key.record.kid, algorithm);
                set.keys.push(Jwk::published(&key.public, algorithm, &kid, Some(&key.certificate))?);
            }
        }
        let current = key::current(records(), KeyKind::Rsa, now);
        let current = self.keys.iter().find(|key| Some(key.record.kid.as_str()) == current);
        Ok(Published {
            jwks: Document::new(serde_json::to_string(&set).unwrap_or_default()),
            certificate: Document::new(current.map(|key| key.record.certificate.clone()).unwrap_or_default()),
            until: key::next_change(records(), now),
        })
    }

    pub(super) fn summary(&self, key: &Key, now: UnixTime) -> KeySummary {
        let record = &key.record;
        KeySummary {
            kid: record.kid.clone(),
            algorithms: self.algorithms_of(key),
            state: key::state(record, self.keys.iter().map(|key| &key.record), now),
            created_at: record.created_at,
            signs_from: record.signs_from,
            retires_at: record.retires_at,
            not_after: not_after(&key.certificate),
            thumbprint: key.thumbprint.clone(),
            certificate: record.certificate.clone(),
        }
    }
}

impl Key {
    pub(super) fn open(record: KeyRecord, master: &MasterKey) -> Result<Self, KeyError> {
        let private = PrivateKey::from_pkcs8(&master.open(&purpose(&record.kid), &record.sealed_key)?)?;
        let certificate =
            X509::from_pem(record.certificate.as_bytes()).map_err(|_| UnusableKey::Unreadable)?;
        let der = certificate.to_der().map_err(|_| UnusableKey::Unreadable)?;
        let (public, thumbprint) = (private.public()?, Digest::of(&der).base64url());
        let algorithms = ALGORITHMS.into_iter().filter(|algorithm| algorithm.key_kind() == record.kind);
        let headers = algorithms.map(|algorithm| header(&record.kid, &thumbprint, algorithm));
        let headers = headers.collect::<Result<_, _>>()?;
        Ok(Self { record, private, public, certificate, thumbprint, headers })
    }

    /// The header of this key's tokens; `None` for an algorithm of another kind of key.
    pub(super) fn header(&self, algorithm: Algorithm) -> Option<&WrittenHeader> {
        self.headers.iter().find(|header| header.algorithm == algorithm)
    }
}

/// The header of an access token (RFC 9068, section 2.1).
fn header(kid: &str, thumbprint: &str, algorithm: Algorithm) -> Result<WrittenHeader, SignatureError> {
    let kid = published_kid(kid, algorithm);
    SigningHeader { algorithm, typ: Some("at+jwt"), kid: Some(&kid), x5t_s256: Some(thumbprint) }.write()
}

/// Seals the private half of a new key for keeping.
///
/// # Errors
/// [`KeyError::Sealing`].
pub(super) fn seal(kid: &str, private: &[u8], master: &MasterKey) -> Result<Vec<u8>, KeyError> {
    Ok(master.seal(&purpose(kid), private)?)
}

fn not_after(certificate: &X509) -> UnixTime {
    let epoch = openssl::asn1::Asn1Time::from_unix(0);
    let diff = epoch.and_then(|epoch| epoch.diff(certificate.not_after()));
    UnixTime(diff.map_or(0, |diff| i64::from(diff.days) * 86_400 + i64::from(diff.secs)))
}
