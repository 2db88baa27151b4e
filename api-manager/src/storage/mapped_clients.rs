//! Clients of trusted identity providers that stand for applications.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::mapped_clients;
use super::unreadable;
use crate::domain::application::KeyType;
use crate::domain::ids::{ApplicationId, IdentityProviderId, MappedClientId};
use crate::domain::mapped_client::MappedClient;

#[derive(Queryable, Insertable)]
#[diesel(table_name = mapped_clients)]
struct Row {
    id: String,
    application_id: String,
    identity_provider_id: String,
    client_id: String,
    key_type: String,
    created_at: i64,
}

impl Row {
    fn of(client: &MappedClient) -> Self {
        Self {
            id: client.id.to_string(),
            application_id: client.application_id.to_string(),
            identity_provider_id: client.identity_provider_id.to_string(),
            client_id: client.client_id.clone(),
            key_type: client.key_type.as_str().to_owned(),
            created_at: client.created_at.0,
        }
    }

    fn read(self) -> Result<MappedClient, StorageError> {
        let unreadable = |column| unreadable("mapped_clients", column);
        let provider = IdentityProviderId::parse(&self.identity_provider_id);
        Ok(MappedClient {
            id: MappedClientId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            application_id: ApplicationId::parse(&self.application_id)
                .ok_or_else(|| unreadable("application_id"))?,
            identity_provider_id: provider.ok_or_else(|| unreadable("identity_provider_id"))?,
            client_id: self.client_id,
            key_type: KeyType::parse(&self.key_type).ok_or_else(|| unreadable("key_type"))?,
            created_at: UnixTime(self.created_at),
        })
    }
}

/// What stands behind a provider's client.
///
/// # Errors
/// The database failed.
pub fn find_by_client(
    connection: &mut AnyConnection,
    provider: IdentityProviderId,
    client_id: &str,
) -> Result<Option<MappedClient>, StorageError> {
    let of_provider =
        mapped_clients::table.filter(mapped_clients::identity_provider_id.eq(provider.to_string()));
    let row: Option<Row> =
        of_provider.filter(mapped_clients::client_id.eq(client_id)).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// The application's mapping of that id.
///
/// # Errors
/// The database failed.
pub fn find_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
    id: MappedClientId,
) -> Result<Option<MappedClient>, StorageError> {
    let mapped = mapped_clients::table.filter(mapped_clients::application_id.eq(application.to_string()));
    let row: Option<Row> =
        mapped.filter(mapped_clients::id.eq(id.to_string())).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// Every client that stands for the application, by id.
///
/// # Errors
/// The database failed.
pub fn list_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
) -> Result<Vec<MappedClient>, StorageError> {
    let mapped = mapped_clients::table.filter(mapped_clients::application_id.eq(application.to_string()));
    let rows: Vec<Row> = mapped.order(mapped_clients::id).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Adds a mapping.
///
/// # Errors
/// [`StorageError::Duplicate`] where the provider's client is mapped, [`StorageError::InUse`] where application or
/// provider are gone.
pub fn insert(connection: &mut AnyConnection, client: &MappedClient) -> Result<(), StorageError> {
    diesel::insert_into(mapped_clients::table).values(&Row::of(client)).execute(connection)?;
    Ok(())
}

/// Removes a mapping; says whether it was there.
///
/// # Errors
/// The database failed.
pub fn delete(connection: &mut AnyConnection, id: MappedClientId) -> Result<bool, StorageError> {
    let named = mapped_clients::table.filter(mapped_clients::id.eq(id.to_string()));
    Ok(diesel::delete(named).execute(connection)? == 1)
}
