//! The keys of trusted identity providers: parsed once, refetched in bounds, and the verdict on a signature.

mod jwks;

use std::sync::Arc;
use std::time::Duration;

use shared_claims::clock::UnixTime;
use shared_claims::jose::Compact;
use shared_claims::signature::Algorithm;
use shared_server::outbound::{FetchError, Fetcher, OutboundError};

use crate::domain::certificate::{self, BadCertificate, Certificate};
use crate::domain::identity_provider::IdentityProvider;
use crate::domain::ids::IdentityProviderId;
use crate::settings::Settings;

use jwks::{KeySet, MOST_BYTES, SetKey};

/// A JWK set is fetched, or metadata read, in this time or not at all.
const PATIENCE: Duration = Duration::from_secs(3);
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// The cached keys of every trusted identity provider; clones share them.
#[derive(Clone)]
pub struct Issuers(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    keys: papaya::HashMap<IdentityProviderId, Arc<Keys>>,
}

/// The keys of one revision of a provider.
struct Keys {
    revision: i64,
    certificates: Vec<Certificate>,
    set: Option<Arc<KeySet>>,
}

/// An assertion whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key that verified it: `x5t#S256` of the certificate, or the JWK's thumbprint (RFC 7638).
    pub key_thumbprint: String,
}

/// Why an assertion is not taken as the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// `alg` is none that the provider may sign with.
    Algorithm,
    /// None of the provider's keys fits `alg`.
    NoFittingKey,
    /// The certificate that verifies it has expired.
    CertificateExpired,
    /// The certificate that verifies it is not valid yet.
    CertificateNotYetValid,
    /// No key verifies it.
    Signature,
    /// The JWK set cannot be had, and no key that is at hand will do: our trouble, not the client's.
    KeysUnavailable(FetchError),
    /// Registered keys no longer parse; the cause is for the log.
    Fault(String),
}

impl Issuers {
    /// Nothing cached yet.
    ///
    /// # Errors
    /// The TLS settings for fetching cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, OutboundError> {
        let policy = settings.outbound(CONNECT_PATIENCE);
        let fetcher = Fetcher::new(policy, !settings.allow_http_jwks, MOST_BYTES, PATIENCE)?;
        Ok(Self(Arc::new(Inner { fetcher, keys: papaya::HashMap::new() })))
    }

    /// Verifies a signature with the provider's keys: those that `kid` or `x5t#S256` point at first, then all others
    /// that fit. The header only helps to choose among registered keys; it never brings one (RFC 8725, section 3.10).
    ///
    /// # Errors
    /// [`Unverified`].
    pub async fn verify(
        &self,
        provider: &IdentityProvider,
        jwt: &Compact<'_>,
        now: UnixTime,
    ) -> Result<Verified, Unverified> {
        let algorithm: Algorithm = jwt.header.alg.parse().map_err(|_| Unverified::Algorithm)?;
        if !provider.algorithms.contains(&algorithm) {
            return Err(Unverified::Algorithm);
        }
        let keys = self.keys_of(provider).map_err(|fault| Unverified::Fault(fault.to_string()))?;

        let refused = match by_certificate(&keys.certificates, jwt, algorithm, now) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        let Some(set) = &keys.set else { return Err(refused) };
        let looked = set.look(&self.0.fetcher, now).await;
        if let Some(verified) = by_set(&looked.keys, jwt, algorithm) {
            return Ok(verified);
        }
        // A key that the set did not have yet: a rotation, or somebody guessing. Hence once an interval at most.
        let is_known = jwt.header.kid.as_ref().is_some_and(|kid| looked.knows(kid));
        let looked = if is_known { looked } else { set.look_again(&self.0.fetcher, looked, now).await };
        if let Some(verified) = by_set(&looked.keys, jwt, algorithm) {
            return Ok(verified);
        }
        let fits = looked.keys.iter().any(|key| key.fits(algorithm));
        // Where the set cannot be had, only keys that were meant to verify it can say that it is wrong.
        let is_known = jwt.header.kid.as_ref().map_or(fits, |kid| looked.knows(kid));
        match looked.failure {
            Some(failure) if !is_known => Err(Unverified::KeysUnavailable(failure)),
            _ if fits && refused == Unverified::NoFittingKey => Err(Unverified::Signature),
            _ => Err(refused),
        }
    }

    /// A document of a provider, such as its metadata, under the same bounds as its keys.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        self.0.fetcher.get(url).await.map(|bytes| bytes.to_vec())
    }

    /// Lets go of a deleted provider's keys.
    pub fn forget(&self, id: IdentityProviderId) {
        self.0.keys.pin().remove(&id);
    }

    /// The provider's keys, parsed now unless they were for the same revision.
    fn keys_of(&self, provider: &IdentityProvider) -> Result<Arc<Keys>, BadCertificate> {
        let cached = self.0.keys.pin().get(&provider.id).cloned();
        if let Some(keys) = cached.as_ref().filter(|keys| keys.revision == provider.revision) {
            return Ok(Arc::clone(keys));
        }
        let mut certificates = Vec::new();
        for pem in &provider.certificates {
            // Dates are looked at when a key is used, not here.
            certificates.extend(certificate::read(pem)?);
        }
        // The set outlives a revision that kept its address: an edit of the alias must not cost a fetch.
        let kept = cached
            .and_then(|keys| keys.set.clone())
            .filter(|set| Some(&set.uri) == provider.jwks_uri.as_ref());
        let set = kept.or_else(|| {
            provider.jwks_uri.clone().map(|uri| Arc::new(KeySet::at(uri, provider.issuer.clone())))
        });
        let keys = Arc::new(Keys { revision: provider.revision, certificates, set });
        self.0.keys.pin().insert(provider.id, Arc::clone(&keys));
        Ok(keys)
    }
}

