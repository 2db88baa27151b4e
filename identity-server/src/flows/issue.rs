//! Making tokens: what every grant ends with.

use std::sync::Arc;

use serde::Serialize;
use shared_claims::clock::UnixTime;
use shared_claims::opaque::OpaqueToken;
use shared_claims::random;
use shared_claims::scope::ScopeSet;
use shared_claims::signature::{Algorithm, SignatureError};

use super::{FlowError, keys};
use crate::app::App;
use crate::keys::{KeyError, together};

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
pub async fn sign<C: Serialize + Send + 'static>(
    app: &App,
    algorithm: Algorithm,
    claims: C,
    now: UnixTime,
) -> Result<String, FlowError> {
    let keys = Arc::clone(&app.keys);
    let work = together(move || (keys.sign(algorithm, &claims, now), claims));
    match work.await.ok_or(KeyError::Signature(SignatureError::Failed))? {
        (Err(KeyError::Missing(_)), claims) => {
            keys::ensure(app, algorithm, now).await?;
            Ok(app.keys.sign(algorithm, &claims, now)?)
        }
        (signed, _) => Ok(signed?),
    }
}
