//! The trusted identity providers.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::signature::Algorithm;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::identity_providers;
use super::unreadable;
use crate::domain::identity_provider::{IdentityProvider, Replay};
use crate::domain::ids::IdentityProviderId;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = identity_providers, treat_none_as_null = true)]
struct Row {
    id: String,
    name: String,
    issuer: String,
    alias: String,
    certificates: String,
    jwks_uri: Option<String>,
    enabled: bool,
    algorithms: String,
    replay: String,
    max_assertion_lifetime: i64,
    scopes: Option<String>,
    outlive_assertion: bool,
    management: bool,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

/// Keeps a new provider.
///
/// # Errors
/// [`StorageError::Duplicate`] where its name or issuer is taken.
pub fn insert(connection: &mut AnyConnection, provider: &IdentityProvider) -> Result<(), StorageError> {
    diesel::insert_into(identity_providers::table).values(Row::of(provider)?).execute(connection)?;
    Ok(())
}

/// Replaces a provider where `revision` is still the present one; says whether it was.
///
/// # Errors
/// [`StorageError::Duplicate`] where its name or issuer is taken.
pub fn replace(
    connection: &mut AnyConnection,
    provider: &IdentityProvider,
    revision: i64,
) -> Result<bool, StorageError> {
    let present = identity_providers::table
        .find(provider.id.to_string())
        .filter(identity_providers::revision.eq(revision));
    Ok(diesel::update(present).set(Row::of(provider)?).execute(connection)? == 1)
}

/// Removes a provider; says whether there was one.
///
/// # Errors
/// [`StorageError`].
pub fn delete(connection: &mut AnyConnection, id: IdentityProviderId) -> Result<bool, StorageError> {
    Ok(diesel::delete(identity_providers::table.find(id.to_string())).execute(connection)? == 1)
}

/// A provider by its id.
///
/// # Errors
/// [`StorageError`].
pub fn find(
    connection: &mut AnyConnection,
    id: IdentityProviderId,
) -> Result<Option<IdentityProvider>, StorageError> {
    let row = identity_providers::table.find(id.to_string()).select(Row::as_select());
    row.get_result::<Row>(connection).optional()?.map(Row::into_provider).transpose()
}

/// Whether there is a provider of that id, and it is enabled.
///
/// # Errors
/// [`StorageError`].
pub fn is_enabled(connection: &mut AnyConnection, id: IdentityProviderId) -> Result<bool, StorageError> {
    let row = identity_providers::table.find(id.to_string()).select(identity_providers::enabled);
    let enabled: Option<bool> = either!(connection, native => row.get_result(native).optional()?);
    Ok(enabled.unwrap_or(false))
}

/// A provider by its exact issuer.
///
/// # Errors
/// [`StorageError`].
pub fn find_by_issuer(
    connection: &mut AnyConnection,
    issuer: &str,
) -> Result<Option<IdentityProvider>, StorageError> {
    let row =
        identity_providers::table.filter(identity_providers::issuer.eq(issuer)).select(Row::as_select());
    row.get_result::<Row>(connection).optional()?.map(Row::into_provider).transpose()
}

/// The revision and the state of a provider, held against changes until the transaction ends: what is granted on it
/// cannot slip past its deletion.
///
/// # Errors
/// [`StorageError`].
pub fn hold(
    connection: &mut AnyConnection,
    id: IdentityProviderId,
) -> Result<Option<(i64, bool)>, StorageError> {
    let row = identity_providers::table
        .find(id.to_string())
        .select((identity_providers::revision, identity_providers::enabled));
    Ok(match connection {
        // SQLite has one writer: nothing changes while this transaction lasts.
        AnyConnection::Sqlite(sqlite) => row.get_result(sqlite).optional()?,
        AnyConnection::Postgres(postgres) => row.for_share().get_result(postgres).optional()?,
    })
}

/// A page of providers, in the order of their ids.
///
/// # Errors
/// [`StorageError`].
pub fn list_page(
    connection: &mut AnyConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<IdentityProvider>, StorageError> {
    let rows = identity_providers::table
        // Every id comes after the empty text.
        .filter(identity_providers::id.gt(after.unwrap_or_default()))
        .order(identity_providers::id)
        .limit(limit)
        .select(Row::as_select())
        .load::<Row>(connection)?;
    rows.into_iter().map(Row::into_provider).collect()
}

/// Every provider, enabled or not.
///
/// # Errors
/// [`StorageError`].
pub fn list_all(connection: &mut AnyConnection) -> Result<Vec<IdentityProvider>, StorageError> {
    let rows = identity_providers::table.order(identity_providers::id).select(Row::as_select());
    rows.load::<Row>(connection)?.into_iter().map(Row::into_provider).collect()
}

impl Row {
    fn of(provider: &IdentityProvider) -> Result<Self, StorageError> {
        let algorithms: Vec<&str> = provider.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        Ok(Self {
            id: provider.id.to_string(),
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            alias: provider.alias.clone(),
            certificates: serde_json::to_string(&provider.certificates).map_err(|_| bad("certificates"))?,
            jwks_uri: provider.jwks_uri.clone(),
            enabled: provider.enabled,
            algorithms: algorithms.join(" "),
            replay: provider.replay.as_str().to_owned(),
            max_assertion_lifetime: provider.max_assertion_lifetime,
            scopes: provider.scopes.as_ref().map(ToString::to_string),
            outlive_assertion: provider.outlive_assertion,
            management: provider.management,
            created_at: provider.created_at.0,
            updated_at: provider.updated_at.0,
            revision: provider.revision,
        })
    }

    fn into_provider(self) -> Result<IdentityProvider, StorageError> {
        let algorithms =
            self.algorithms.split_whitespace().map(str::parse::<Algorithm>).collect::<Result<_, _>>();
        let scopes = self.scopes.as_deref().map(ScopeSet::parse).transpose();
        Ok(IdentityProvider {
            id: IdentityProviderId::parse(&self.id).ok_or_else(|| bad("id"))?,
            name: self.name,
            issuer: self.issuer,
            alias: self.alias,
            certificates: serde_json::from_str(&self.certificates).map_err(|_| bad("certificates"))?,
            jwks_uri: self.jwks_uri,
            enabled: self.enabled,
            algorithms: algorithms.map_err(|_| bad("algorithms"))?,
            replay: Replay::parse(&self.replay).ok_or_else(|| bad("replay"))?,
            max_assertion_lifetime: self.max_assertion_lifetime,
            scopes: scopes.map_err(|_| bad("scopes"))?,
            outlive_assertion: self.outlive_assertion,
            management: self.management,
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
        })
    }
}

fn bad(column: &str) -> StorageError {
    unreadable("identity_providers", column)
}
