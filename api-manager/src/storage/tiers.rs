//! Tiers, by name.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::tiers;
use super::unreadable;
use crate::domain::tier::{Limit, Tier};

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = tiers, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Row {
    name: String,
    description: String,
    requests: Option<i64>,
    per_seconds: Option<i64>,
    burst: Option<i64>,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    fn of(tier: &Tier) -> Self {
        Self {
            name: tier.name.clone(),
            description: tier.description.clone(),
            requests: tier.limit.map(|limit| limit.requests.into()),
            per_seconds: tier.limit.map(|limit| limit.per_seconds.into()),
            burst: tier.limit.and_then(|limit| limit.burst).map(i64::from),
            created_at: tier.created_at.0,
            updated_at: tier.updated_at.0,
            revision: tier.revision,
        }
    }

    fn read(self) -> Result<Tier, StorageError> {
        let number = |value: i64| u32::try_from(value).map_err(|_| unreadable("tiers", "limit"));
        let limit = match (self.requests, self.per_seconds) {
            (Some(requests), Some(per_seconds)) => Some(Limit {
                requests: number(requests)?,
                per_seconds: number(per_seconds)?,
                burst: self.burst.map(number).transpose()?,
            }),
            _ => None,
        };
        Ok(Tier {
            limit,
            name: self.name,
            description: self.description,
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
        })
    }
}

/// Every tier, by name.
///
/// # Errors
/// The database failed.
pub fn list_all(connection: &mut AnyConnection) -> Result<Vec<Tier>, StorageError> {
    let rows: Vec<Row> = tiers::table.order(tiers::name).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Up to `rows` tiers whose names come after `after`.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut AnyConnection, after: &str, rows: i64) -> Result<Vec<Tier>, StorageError> {
    let page = tiers::table.filter(tiers::name.gt(after)).order(tiers::name).limit(rows);
    let rows: Vec<Row> = page.load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// The tier of that name.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut AnyConnection, name: &str) -> Result<Option<Tier>, StorageError> {
    let row: Option<Row> = tiers::table.find(name).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// Adds a tier.
///
/// # Errors
/// [`StorageError::Duplicate`] where the name is taken.
pub fn insert(connection: &mut AnyConnection, tier: &Tier) -> Result<(), StorageError> {
    diesel::insert_into(tiers::table).values(&Row::of(tier)).execute(connection)?;
    Ok(())
}

/// Replaces the tier if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn update(connection: &mut AnyConnection, tier: &Tier, revision: i64) -> Result<bool, StorageError> {
    let guarded = tiers::table.filter(tiers::name.eq(&tier.name)).filter(tiers::revision.eq(revision));
    Ok(diesel::update(guarded).set(&Row::of(tier)).execute(connection)? == 1)
}

/// Removes the tier if it is still of `revision`; says whether it was.
///
/// # Errors
/// [`StorageError::InUse`] where an application or a subscription is on it.
pub fn delete(connection: &mut AnyConnection, name: &str, revision: i64) -> Result<bool, StorageError> {
    let guarded = tiers::table.filter(tiers::name.eq(name)).filter(tiers::revision.eq(revision));
    Ok(diesel::delete(guarded).execute(connection)? == 1)
}
