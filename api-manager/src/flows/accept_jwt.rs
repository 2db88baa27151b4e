//! A trusted provider's JWT is presented at the gateway itself, without an exchange.
//!
//! The rules are those of the exchange, but for single use: a caller sends it many times, as a token.

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::jose::Compact;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

use super::Denied;
use super::exchange_assertion::claimed_issuer;
use crate::app::App;
use crate::domain::grant::AssertionOrigin;
use crate::domain::identity_provider::IdentityProvider;
use crate::domain::mapped_client::{VouchedFor, client_of};
use crate::issuers::Unverified;
use crate::storage::{mapped_clients, revocations};

/// Why a JWT opens nothing.
#[derive(Debug)]
pub enum NotAccepted {
    /// For a reason of its own, by a stable word for the log.
    Refused(&'static str),
    /// It cannot be told now.
    CannotTell(Denied),
}

/// The issuer that a JWT claims: good for one thing only, finding the keys that can verify it.
#[must_use]
pub fn issuer_of(jwt: &str) -> Option<String> {
    claimed_issuer(&Compact::parse(jwt).ok()?)
}

/// Verifies a JWT by the provider's terms, and finds the application that its client stands for.
///
/// # Errors
/// [`NotAccepted`].
pub async fn accept_jwt(
    app: &App,
    provider: &IdentityProvider,
    jwt: &str,
    now: UnixTime,
) -> Result<VouchedFor, NotAccepted> {
    let compact = Compact::parse(jwt).map_err(|_| NotAccepted::Refused("malformed"))?;
    let verified =
        app.issuers.verify(provider, &compact, now).await.map_err(|unverified| match unverified {
            unavailable @ (Unverified::KeysUnavailable(_) | Unverified::Fault(_)) => {
                NotAccepted::CannotTell(unavailable.into())
            }
            _ => NotAccepted::Refused("signature"),
        })?;
    let signed_part = Digest::of(compact.signing_input);
    let claims = ClaimSet::from(compact.unverified_claims);
    let accepted = provider.accept(&claims, signed_part, now).map_err(|_| NotAccepted::Refused("claims"))?;
    let client = client_of(&claims).map_err(|_| NotAccepted::Refused("client"))?.to_owned();
    let scopes =
        ScopeSet::parse(&claims.scope().unwrap_or_default()).map_err(|_| NotAccepted::Refused("scope"))?;
    let scopes = provider.scopes.as_ref().map_or_else(|| scopes.clone(), |bound| scopes.intersection(bound));
    // Without `iat`, as early as it could have been issued: a revocation of its subject then includes it.
    let earliest = accepted.expires_at.minus(provider.max_assertion_lifetime);
    let issued_at = claims.numeric_date("iat").ok().flatten().unwrap_or(earliest);
    let origin = AssertionOrigin {
        identity_provider_id: provider.id,
        issuer: provider.issuer.clone(),
        key_thumbprint: verified.key_thumbprint,
        jti: accepted.jti,
        digest: Digest::of(jwt.as_bytes()),
    };

    let (asked, subject) = (origin.clone(), accepted.subject.clone());
    let read = app.database.read(move |connection| {
        let mapped = mapped_clients::find_by_client(connection, asked.identity_provider_id, &client)?;
        Ok::<_, Denied>((mapped, revocations::name(connection, &asked, &subject, issued_at)?))
    });
    let (mapped, is_revoked) = read.await.map_err(NotAccepted::CannotTell)?;
    if is_revoked {
        return Err(NotAccepted::Refused("revoked"));
    }
    let mapped = mapped.ok_or(NotAccepted::Refused("client_not_mapped"))?;
    Ok(VouchedFor {
        origin,
        provider_revision: provider.revision,
        mapping: mapped.id,
        application_id: mapped.application_id,
        key_type: mapped.key_type,
        subject: accepted.subject,
        scopes,
        issued_at,
        // The skew that the rules allow for, no more.
        expires_at: accepted.replay_guard_until,
    })
}
