//! Trusting an identity provider, on other terms, or no longer.

use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, Database, StorageError};

use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::identity_provider::{IdentityProvider, Terms};
use crate::domain::ids::IdentityProviderId;
use crate::domain::revocation::Revocation;
use crate::domain::route_change::RouteChange;
use crate::storage::{grants, identity_providers, revisions, revocations, route_changes};

const KIND: &str = "identity provider";

/// Trusts a new provider.
///
/// # Errors
/// [`FlowError::Conflict`] where its name or issuer is taken.
pub async fn add_identity_provider(
    app: &App,
    actor: &Actor,
    terms: Terms,
    now: UnixTime,
) -> Result<IdentityProvider, FlowError> {
    let provider = add_to(&app.database, actor, terms, now).await?;
    app.changes.announce(Change::Routes).await;
    Ok(provider)
}

/// The same without a server, for the command line: a running one reads the database.
///
/// # Errors
/// As [`add_identity_provider`].
pub async fn add_to(
    database: &Database,
    actor: &Actor,
    terms: Terms,
    now: UnixTime,
) -> Result<IdentityProvider, FlowError> {
    let provider = IdentityProvider::register(IdentityProviderId::generate(), terms, now);
    let row = provider.clone();
    let kept = database.write(move |connection| {
        moved(connection)?;
        identity_providers::insert(connection, &row)
    });
    kept.await.map_err(|error| taken(error, &provider))?;
    audit::record(actor, "trusted an identity provider", &provider.id.to_string(), "", &summary(&provider));
    Ok(provider)
}

/// Puts a provider on other terms. Disabling suspends its grants at once; taking away a certificate leaves them.
///
/// # Errors
/// [`FlowError::NotFound`]; [`FlowError::Stale`] where `expected` is not the present revision;
/// [`FlowError::Conflict`] where the name or issuer is taken.
pub async fn replace_identity_provider(
    app: &App,
    actor: &Actor,
    (id, expected): (IdentityProviderId, Option<i64>),
    terms: Terms,
    now: UnixTime,
) -> Result<IdentityProvider, FlowError> {
    let (present, replaced) = app
        .database
        .write(move |connection| {
            moved(connection)?;
            let present = identity_providers::find(connection, id)?.ok_or(FlowError::NotFound(KIND))?;
            FlowError::unless_current(expected, present.revision)?;
            let provider = present.on_terms(terms, now);
            let replaced = identity_providers::replace(connection, &provider, present.revision);
            FlowError::unless_written(replaced.map_err(|error| taken(error, &provider))?)?;
            Ok::<_, FlowError>((present, provider))
        })
        .await?;
    app.changes.announce(Change::Routes).await;
    audit::record(
        actor,
        "changed an identity provider",
        &id.to_string(),
        &summary(&present),
        &summary(&replaced),
    );
    Ok(replaced)
}

/// Ends the trust, and revokes every grant that it ever bought.
///
/// # Errors
/// [`FlowError::NotFound`]; [`FlowError::Stale`] where `expected` is not the present revision.
pub async fn delete_identity_provider(
    app: &App,
    actor: &Actor,
    (id, expected): (IdentityProviderId, Option<i64>),
    now: UnixTime,
) -> Result<(), FlowError> {
    let lineage = Revocation::IdentityProvider(id);
    let named = lineage.clone();
    let (present, revoked) = app
        .database
        .write(move |connection| {
            moved(connection)?;
            let present = identity_providers::find(connection, id)?.ok_or(FlowError::NotFound(KIND))?;
            FlowError::unless_current(expected, present.revision)?;
            // Deleted first: exchanges under way hold the row, so none of their grants is missed below.
            identity_providers::delete(connection, id)?;
            let revoked = grants::revoke(connection, &named, now)?;
            revocations::append(connection, &named, now)?;
            Ok::<_, FlowError>((present, revoked))
        })
        .await?;
    app.issuers.forget(id);
    app.changes.announce(Change::Revoked(lineage)).await;
    app.changes.announce(Change::Routes).await;
    let after = format!("{revoked} grants revoked");
    audit::record(
        actor,
        "ended the trust in an identity provider",
        &id.to_string(),
        &summary(&present),
        &after,
    );
    Ok(())
}

/// Every provider, or a page of them.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn browse_identity_providers(
    app: &App,
    after: Option<IdentityProviderId>,
    rows: i64,
) -> Result<Vec<IdentityProvider>, FlowError> {
    let after = after.map(|id| id.to_string());
    let page = app
        .database
        .read(move |connection| identity_providers::list_page(connection, after.as_deref(), rows));
    Ok(page.await?)
}

/// One provider.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find_identity_provider(
    app: &App,
    id: IdentityProviderId,
) -> Result<IdentityProvider, FlowError> {
    let found = app.database.read(move |connection| identity_providers::find(connection, id)).await?;
    found.ok_or(FlowError::NotFound(KIND))
}

/// Both counters move: gateways compile anew which providers are enabled.
fn moved(connection: &mut AnyConnection) -> Result<(), StorageError> {
    route_changes::bump(connection, RouteChange::IdentityProviders)?;
    revisions::bump(connection, revisions::TRUST).map(drop)
}

fn taken(error: StorageError, provider: &IdentityProvider) -> FlowError {
    FlowError::or_conflict(error, || {
        let issuer = &provider.issuer;
        format!(
            "an identity provider of that name, or of the issuer {issuer}, is trusted already; change that one"
        )
    })
}

/// What the audit says of a provider: whom it trusts with which keys.
fn summary(provider: &IdentityProvider) -> String {
    let IdentityProvider { issuer, alias, certificates, enabled, management, .. } = provider;
    let (keys, set) = (certificates.len(), provider.jwks_uri.as_deref().unwrap_or("no jwks_uri"));
    format!(
        "issuer {issuer}, alias {alias}, {keys} certificates, {set}, enabled {enabled}, management {management}"
    )
}
