//! Applications, by id.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::applications;
use super::unreadable;
use crate::domain::application::{About, Application};
use crate::domain::ids::ApplicationId;

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = applications)]
struct Row {
    id: String,
    owner: String,
    name: String,
    tier: String,
    description: String,
    access_token_lifetime: i64,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    fn of(application: &Application) -> Self {
        Self {
            id: application.id.to_string(),
            owner: application.owner.clone(),
            name: application.name.clone(),
            tier: application.tier.clone(),
            description: application.description.clone(),
            access_token_lifetime: application.access_token_lifetime,
            created_at: application.created_at.0,
            updated_at: application.updated_at.0,
            revision: application.revision,
        }
    }

    fn read(self) -> Result<Application, StorageError> {
        let id = ApplicationId::parse(&self.id).ok_or_else(|| unreadable("applications", "id"))?;
        Ok(Application {
            id,
            owner: self.owner,
            name: self.name,
            tier: self.tier,
            description: self.description,
            access_token_lifetime: self.access_token_lifetime,
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
        })
    }
}

/// What is told about every application, in no order: no more is read, for there may be a hundred thousand.
///
/// # Errors
/// The database failed.
pub fn about_all(connection: &mut AnyConnection) -> Result<Vec<About>, StorageError> {
    use applications::{id, name, owner, tier};
    let rows: Vec<(String, String, String, String)> =
        either!(connection, native => applications::table.select((id, owner, name, tier)).load(native)?);
    rows.into_iter().map(read_about).collect()
}

/// What is told about one application.
///
/// # Errors
/// The database failed.
pub fn about(connection: &mut AnyConnection, of: ApplicationId) -> Result<Option<About>, StorageError> {
    use applications::{id, name, owner, tier};
    let row = applications::table.find(of.to_string()).select((id, owner, name, tier));
    row.first(connection).optional()?.map(read_about).transpose()
}

fn read_about((id, owner, name, tier): (String, String, String, String)) -> Result<About, StorageError> {
    let id = ApplicationId::parse(&id).ok_or_else(|| unreadable("applications", "id"))?;
    Ok(About { id, owner, name, tier })
}

/// Up to `rows` applications after the id `after`; of one owner where one is named.
///
/// # Errors
/// The database failed.
pub fn list(
    connection: &mut AnyConnection,
    owner: Option<&str>,
    after: &str,
    rows: i64,
) -> Result<Vec<Application>, StorageError> {
    let later = applications::table.filter(applications::id.gt(after)).order(applications::id).limit(rows);
    let rows: Vec<Row> = match owner {
        Some(owner) => later.filter(applications::owner.eq(owner)).load(connection)?,
        None => later.load(connection)?,
    };
    rows.into_iter().map(Row::read).collect()
}

/// The application of that id.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut AnyConnection, id: ApplicationId) -> Result<Option<Application>, StorageError> {
    let named = applications::table.find(id.to_string());
    let row: Option<Row> = either!(connection, native => named.get_result(native).optional()?);
    row.map(Row::read).transpose()
}

/// The owner's application of that name.
///
/// # Errors
/// The database failed.
pub fn find_named(
    connection: &mut AnyConnection,
    owner: &str,
    name: &str,
) -> Result<Option<Application>, StorageError> {
    let named = applications::table.filter(applications::owner.eq(owner)).filter(applications::name.eq(name));
    let row: Option<Row> = named.get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// Adds an application.
///
/// # Errors
/// [`StorageError::Duplicate`] where the owner has one of that name, [`StorageError::InUse`] where the tier is gone.
pub fn insert(connection: &mut AnyConnection, application: &Application) -> Result<(), StorageError> {
    diesel::insert_into(applications::table).values(&Row::of(application)).execute(connection)?;
    Ok(())
}

/// Replaces the application if it is still of `revision`; says whether it was.
///
/// # Errors
/// As [`insert`].
pub fn update(
    connection: &mut AnyConnection,
    application: &Application,
    revision: i64,
) -> Result<bool, StorageError> {
    let id = application.id.to_string();
    let guarded =
        applications::table.filter(applications::id.eq(id)).filter(applications::revision.eq(revision));
    Ok(diesel::update(guarded).set(&Row::of(application)).execute(connection)? == 1)
}

/// Removes the application with its keys and subscriptions if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn delete(
    connection: &mut AnyConnection,
    id: ApplicationId,
    revision: i64,
) -> Result<bool, StorageError> {
    let id = id.to_string();
    let guarded =
        applications::table.filter(applications::id.eq(id)).filter(applications::revision.eq(revision));
    Ok(diesel::delete(guarded).execute(connection)? == 1)
}
