//! Making tokens: what every grant ends with.

use serde::Serialize;
use shared_claims::clock::UnixTime;
use shared_claims::opaque::OpaqueToken;
use shared_claims::random;
use shared_claims::scope::ScopeSet;
use shared_claims::signature::Algorithm;
use tokio::task::yield_now;

use super::{FlowError, keys};
use crate::app::App;
use crate::keys::KeyError;

/// What a client gets.
pub struct Issued {
    /// The JWT.
    pub access_token: String,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// Where the client may refresh.
    pub refresh_token: Option<OpaqueToken>,
    /// What was granted.
    pub scope: ScopeSet,
}

/// A new `jti`.
#[must_use]
pub fn new_jti(now: UnixTime) -> String {
    random::id_at(now).as_hyphenated().to_string()
}

/// Signs claims, making the first key of the algorithm's kind where there is none yet.
///
/// # Errors
/// [`FlowError::Keys`].
pub async fn sign<C: Serialize>(
    app: &App,
    algorithm: Algorithm,
    claims: &C,
    now: UnixTime,
) -> Result<String, FlowError> {
    // All that are ready on this thread come so far, then all sign, then all answer: the tables of a signature and the code of
    // the rest take turns in the processor's caches once, and not once for each of them.
    yield_now().await;
    let signed = app.keys.sign(algorithm, claims, now);
    yield_now().await;
    match signed {
        Err(KeyError::Missing(_)) => {
            keys::ensure(app, algorithm, now).await?;
            Ok(app.keys.sign(algorithm, claims, now)?)
        }
        signed => Ok(signed?),
    }
}
