//! Finding grants by the digests of their tokens: on SQLite in the slots of time in which they may be.

use diesel::dsl::min;
use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};

use super::Row;
use crate::domain::grant::Grant;
use crate::storage::schema::grants;
use crate::storage::slots;

/// The rows of one digest in the slots that are asked first. The statement's text is always the same, so each connection
/// prepares it once.
macro_rules! likely {
    ($sqlite:expr, $column:expr, $digest:expr, $now:expr) => {{
        let [a, b, c, d, e, f, g, h, any] = slots::around($now);
        let slot = grants::slot;
        let hours = slot.eq(a).or(slot.eq(b)).or(slot.eq(c)).or(slot.eq(d)).or(slot.eq(e));
        let days = slot.eq(f).or(slot.eq(g)).or(slot.eq(h));
        grants::table
            .filter(hours.or(days).or(slot.eq(any)))
            .filter($column.eq($digest.as_bytes().as_slice()))
            .select(Row::as_select())
            .get_result::<Row>($sqlite)
            .optional()
    }};
}

/// The rows of these digests in all other slots that may be there.
macro_rules! unlikely {
    ($sqlite:expr, $column:expr, $digests:expr, $now:expr) => {{
        let later = slots::later($now, |last, until| first_slot_between($sqlite, last, until))?;
        if later.is_empty() {
            Vec::new()
        } else {
            let digests = $digests.iter().map(|digest| digest.as_bytes().as_slice());
            let found = grants::table.filter(grants::slot.eq_any(later)).filter($column.eq_any(digests));
            found.select(Row::as_select()).load::<Row>($sqlite)?
        }
    }};
}

/// The grant of one digest.
macro_rules! one {
    ($connection:expr, $column:expr, $digest:expr, $now:expr) => {{
        let row = match $connection {
            AnyConnection::Sqlite(sqlite) => match likely!(sqlite, $column, $digest, $now)? {
                Some(row) => Some(row),
                None => unlikely!(sqlite, $column, std::slice::from_ref($digest), $now).pop(),
            },
            AnyConnection::Postgres(postgres) => {
                let row = grants::table.filter($column.eq($digest.as_bytes().as_slice()));
                row.select(Row::as_select()).get_result(postgres).optional()?
            }
        };
        row.map(Row::into_grant).transpose()
    }};
}

/// The grant of an access token, whatever its state, unless it is over for longer than [`slots::GRACE`].
///
/// # Errors
/// [`StorageError`].
pub fn find_by_access_digest(
    connection: &mut AnyConnection,
    digest: &Digest,
    now: UnixTime,
) -> Result<Option<Grant>, StorageError> {
    one!(connection, grants::access_digest, digest, now)
}

/// The grant of a refresh token, whatever its state, unless it is over for longer than [`slots::GRACE`].
///
/// # Errors
/// [`StorageError`].
pub fn find_by_refresh_digest(
    connection: &mut AnyConnection,
    digest: &Digest,
    now: UnixTime,
) -> Result<Option<Grant>, StorageError> {
    one!(connection, grants::refresh_digest, digest, now)
}

/// What was found of an access token: its grant, or why that cannot be read.
pub type FoundByDigest = (Digest, Result<Grant, StorageError>);

/// The grants of these access tokens, as [`find_by_access_digest`] finds them, in no order. A row that cannot be read is an error of
/// its own: it must not stand in the way of the others.
///
/// # Errors
/// [`StorageError`].
pub fn find_by_access_digests(
    connection: &mut AnyConnection,
    digests: &[Digest],
    now: UnixTime,
) -> Result<Vec<FoundByDigest>, StorageError> {
    let rows = match connection {
        AnyConnection::Sqlite(sqlite) => on_sqlite(sqlite, digests, now)?,
        AnyConnection::Postgres(postgres) => {
            let many = digests.iter().map(|digest| digest.as_bytes().as_slice());
            let rows = grants::table.filter(grants::access_digest.eq_any(many));
            rows.select(Row::as_select()).load(postgres)?
        }
    };
    Ok(rows.into_iter().filter_map(|row| Some((row.access_digest()?, row.into_grant()))).collect())
}

fn on_sqlite(
    sqlite: &mut SqliteConnection,
    digests: &[Digest],
    now: UnixTime,
) -> Result<Vec<Row>, StorageError> {
    // SQLite is asked within the process: up to some number, a statement that is prepared once beats one for all.
    const FEW: usize = 16;
    let mut rows: Vec<Row> = Vec::new();
    if digests.len() <= FEW {
        for digest in digests {
            rows.extend(likely!(sqlite, grants::access_digest, digest, now)?);
        }
    } else {
        let many = digests.iter().map(|digest| digest.as_bytes().as_slice());
        let found = grants::table.filter(grants::slot.eq_any(slots::around(now)));
        rows = found.filter(grants::access_digest.eq_any(many)).select(Row::as_select()).load(sqlite)?;
    }
    if rows.len() < digests.len() {
        rows.extend(unlikely!(sqlite, grants::access_digest, digests, now));
    }
    Ok(rows)
}

fn first_slot_between(sqlite: &mut SqliteConnection, last: i64, until: i64) -> QueryResult<Option<i64>> {
    grants::table
        .filter(grants::slot.gt(last))
        .filter(grants::slot.lt(until))
        .select(min(grants::slot))
        .get_result(sqlite)
}
