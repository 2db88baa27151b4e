//! One provider's JWK set: fetched once for all who wait, refreshed in the background, never asked too often.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use shared_claims::clock::UnixTime;
use shared_claims::jose::Header;
use shared_claims::jwk::Jwk;
use shared_claims::signature::{Algorithm, PublicKey};
use shared_server::outbound::{FetchError, Fetcher};
use tokio::sync::Mutex;

/// The longest JWK set that is read, in bytes.
pub(super) const MOST_BYTES: usize = 256 * 1024;
/// The most keys of a set that are looked at.
const MOST_KEYS: usize = 100;
/// A set older than this is fetched anew in the background while it goes on serving, in seconds.
const FRESH: i64 = 300;
/// A set older than this is worth nothing: its provider may have withdrawn a key long since. In seconds.
const USABLE: i64 = 3_600;
/// An unknown key makes us ask at most this often, in seconds.
const ASK_AGAIN: i64 = 30;
/// A provider that could not be reached is left alone for so long, in seconds.
const RETRY: i64 = 5;

/// A key of a set.
#[derive(Clone)]
pub(super) struct SetKey {
    pub(super) key: PublicKey,
    pub(super) thumbprint: String,
    kid: Option<String>,
    x5t_s256: Option<String>,
    algorithm: Option<String>,
}

impl SetKey {
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.key.kind() == algorithm.key_kind()
            && self.algorithm.as_deref().is_none_or(|a| a == algorithm.as_str())
    }

    pub(super) fn is_hinted(&self, header: &Header) -> bool {
        (self.kid.is_some() && self.kid == header.kid)
            || (self.x5t_s256.is_some() && self.x5t_s256 == header.x5t_s256)
    }
}

/// What is known of a set.
#[derive(Clone, Default)]
pub(super) struct Looked {
    pub(super) keys: Arc<[SetKey]>,
    /// Why the last attempt brought nothing, if it did not.
    pub(super) failure: Option<FetchError>,
    fetched_at: Option<UnixTime>,
    attempted_at: Option<UnixTime>,
    /// When an unknown key last made us ask.
    pressed_at: Option<UnixTime>,
    /// Whether it was fetched for the very request that looks at it; never so in what is kept.
    is_brand_new: bool,
}

impl Looked {
    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    fn is_within(since: Option<UnixTime>, seconds: i64, now: UnixTime) -> bool {
        since.is_some_and(|since| now.since(since) < seconds)
    }
}

/// A set and its address.
pub(super) struct KeySet {
    pub(super) uri: String,
    /// Whose it is, for the log.
    issuer: String,
    looked: ArcSwap<Looked>,
    /// Held by the one who fetches; everybody else waits for what it brings.
    turn: Mutex<()>,
}

impl KeySet {
    pub(super) fn at(uri: String, issuer: String) -> Self {
        Self { uri, issuer, looked: ArcSwap::default(), turn: Mutex::new(()) }
    }

    /// The keys at hand, fetched now where there are none or they are too old.
    pub(super) async fn look(self: &Arc<Self>, fetcher: &Fetcher, now: UnixTime) -> Looked {
        let looked = self.looked.load_full();
        if Looked::is_within(looked.fetched_at, FRESH, now) {
            return (*looked).clone();
        }
        if Looked::is_within(looked.fetched_at, USABLE, now) {
            self.refresh_behind(fetcher, &looked, now);
            return (*looked).clone();
        }
        if Looked::is_within(looked.attempted_at, RETRY, now) {
            return (*looked).clone();
        }
        let fetched = self.fetch(fetcher, &looked, looked.pressed_at, now).await;
        Looked { is_brand_new: true, ..fetched }
    }

    /// Fetches for the sake of a key that `seen` did not have, unless that was done lately.
    pub(super) async fn look_again(&self, fetcher: &Fetcher, seen: Looked, now: UnixTime) -> Looked {
        if seen.is_brand_new || Looked::is_within(seen.pressed_at, ASK_AGAIN, now) {
            return seen;
        }
        self.fetch(fetcher, &seen, Some(now), now).await
    }

    fn refresh_behind(self: &Arc<Self>, fetcher: &Fetcher, looked: &Looked, now: UnixTime) {
        if Looked::is_within(looked.attempted_at, ASK_AGAIN, now) {
            return;
        }
        let (set, fetcher, seen) = (Arc::clone(self), fetcher.clone(), looked.clone());
        tokio::spawn(async move { set.fetch(&fetcher, &seen, seen.pressed_at, now).await });
    }

    /// Fetches, unless somebody did so since `seen`.
    async fn fetch(
        &self,
        fetcher: &Fetcher,
        seen: &Looked,
        pressed_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Looked {
        let _turn = self.turn.lock().await;
        let present = self.looked.load_full();
        if present.attempted_at != seen.attempted_at || present.pressed_at != seen.pressed_at {
            return (*present).clone();
        }
        let looked = match fetcher.get(&self.uri).await.and_then(|body| read(&body)) {
            Ok(keys) => {
                let moment = Some(now);
                Looked { keys, fetched_at: moment, attempted_at: moment, pressed_at, ..Looked::default() }
            }
            Err(failure) => {
                let cause = failure.to_string();
                let issuer = self.issuer.as_str();
                log::warn!(issuer, cause = cause.as_str(); "a JWK set could not be fetched");
                let is_usable = Looked::is_within(present.fetched_at, USABLE, now);
                let keys = if is_usable { Arc::clone(&present.keys) } else { Arc::default() };
                let (fetched_at, attempted_at, failure) = (present.fetched_at, Some(now), Some(failure));
                Looked { keys, failure, fetched_at, attempted_at, pressed_at, is_brand_new: false }
            }
        };
        self.looked.store(Arc::new(looked.clone()));
        looked
    }
}

/// The keys of a set that may verify signatures. A key that does not read is left out: one that a provider adds for
/// somebody else must not cost us the others (RFC 7517, section 5).
fn read(body: &[u8]) -> Result<Arc<[SetKey]>, FetchError> {
    let set: Value = serde_json::from_slice(body).map_err(|_| FetchError::Broken("not JSON".to_owned()))?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or_else(|| FetchError::Broken("not a JWK set".to_owned()))?;
    Ok(keys.iter().take(MOST_KEYS).filter_map(read_key).collect())
}

fn read_key(value: &Value) -> Option<SetKey> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if !jwk.is_for_signatures() {
        return None;
    }
    let key = jwk.public_key().ok()?;
    // The thumbprint of the key itself, not of how the provider happened to spell its members.
    let thumbprint = Jwk::of(&key).ok()?.thumbprint();
    Some(SetKey { key, thumbprint, kid: jwk.kid, x5t_s256: jwk.x5t_s256, algorithm: jwk.alg })
}
