//! A trusted issuer's assertion buys an opaque token (RFC 7523, section 2.1).

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::jose::Compact;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, Secret};
use shared_server::database::{AnyConnection, StorageError};

use super::{Client, Denied, Issued, issue};
use crate::app::App;
use crate::domain::grant::{AssertionOrigin, narrow};
use crate::domain::identity_provider::{Accepted, IdentityProvider, LEEWAY, Replay};
use crate::storage::{apis, grants, identity_providers, used_assertions};

/// The longest issuer that is looked up, in bytes; no registered one is longer.
const LONGEST_ISSUER: usize = 1_024;

/// What the client sends.
#[derive(Debug)]
pub struct AssertionGrant {
    /// The JWT.
    pub assertion: Secret,
    /// What is asked for; empty where nothing is.
    pub scopes: ScopeSet,
}

/// Exchanges an assertion. Nothing is written before everything was accepted, so that a refusal neither uses up the
/// assertion nor blocks its `jti`.
///
/// # Errors
/// [`Denied`].
pub async fn exchange_assertion(
    app: &App,
    client: Client,
    grant: AssertionGrant,
    now: UnixTime,
) -> Result<Issued, Denied> {
    let jwt = Compact::parse(grant.assertion.expose())?;
    // Unverified, and good for one thing only: finding the keys that can verify it.
    let issuer = claimed_issuer(&jwt).ok_or(Denied::UnknownIssuer)?;
    let application = client.application.id;
    let (provider, allowed) = app
        .database
        .read(move |connection| {
            let provider = identity_providers::find_by_issuer(connection, &issuer)?;
            let provider = provider.ok_or(Denied::UnknownIssuer)?;
            Ok::<_, Denied>((provider, apis::scopes_of_subscribed(connection, application)?))
        })
        .await?;
    if !provider.enabled {
        return Err(Denied::IssuerDisabled);
    }

    let verified = app.issuers.verify(&provider, &jwt, now).await?;
    let signed_part = Digest::of(jwt.signing_input);
    let claims = ClaimSet::from(jwt.unverified_claims);
    let accepted = provider.accept(&claims, signed_part, now)?;
    let allowed = provider.scopes.as_ref().map_or_else(|| allowed.clone(), |s| allowed.intersection(s));
    let scopes = narrow(&grant.scopes, &allowed)?;

    let origin = AssertionOrigin {
        identity_provider_id: provider.id,
        issuer: provider.issuer.clone(),
        key_thumbprint: verified.key_thumbprint,
        jti: accepted.jti.clone(),
        digest: grant.assertion.digest(),
    };
    let expires_at = ends_at(&provider, &accepted, client.application.access_token_lifetime, now);
    let (record, issued) =
        issue::for_subject(&client, accepted.subject.clone(), origin, (scopes, expires_at), now)?;
    app.database
        .write(move |connection| {
            issue::key_remains(connection, &client)?;
            still_trusted(connection, &provider)?;
            if provider.replay == Replay::SingleUse {
                let (key, until) = (&accepted.replay_key, accepted.replay_guard_until);
                let claimed = used_assertions::claim(connection, &provider.issuer, key, until);
                claimed.map_err(|error| match error {
                    StorageError::Duplicate => Denied::Replayed,
                    other => Denied::Storage(other),
                })?;
            }
            Ok::<_, Denied>(grants::insert(connection, &record)?)
        })
        .await?;
    Ok(issued)
}

/// The `iss` that an assertion claims, where it is fit to be looked up.
pub(super) fn claimed_issuer(jwt: &Compact<'_>) -> Option<String> {
    let issuer = jwt.unverified_claims.get("iss")?.as_str()?;
    let is_fit =
        !issuer.is_empty() && issuer.len() <= LONGEST_ISSUER && !issuer.chars().any(char::is_control);
    is_fit.then(|| issuer.to_owned())
}

/// Between reading the provider and granting on its word it may have been disabled, deleted or given other keys.
fn still_trusted(connection: &mut AnyConnection, provider: &IdentityProvider) -> Result<(), Denied> {
    match identity_providers::hold(connection, provider.id)? {
        None => Err(Denied::UnknownIssuer),
        Some((_, false)) => Err(Denied::IssuerDisabled),
        Some((revision, true)) if revision == provider.revision => Ok(()),
        // Rare, and not the client's fault: it may simply come again.
        Some(_) => Err(Denied::Storage(StorageError::Busy)),
    }
}

/// The application's lifetime, capped by the assertion's own (RFC 7521, section 4.1). An assertion that lives on the
/// leeway alone buys a token for what is left of that.
fn ends_at(provider: &IdentityProvider, accepted: &Accepted, lifetime: i64, now: UnixTime) -> UnixTime {
    let wanted = now.plus(lifetime);
    if provider.outlive_assertion {
        return wanted;
    }
    let cap = accepted.expires_at;
    wanted.min(if now < cap { cap } else { cap.plus(LEEWAY) })
}
