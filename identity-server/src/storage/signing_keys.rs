//! The tables `signing_keys` and `signing_algorithms`, and the revision that tells every process to read them again.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::signature::{Algorithm, KeyKind};
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::{revisions, signing_algorithms, signing_keys};
use super::unreadable;
use crate::domain::key::{KeyRecord, kind_name, kind_of};

/// The name of the revision that counts changes of the keys.
const REVISION: &str = "keys";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
struct Row {
    kid: String,
    kind: String,
    generation: i64,
    certificate: String,
    sealed_key: Vec<u8>,
    created_at: i64,
    signs_from: i64,
    retires_at: Option<i64>,
}

/// All keys and algorithms, with the revision that they belong to.
#[derive(Clone, Debug)]
pub struct StoredKeys {
    /// Counts the changes.
    pub revision: i64,
    /// Every key that was not swept yet.
    pub keys: Vec<KeyRecord>,
    /// Algorithms that some client has been given, beyond the first of each kind.
    pub algorithms: Vec<Algorithm>,
}

/// Everything, as of one revision or a later one.
///
/// # Errors
/// [`StorageError`].
pub fn load(connection: &mut AnyConnection) -> Result<StoredKeys, StorageError> {
    // The revision first: a change in between is then read twice, never missed.
    let revision = revision(connection)?;
    let rows: Vec<Row> =
        signing_keys::table.order(signing_keys::created_at).select(Row::as_select()).load(connection)?;
    let names: Vec<String> =
        signing_algorithms::table.select(signing_algorithms::algorithm).load(connection)?;
    Ok(StoredKeys {
        revision,
        keys: rows.into_iter().map(record).collect::<Result<_, _>>()?,
        algorithms: names.iter().filter_map(|name| name.parse().ok()).collect(),
    })
}

/// The revision of the keys.
///
/// # Errors
/// [`StorageError`].
pub fn revision(connection: &mut AnyConnection) -> Result<i64, StorageError> {
    Ok(revisions::table.find(REVISION).select(revisions::revision).get_result(connection)?)
}

/// The newest generation of a kind; 0 where there is none.
///
/// # Errors
/// [`StorageError`].
pub fn newest_generation(connection: &mut AnyConnection, kind: KeyKind) -> Result<i64, StorageError> {
    let of_kind = signing_keys::table.filter(signing_keys::kind.eq(kind_name(kind)));
    let newest: Option<i64> =
        of_kind.select(diesel::dsl::max(signing_keys::generation)).get_result(connection)?;
    Ok(newest.unwrap_or(0))
}

/// Inserts the next generation of a kind, and lets those before it retire at `predecessors_retire_at`.
///
/// # Errors
/// [`StorageError::Duplicate`] where another process made the same generation first.
pub fn insert(
    connection: &mut AnyConnection,
    key: &KeyRecord,
    predecessors_retire_at: UnixTime,
) -> Result<(), StorageError> {
    let row = Row {
        kid: key.kid.clone(),
        kind: kind_name(key.kind).to_owned(),
        generation: key.generation,
        certificate: key.certificate.clone(),
        sealed_key: key.sealed_key.clone(),
        created_at: key.created_at.0,
        signs_from: key.signs_from.0,
        retires_at: key.retires_at.map(|at| at.0),
    };
    diesel::insert_into(signing_keys::table).values(row).execute(connection)?;
    let before = signing_keys::table
        .filter(signing_keys::kind.eq(kind_name(key.kind)))
        .filter(signing_keys::generation.lt(key.generation))
        .filter(signing_keys::retires_at.is_null());
    diesel::update(before)
        .set(signing_keys::retires_at.eq(Some(predecessors_retire_at.0)))
        .execute(connection)?;
    bump(connection)
}

/// Has the keys published for one more algorithm.
///
/// # Errors
/// [`StorageError`].
pub fn add_algorithm(
    connection: &mut AnyConnection,
    algorithm: Algorithm,
    now: UnixTime,
) -> Result<(), StorageError> {
    let row = (signing_algorithms::algorithm.eq(algorithm.as_str()), signing_algorithms::added_at.eq(now.0));
    let added = either!(connection, native => diesel::insert_into(signing_algorithms::table)
        .values(row).on_conflict_do_nothing().execute(native))?;
    if added == 1 { bump(connection) } else { Ok(()) }
}

/// Removes the keys that retired before `before`; answers how many went.
///
/// # Errors
/// [`StorageError`].
pub fn sweep(connection: &mut AnyConnection, before: UnixTime) -> Result<usize, StorageError> {
    let retired = signing_keys::table.filter(signing_keys::retires_at.lt(before.0));
    let gone = diesel::delete(retired).execute(connection)?;
    if gone > 0 {
        bump(connection)?;
    }
    Ok(gone)
}

fn bump(connection: &mut AnyConnection) -> Result<(), StorageError> {
    diesel::update(revisions::table.find(REVISION))
        .set(revisions::revision.eq(revisions::revision + 1))
        .execute(connection)?;
    Ok(())
}

fn record(row: Row) -> Result<KeyRecord, StorageError> {
    Ok(KeyRecord {
        kind: kind_of(&row.kind).ok_or_else(|| unreadable("signing_keys", "kind"))?,
        kid: row.kid,
        generation: row.generation,
        certificate: row.certificate,
        sealed_key: row.sealed_key,
        created_at: UnixTime(row.created_at),
        signs_from: UnixTime(row.signs_from),
        retires_at: row.retires_at.map(UnixTime),
    })
}
