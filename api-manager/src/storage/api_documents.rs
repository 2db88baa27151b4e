//! The OpenAPI documents that APIs were made of, by API; each goes with its API.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::api_documents;
use super::unreadable;
use crate::domain::ids::ApiId;
use crate::domain::openapi::Document;

/// The API's document, where it has one.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut AnyConnection, api: ApiId) -> Result<Option<Document>, StorageError> {
    let of_api = api_documents::table.find(api.to_string()).select(api_documents::document);
    let text: Option<String> = of_api.get_result(connection).optional()?;
    text.map(|text| Document::from_stored(&text).ok_or_else(|| unreadable("api_documents", "document")))
        .transpose()
}

/// Keeps the API's document in place of the one that it had.
///
/// Flows call it after the guarded write of the API itself, which makes writers of one API take turns.
///
/// # Errors
/// The database failed.
pub fn keep(
    connection: &mut AnyConnection,
    api: ApiId,
    document: &Document,
    now: UnixTime,
) -> Result<(), StorageError> {
    let of_api = api_documents::table.find(api.to_string());
    let changed = diesel::update(of_api)
        .set((api_documents::document.eq(document.to_text()), api_documents::updated_at.eq(now.0)))
        .execute(connection)?;
    if changed == 0 {
        let row = (
            api_documents::api_id.eq(api.to_string()),
            api_documents::document.eq(document.to_text()),
            api_documents::updated_at.eq(now.0),
        );
        diesel::insert_into(api_documents::table).values(row).execute(connection)?;
    }
    Ok(())
}
