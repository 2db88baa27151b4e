//! A trusted provider's JWT opens the management REST, where its provider was allowed to.

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::jose::Compact;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

use super::Denied;
use super::exchange_assertion::claimed_issuer;
use crate::app::App;
use crate::domain::actor::Actor;
use crate::storage::identity_providers;

/// Who a bearer token is. The rules are those of the exchange, but for single use: a caller sends it many times.
///
/// # Errors
/// [`Denied`].
pub async fn bearer_login(app: &App, token: &str, now: UnixTime) -> Result<Actor, Denied> {
    let jwt = Compact::parse(token)?;
    // Unverified, and good for one thing only: finding the keys that can verify it.
    let issuer = claimed_issuer(&jwt).ok_or(Denied::UnknownIssuer)?;
    let provider =
        app.database.read(move |connection| identity_providers::find_by_issuer(connection, &issuer)).await?;
    let provider = provider.ok_or(Denied::UnknownIssuer)?;
    if !provider.enabled {
        return Err(Denied::IssuerDisabled);
    }
    if !provider.management {
        return Err(Denied::NotForManagement);
    }
    app.issuers.verify(&provider, &jwt, now).await?;
    let signed_part = Digest::of(jwt.signing_input);
    let claims = ClaimSet::from(jwt.unverified_claims);
    let accepted = provider.accept(&claims, signed_part, now)?;
    let granted = ScopeSet::parse(&claims.scope().unwrap_or_default())?;
    let scopes =
        provider.scopes.as_ref().map_or_else(|| granted.clone(), |bound| granted.intersection(bound));

    Ok(Actor { name: Actor::name_of(&accepted.subject, &provider.issuer), scopes: Some(scopes) })
}
