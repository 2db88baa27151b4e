//! Trusting an identity provider, on other terms, or no longer.

use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::FlowError;
use crate::app::App;
use crate::changes::Change;
use crate::domain::identity_provider::{IdentityProvider, Terms};
use crate::domain::ids::IdentityProviderId;
use crate::domain::revocation::Revocation;
use crate::storage::{grants, identity_providers, revisions, revocations};

const KIND: &str = "identity provider";

/// Trusts a new provider.
///
/// # Errors
/// [`FlowError::Conflict`] where its name or issuer is taken.
pub async fn add_identity_provider(
    app: &App,
    terms: Terms,
    now: UnixTime,
) -> Result<IdentityProvider, FlowError> {
    let provider = IdentityProvider::register(IdentityProviderId::generate(), terms, now);
    let row = provider.clone();
    app.database.write(move |connection| insert(connection, &row)).await?;
    app.changes.announce(Change::Routes).await;
    Ok(provider)
}

/// Keeps a new provider; also what the command line does.
///
/// # Errors
/// As [`add_identity_provider`].
pub fn insert(connection: &mut AnyConnection, provider: &IdentityProvider) -> Result<(), FlowError> {
    moved(connection)?;
    identity_providers::insert(connection, provider).map_err(|error| taken(error, provider))
}

/// Puts a provider on other terms. Disabling suspends its grants at once; taking away a certificate leaves them.
///
/// # Errors
/// [`FlowError::NotFound`]; [`FlowError::Stale`] where `expected` is not the present revision;
/// [`FlowError::Conflict`] where the name or issuer is taken.
pub async fn replace_identity_provider(
    app: &App,
    id: IdentityProviderId,
    terms: Terms,
    expected: Option<i64>,
    now: UnixTime,
) -> Result<IdentityProvider, FlowError> {
    let replaced = app
        .database
        .write(move |connection| {
            moved(connection)?;
            let present = identity_providers::find(connection, id)?.ok_or(FlowError::NotFound(KIND))?;
            if expected.is_some_and(|expected| expected != present.revision) {
                return Err(FlowError::Stale);
            }
            let provider = present.on_terms(terms, now);
            let replaced = identity_providers::replace(connection, &provider, present.revision);
            if !replaced.map_err(|error| taken(error, &provider))? {
                return Err(FlowError::Overtaken);
            }
            Ok(provider)
        })
        .await?;
    app.changes.announce(Change::Routes).await;
    Ok(replaced)
}

/// Ends the trust, and revokes every grant that it ever bought.
///
/// # Errors
/// [`FlowError::NotFound`]; [`FlowError::Stale`] where `expected` is not the present revision.
pub async fn delete_identity_provider(
    app: &App,
    id: IdentityProviderId,
    expected: Option<i64>,
    now: UnixTime,
) -> Result<(), FlowError> {
    let lineage = Revocation::IdentityProvider(id);
    let named = lineage.clone();
    app.database
        .write(move |connection| {
            moved(connection)?;
            let present = identity_providers::find(connection, id)?.ok_or(FlowError::NotFound(KIND))?;
            if expected.is_some_and(|expected| expected != present.revision) {
                return Err(FlowError::Stale);
            }
            // Deleted first: exchanges under way hold the row, so none of their grants is missed below.
            identity_providers::delete(connection, id)?;
            grants::revoke(connection, &named, now)?;
            revocations::append(connection, &named, now)?;
            Ok(())
        })
        .await?;
    app.issuers.forget(id);
    app.changes.announce(Change::Revoked(lineage)).await;
    app.changes.announce(Change::Routes).await;
    Ok(())
}

/// Both counters move: gateways compile anew which providers are enabled.
fn moved(connection: &mut AnyConnection) -> Result<(), StorageError> {
    revisions::bump(connection, "routes")?;
    revisions::bump(connection, "trust")
}

fn taken(error: StorageError, provider: &IdentityProvider) -> FlowError {
    FlowError::or_conflict(error, || {
        let issuer = &provider.issuer;
        format!(
            "an identity provider of that name, or of the issuer {issuer}, is trusted already; change that one"
        )
    })
}
