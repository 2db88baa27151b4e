//! Consumer keys, with digests of their secrets.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::application_keys;
use super::unreadable;
use crate::domain::application::{ApplicationKey, KeyType};
use crate::domain::ids::ApplicationId;

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = application_keys, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Row {
    consumer_key: String,
    application_id: String,
    key_type: String,
    secret_digest: Vec<u8>,
    previous_secret_digest: Option<Vec<u8>>,
    previous_secret_until: Option<i64>,
    /// JSON: a list of `grant_type` values.
    grant_types: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    fn of(key: &ApplicationKey) -> Result<Self, StorageError> {
        let grant_types = serde_json::to_string(&key.grant_types);
        Ok(Self {
            consumer_key: key.consumer_key.clone(),
            application_id: key.application_id.to_string(),
            key_type: key.key_type.as_str().to_owned(),
            secret_digest: key.secret_digest.as_bytes().to_vec(),
            previous_secret_digest: key.previous_secret.map(|(digest, _)| digest.as_bytes().to_vec()),
            previous_secret_until: key.previous_secret.map(|(_, until)| until.0),
            grant_types: grant_types.map_err(|e| StorageError::Fault(e.to_string()))?,
            created_at: key.created_at.0,
            updated_at: key.updated_at.0,
            revision: key.revision,
        })
    }

    fn read(self) -> Result<ApplicationKey, StorageError> {
        let unreadable = |column| unreadable("application_keys", column);
        let application_id =
            ApplicationId::parse(&self.application_id).ok_or_else(|| unreadable("application_id"))?;
        let key_type = KeyType::parse(&self.key_type).ok_or_else(|| unreadable("key_type"))?;
        let digest = |bytes: &[u8]| Digest::from_slice(bytes).ok_or_else(|| unreadable("digest"));
        let previous_secret = match (&self.previous_secret_digest, self.previous_secret_until) {
            (Some(bytes), Some(until)) => Some((digest(bytes)?, UnixTime(until))),
            _ => None,
        };
        Ok(ApplicationKey {
            application_id,
            key_type,
            secret_digest: digest(&self.secret_digest)?,
            previous_secret,
            grant_types: serde_json::from_str(&self.grant_types).map_err(|_| unreadable("grant_types"))?,
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
            consumer_key: self.consumer_key,
        })
    }
}

/// The key of that client identifier.
///
/// # Errors
/// The database failed.
pub fn find(
    connection: &mut AnyConnection,
    consumer_key: &str,
) -> Result<Option<ApplicationKey>, StorageError> {
    let named = application_keys::table.find(consumer_key);
    let row: Option<Row> = either!(connection, native => named.get_result(native).optional()?);
    row.map(Row::read).transpose()
}

/// Whether there is a key of that client identifier.
///
/// # Errors
/// The database failed.
pub fn exists(connection: &mut AnyConnection, consumer_key: &str) -> Result<bool, StorageError> {
    let row = application_keys::table.find(consumer_key).select(application_keys::revision);
    let found: Option<i64> = either!(connection, native => row.get_result(native).optional()?);
    Ok(found.is_some())
}

/// The revision of a key that is still there, held against its deletion until the transaction ends: what it buys cannot
/// slip past the revocation that goes with that.
///
/// # Errors
/// The database failed.
pub fn hold(connection: &mut AnyConnection, consumer_key: &str) -> Result<Option<i64>, StorageError> {
    let row = application_keys::table.find(consumer_key).select(application_keys::revision);
    Ok(match connection {
        // SQLite has one writer: nothing changes while this transaction lasts.
        AnyConnection::Sqlite(sqlite) => row.get_result(sqlite).optional()?,
        AnyConnection::Postgres(postgres) => row.for_share().get_result(postgres).optional()?,
    })
}

/// The application's key of that type.
///
/// # Errors
/// The database failed.
pub fn find_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
    key_type: KeyType,
) -> Result<Option<ApplicationKey>, StorageError> {
    let keys = application_keys::table.filter(application_keys::application_id.eq(application.to_string()));
    let row: Option<Row> =
        keys.filter(application_keys::key_type.eq(key_type.as_str())).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// The application's keys, at most one of each type.
///
/// # Errors
/// The database failed.
pub fn list_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
) -> Result<Vec<ApplicationKey>, StorageError> {
    let keys = application_keys::table.filter(application_keys::application_id.eq(application.to_string()));
    let rows: Vec<Row> = keys.order(application_keys::key_type).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Adds a key.
///
/// # Errors
/// [`StorageError::Duplicate`] where the application has one of that type, [`StorageError::InUse`] where the
/// application is gone.
pub fn insert(connection: &mut AnyConnection, key: &ApplicationKey) -> Result<(), StorageError> {
    diesel::insert_into(application_keys::table).values(&Row::of(key)?).execute(connection)?;
    Ok(())
}

/// Replaces the key if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn update(
    connection: &mut AnyConnection,
    key: &ApplicationKey,
    revision: i64,
) -> Result<bool, StorageError> {
    let named = application_keys::table.filter(application_keys::consumer_key.eq(&key.consumer_key));
    let guarded = named.filter(application_keys::revision.eq(revision));
    Ok(diesel::update(guarded).set(&Row::of(key)?).execute(connection)? == 1)
}

/// Removes the key if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn delete(
    connection: &mut AnyConnection,
    consumer_key: &str,
    revision: i64,
) -> Result<bool, StorageError> {
    let named = application_keys::table.filter(application_keys::consumer_key.eq(consumer_key));
    Ok(diesel::delete(named.filter(application_keys::revision.eq(revision))).execute(connection)? == 1)
}