fn by_certificate(
    certificates: &[Certificate],
    jwt: &Compact<'_>,
    algorithm: Algorithm,
    now: UnixTime,
) -> Result<Verified, Unverified> {
    let mut fitting: Vec<(String, &Certificate)> = certificates
        .iter()
        .filter(|certificate| certificate.key.kind() == algorithm.key_kind())
        .map(|certificate| (certificate.thumbprint.base64url(), certificate))
        .collect();
    fitting.sort_by_key(|(thumbprint, _)| !is_hinted(jwt, thumbprint));

    let mut refused = if fitting.is_empty() { Unverified::NoFittingKey } else { Unverified::Signature };
    for (key_thumbprint, certificate) in fitting {
        if certificate.key.verify(jwt, algorithm).is_err() {
            continue;
        }
        // Another certificate may renew the same key, so the search goes on.
        match certificate.check_dates(now) {
            Ok(()) => return Ok(Verified { key_thumbprint }),
            Err(BadCertificate::NotYetValid(_)) => refused = Unverified::CertificateNotYetValid,
            Err(_) => refused = Unverified::CertificateExpired,
        }
    }
    Err(refused)
}

fn is_hinted(jwt: &Compact<'_>, thumbprint: &str) -> bool {
    let hints = [jwt.header.x5t_s256.as_deref(), jwt.header.kid.as_deref()];
    hints.contains(&Some(thumbprint))
}

fn by_set(keys: &[SetKey], jwt: &Compact<'_>, algorithm: Algorithm) -> Option<Verified> {
    let mut fitting: Vec<&SetKey> = keys.iter().filter(|key| key.fits(algorithm)).collect();
    fitting.sort_by_key(|key| !key.is_hinted(&jwt.header));
    let verifies = |key: &&SetKey| key.key.verify(jwt, algorithm).is_ok();
    fitting.into_iter().find(verifies).map(|key| Verified { key_thumbprint: key.thumbprint.clone() })
}

#[cfg(test)]
mod tests;
