//! The table `users`. A deleted user keeps its row, emptied, so that its name stays reserved for ever.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::users;
use super::unreadable;
use crate::domain::profile::{Contact, PostalAddress, Profile};
use crate::domain::user::{User, UserId, UserName};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true)]
struct Row {
    id: String,
    user_name: String,
    user_name_key: String,
    password_hash: Option<String>,
    active: bool,
    profile: String,
    sessions_ended_at: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    revision: i64,
}

/// Inserts a new user.
///
/// # Errors
/// [`StorageError::Duplicate`] where the name is, or ever was, taken.
pub fn insert(connection: &mut AnyConnection, user: &User) -> Result<(), StorageError> {
    diesel::insert_into(users::table).values(row(user)).execute(connection)?;
    Ok(())
}

/// The user with this identifier, unless deleted.
///
/// # Errors
/// [`StorageError`].
pub fn find(connection: &mut AnyConnection, id: UserId) -> Result<Option<User>, StorageError> {
    let present = users::table.filter(users::id.eq(id.to_string())).filter(users::deleted_at.is_null());
    present.select(Row::as_select()).get_result(connection).optional()?.map(user).transpose()
}

/// The user whose name has this key, unless deleted.
///
/// # Errors
/// [`StorageError`].
pub fn find_by_key(connection: &mut AnyConnection, key: &str) -> Result<Option<User>, StorageError> {
    let present = users::table.filter(users::user_name_key.eq(key)).filter(users::deleted_at.is_null());
    present.select(Row::as_select()).get_result(connection).optional()?.map(user).transpose()
}

/// At most `limit` users from the place `offset` on, in the order of their identifiers.
///
/// # Errors
/// [`StorageError`].
pub fn list(connection: &mut AnyConnection, offset: i64, limit: i64) -> Result<Vec<User>, StorageError> {
    let rows: Vec<Row> = users::table
        .filter(users::deleted_at.is_null())
        .order(users::id)
        .offset(offset)
        .limit(limit)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(user).collect()
}

/// How many users there are.
///
/// # Errors
/// [`StorageError`].
pub fn count(connection: &mut AnyConnection) -> Result<i64, StorageError> {
    Ok(users::table.filter(users::deleted_at.is_null()).count().get_result(connection)?)
}

/// Puts `changed` in the place of revision `changed.revision - 1`; false where that is not the present one.
///
/// # Errors
/// [`StorageError::Duplicate`] where a new name is taken.
pub fn replace(connection: &mut AnyConnection, changed: &User) -> Result<bool, StorageError> {
    let present = users::table
        .filter(users::id.eq(changed.id.to_string()))
        .filter(users::deleted_at.is_null())
        .filter(users::revision.eq(changed.revision - 1));
    Ok(diesel::update(present).set(row(changed)).execute(connection)? == 1)
}

/// Empties the user's row and keeps its name; false where there is none, or another revision.
///
/// # Errors
/// [`StorageError`].
pub fn delete(
    connection: &mut AnyConnection,
    id: UserId,
    revision: Option<i64>,
    now: UnixTime,
) -> Result<bool, StorageError> {
    let emptied = (
        users::password_hash.eq(None::<String>),
        users::active.eq(false),
        users::profile.eq("{}"),
        users::sessions_ended_at.eq(now.0),
        users::updated_at.eq(now.0),
        users::deleted_at.eq(Some(now.0)),
        users::revision.eq(users::revision + 1),
    );
    let present = users::table.filter(users::id.eq(id.to_string())).filter(users::deleted_at.is_null());
    let deleted = match revision {
        Some(revision) => {
            diesel::update(present.filter(users::revision.eq(revision))).set(emptied).execute(connection)?
        }
        None => diesel::update(present).set(emptied).execute(connection)?,
    };
    Ok(deleted == 1)
}

fn row(user: &User) -> Row {
    Row {
        id: user.id.to_string(),
        user_name: user.name.as_str().to_owned(),
        user_name_key: user.name.key(),
        password_hash: user.password_hash.clone(),
        active: user.active,
        profile: serde_json::to_string(&StoredProfile::from(&user.profile)).unwrap_or_default(),
        sessions_ended_at: user.sessions_ended_at.0,
        created_at: user.created_at.0,
        updated_at: user.updated_at.0,
        deleted_at: None,
        revision: user.revision,
    }
}

