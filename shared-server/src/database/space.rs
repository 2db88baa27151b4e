//! What an SQLite file holds that no row needs any more goes back to the file system. PostgreSQL does that by itself.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{AnyConnection, StorageError};

#[derive(QueryableByName)]
struct Pages {
    #[diesel(sql_type = BigInt)]
    free: i64,
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    mode: i64,
}

/// Free pages are given back once there are more than this, and more than an eighth of all or than [`MOST`]; they are what
/// the next rows are written to.
const SPARE: i64 = 1_024;
/// To give back a page that is free SQLite looks for it in the list of all that are: with 350,000 on that list a page took 200
/// microseconds, and ten million rows that are over leave millions behind.
const MOST: i64 = 8_192;
/// What `auto_vacuum` says of a file whose pages can be given back a few at a time.
const INCREMENTAL: i64 = 2;

/// How many times as many may be free while others write: it is their rows that are written to them next.
const BESIDE_OTHERS: i64 = 4;

/// Gives back at most `pages` pages, and says how many; more stay free while others write. A file that was made by a version
/// before this one keeps its size: its free pages are used again.
///
/// # Errors
/// [`StorageError`].
pub fn give_back(
    connection: &mut AnyConnection,
    pages: i64,
    others_write: bool,
) -> Result<u64, StorageError> {
    let AnyConnection::Sqlite(sqlite) = connection else { return Ok(0) };
    let counted = diesel::sql_query(
        "SELECT freelist_count AS free, page_count AS \"all\", auto_vacuum AS mode \
         FROM pragma_freelist_count, pragma_page_count, pragma_auto_vacuum",
    );
    let Pages { free, all, mode } = counted.get_result(sqlite)?;
    let spare = MOST.min(all / 8) * if others_write { BESIDE_OTHERS } else { 1 };
    if mode != INCREMENTAL || free <= SPARE || free <= spare {
        return Ok(0);
    }
    let pages = pages.min(free - SPARE);
    sqlite.batch_execute(&format!("PRAGMA incremental_vacuum({pages})"))?;
    Ok(u64::try_from(pages).unwrap_or_default())
}
