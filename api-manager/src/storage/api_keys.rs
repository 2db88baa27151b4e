//! API keys, by id and by digest.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::api_keys;
use super::unreadable;
use crate::domain::api_key::{ApiKey, RefererRule};
use crate::domain::application::KeyType;
use crate::domain::deny::AddressRange;
use crate::domain::ids::{ApiKeyId, ApplicationId};

#[derive(Queryable, Insertable)]
#[diesel(table_name = api_keys)]
struct Row {
    id: String,
    application_id: String,
    name: String,
    key_type: String,
    digest: Vec<u8>,
    expires_at: Option<i64>,
    allowed_ips: String,
    allowed_referers: String,
    created_at: i64,
}

impl Row {
    fn of(key: &ApiKey) -> Result<Self, StorageError> {
        Ok(Self {
            id: key.id.to_string(),
            application_id: key.application_id.to_string(),
            name: key.name.clone(),
            key_type: key.key_type.as_str().to_owned(),
            digest: key.digest.as_bytes().to_vec(),
            expires_at: key.expires_at.map(|end| end.0),
            allowed_ips: written(&key.allowed_ips)?,
            allowed_referers: written(&key.allowed_referers)?,
            created_at: key.created_at.0,
        })
    }

    /// A rule that does not read makes the whole row unreadable: without it the key would open more.
    fn read(self) -> Result<ApiKey, StorageError> {
        let unreadable = |column| unreadable("api_keys", column);
        let ips = read_list(&self.allowed_ips, |text| AddressRange::parse(text).ok());
        let referers = read_list(&self.allowed_referers, |text| RefererRule::parse(text).ok());
        Ok(ApiKey {
            id: ApiKeyId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            application_id: ApplicationId::parse(&self.application_id)
                .ok_or_else(|| unreadable("application_id"))?,
            name: self.name,
            key_type: KeyType::parse(&self.key_type).ok_or_else(|| unreadable("key_type"))?,
            digest: Digest::from_slice(&self.digest).ok_or_else(|| unreadable("digest"))?,
            expires_at: self.expires_at.map(UnixTime),
            allowed_ips: ips.ok_or_else(|| unreadable("allowed_ips"))?,
            allowed_referers: referers.ok_or_else(|| unreadable("allowed_referers"))?,
            created_at: UnixTime(self.created_at),
        })
    }
}

fn written(items: &[impl ToString]) -> Result<String, StorageError> {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    serde_json::to_string(&texts).map_err(|e| StorageError::Fault(e.to_string()))
}

fn read_list<T>(json: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let texts: Vec<String> = serde_json::from_str(json).ok()?;
    texts.iter().map(|text| parse(text)).collect()
}

/// The key of that digest.
///
/// # Errors
/// The database failed.
pub fn find_by_digest(
    connection: &mut AnyConnection,
    digest: &Digest,
) -> Result<Option<ApiKey>, StorageError> {
    let named = api_keys::table.filter(api_keys::digest.eq(digest.as_bytes().as_slice()));
    let row: Option<Row> = named.get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// The application's key of that id.
///
/// # Errors
/// The database failed.
pub fn find_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, StorageError> {
    let keys = api_keys::table.filter(api_keys::application_id.eq(application.to_string()));
    let row: Option<Row> = keys.filter(api_keys::id.eq(id.to_string())).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// Every key of the application, by id.
///
/// # Errors
/// The database failed.
pub fn list_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
) -> Result<Vec<ApiKey>, StorageError> {
    let keys = api_keys::table.filter(api_keys::application_id.eq(application.to_string()));
    let rows: Vec<Row> = keys.order(api_keys::id).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Adds a key.
///
/// # Errors
/// [`StorageError::Duplicate`] where the application has one of that name, [`StorageError::InUse`] where the
/// application is gone.
pub fn insert(connection: &mut AnyConnection, key: &ApiKey) -> Result<(), StorageError> {
    diesel::insert_into(api_keys::table).values(&Row::of(key)?).execute(connection)?;
    Ok(())
}

/// Removes a key; says whether it was there.
///
/// # Errors
/// The database failed.
pub fn delete(connection: &mut AnyConnection, id: ApiKeyId) -> Result<bool, StorageError> {
    Ok(diesel::delete(api_keys::table.filter(api_keys::id.eq(id.to_string()))).execute(connection)? == 1)
}