fn user(row: Row) -> Result<User, StorageError> {
    let bad = |column: &str| unreadable("users", column);
    let profile: StoredProfile = serde_json::from_str(&row.profile).map_err(|_| bad("profile"))?;
    Ok(User {
        id: UserId::parse(&row.id).ok_or_else(|| bad("id"))?,
        name: UserName::parse(&row.user_name).map_err(|_| bad("user_name"))?,
        password_hash: row.password_hash,
        active: row.active,
        profile: profile.into(),
        sessions_ended_at: UnixTime(row.sessions_ended_at),
        created_at: UnixTime(row.created_at),
        updated_at: UnixTime(row.updated_at),
        revision: row.revision,
    })
}

/// The profile as the column holds it; names that a later version adds are ignored by this one.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredProfile {
    external_id: Option<String>,
    formatted_name: Option<String>,
    given_name: Option<String>,
    middle_name: Option<String>,
    family_name: Option<String>,
    display_name: Option<String>,
    nick_name: Option<String>,
    profile_url: Option<String>,
    title: Option<String>,
    preferred_language: Option<String>,
    locale: Option<String>,
    timezone: Option<String>,
    emails: Vec<StoredContact>,
    phone_numbers: Vec<StoredContact>,
    addresses: Vec<StoredAddress>,
    groups: Vec<String>,
    roles: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredContact {
    value: String,
    kind: Option<String>,
    primary: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredAddress {
    formatted: Option<String>,
    street_address: Option<String>,
    locality: Option<String>,
    region: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
    kind: Option<String>,
}

impl From<&Profile> for StoredProfile {
    fn from(profile: &Profile) -> Self {
        let contact =
            |c: &Contact| StoredContact { value: c.value.clone(), kind: c.kind.clone(), primary: c.primary };
        let p = profile.clone();
        Self {
            external_id: p.external_id,
            formatted_name: p.formatted_name,
            given_name: p.given_name,
            middle_name: p.middle_name,
            family_name: p.family_name,
            display_name: p.display_name,
            nick_name: p.nick_name,
            profile_url: p.profile_url,
            title: p.title,
            preferred_language: p.preferred_language,
            locale: p.locale,
            timezone: p.timezone,
            emails: p.emails.iter().map(contact).collect(),
            phone_numbers: p.phone_numbers.iter().map(contact).collect(),
            addresses: p
                .addresses
                .into_iter()
                .map(|a| StoredAddress {
                    formatted: a.formatted,
                    street_address: a.street_address,
                    locality: a.locality,
                    region: a.region,
                    postal_code: a.postal_code,
                    country: a.country,
                    kind: a.kind,
                })
                .collect(),
            groups: p.groups,
            roles: p.roles,
        }
    }
}

impl From<StoredProfile> for Profile {
    fn from(p: StoredProfile) -> Self {
        let contact = |c: StoredContact| Contact { value: c.value, kind: c.kind, primary: c.primary };
        Self {
            external_id: p.external_id,
            formatted_name: p.formatted_name,
            given_name: p.given_name,
            middle_name: p.middle_name,
            family_name: p.family_name,
            display_name: p.display_name,
            nick_name: p.nick_name,
            profile_url: p.profile_url,
            title: p.title,
            preferred_language: p.preferred_language,
            locale: p.locale,
            timezone: p.timezone,
            emails: p.emails.into_iter().map(contact).collect(),
            phone_numbers: p.phone_numbers.into_iter().map(contact).collect(),
            addresses: p
                .addresses
                .into_iter()
                .map(|a| PostalAddress {
                    formatted: a.formatted,
                    street_address: a.street_address,
                    locality: a.locality,
                    region: a.region,
                    postal_code: a.postal_code,
                    country: a.country,
                    kind: a.kind,
                })
                .collect(),
            groups: p.groups,
            roles: p.roles,
        }
    }
}
