//! Client certificates of applications, by id and by digest.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::application_certificates as table;
use super::unreadable;
use crate::domain::application::KeyType;
use crate::domain::client_certificate::ClientCertificate;
use crate::domain::ids::{ApplicationId, ClientCertificateId};

#[derive(Queryable, Insertable)]
#[diesel(table_name = table)]
struct Row {
    id: String,
    application_id: String,
    digest: Vec<u8>,
    subject: String,
    key_type: String,
    not_before: i64,
    not_after: i64,
    created_at: i64,
}

impl Row {
    fn of(certificate: &ClientCertificate) -> Self {
        Self {
            id: certificate.id.to_string(),
            application_id: certificate.application_id.to_string(),
            digest: certificate.digest.as_bytes().to_vec(),
            subject: certificate.subject.clone(),
            key_type: certificate.key_type.as_str().to_owned(),
            not_before: certificate.not_before.0,
            not_after: certificate.not_after.0,
            created_at: certificate.created_at.0,
        }
    }

    fn read(self) -> Result<ClientCertificate, StorageError> {
        let unreadable = |column| unreadable("application_certificates", column);
        Ok(ClientCertificate {
            id: ClientCertificateId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            application_id: ApplicationId::parse(&self.application_id)
                .ok_or_else(|| unreadable("application_id"))?,
            digest: Digest::from_slice(&self.digest).ok_or_else(|| unreadable("digest"))?,
            subject: self.subject,
            key_type: KeyType::parse(&self.key_type).ok_or_else(|| unreadable("key_type"))?,
            not_before: UnixTime(self.not_before),
            not_after: UnixTime(self.not_after),
            created_at: UnixTime(self.created_at),
        })
    }
}

/// The certificate of that digest.
///
/// # Errors
/// The database failed.
pub fn find_by_digest(
    connection: &mut AnyConnection,
    digest: &Digest,
) -> Result<Option<ClientCertificate>, StorageError> {
    let named = table::table.filter(table::digest.eq(digest.as_bytes().as_slice()));
    let row: Option<Row> = named.get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// The application's certificate of that id.
///
/// # Errors
/// The database failed.
pub fn find_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
    id: ClientCertificateId,
) -> Result<Option<ClientCertificate>, StorageError> {
    let own = table::table.filter(table::application_id.eq(application.to_string()));
    let row: Option<Row> = own.filter(table::id.eq(id.to_string())).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// Every certificate of the application, by id.
///
/// # Errors
/// The database failed.
pub fn list_of(
    connection: &mut AnyConnection,
    application: ApplicationId,
) -> Result<Vec<ClientCertificate>, StorageError> {
    let own = table::table.filter(table::application_id.eq(application.to_string()));
    let rows: Vec<Row> = own.order(table::id).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Adds a certificate.
///
/// # Errors
/// [`StorageError::Duplicate`] where it stands for an application already, [`StorageError::InUse`] where the application
/// is gone.
pub fn insert(connection: &mut AnyConnection, certificate: &ClientCertificate) -> Result<(), StorageError> {
    diesel::insert_into(table::table).values(&Row::of(certificate)).execute(connection)?;
    Ok(())
}

/// Removes a certificate; says whether it was there.
///
/// # Errors
/// The database failed.
pub fn delete(connection: &mut AnyConnection, id: ClientCertificateId) -> Result<bool, StorageError> {
    Ok(diesel::delete(table::table.filter(table::id.eq(id.to_string()))).execute(connection)? == 1)
}
