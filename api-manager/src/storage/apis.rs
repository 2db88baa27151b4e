//! APIs, by id, and uniquely by context and version.

mod backends;
mod definition;
mod transforms;
mod transport;

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::{apis, subscriptions};
use super::unreadable;
use crate::domain::api::Api;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::lifecycle::State;
use crate::domain::subscription::SubscriptionState;

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = apis)]
struct Row {
    id: String,
    name: String,
    context: String,
    version: String,
    state: String,
    owner: String,
    definition: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    fn of(api: &Api) -> Result<Self, StorageError> {
        Ok(Self {
            id: api.id.to_string(),
            name: api.name.clone(),
            context: api.context.clone(),
            version: api.version.clone(),
            state: api.state.as_str().to_owned(),
            owner: api.owner.clone(),
            definition: definition::write(&api.definition)?,
            created_at: api.created_at.0,
            updated_at: api.updated_at.0,
            revision: api.revision,
        })
    }

    fn read(self) -> Result<Api, StorageError> {
        let unreadable = |column| unreadable("apis", column);
        Ok(Api {
            id: ApiId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            state: State::parse(&self.state).ok_or_else(|| unreadable("state"))?,
            definition: definition::read(&self.definition).ok_or_else(|| unreadable("definition"))?,
            name: self.name,
            context: self.context,
            version: self.version,
            owner: self.owner,
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
        })
    }
}

/// Every API, in no order.
///
/// # Errors
/// The database failed.
pub fn list_all(connection: &mut AnyConnection) -> Result<Vec<Api>, StorageError> {
    let rows: Vec<Row> = apis::table.load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// How many APIs there are.
///
/// # Errors
/// The database failed.
pub fn count(connection: &mut AnyConnection) -> Result<i64, StorageError> {
    Ok(apis::table.count().get_result(connection)?)
}

/// Up to `rows` APIs after the id `after` for which `wanted` holds.
///
/// What a search asks for is inside the definition, so rows are read in batches and judged here.
///
/// # Errors
/// The database failed.
pub fn list(
    connection: &mut AnyConnection,
    after: &str,
    rows: i64,
    wanted: impl Fn(&Api) -> bool,
) -> Result<Vec<Api>, StorageError> {
    const BATCH: usize = 200;
    let most = usize::try_from(rows).unwrap_or_default();
    let (mut found, mut after) = (Vec::new(), after.to_owned());
    loop {
        let batch = apis::table.filter(apis::id.gt(&after)).order(apis::id).limit(BATCH as i64);
        let batch: Vec<Row> = batch.load(connection)?;
        let is_last = batch.len() < BATCH;
        for row in batch {
            after.clone_from(&row.id);
            let api = row.read()?;
            if wanted(&api) {
                found.push(api);
            }
            if found.len() >= most {
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// The API of that id.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut AnyConnection, id: ApiId) -> Result<Option<Api>, StorageError> {
    let row: Option<Row> = apis::table.find(id.to_string()).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// The APIs whose contexts begin with the segment `first`.
///
/// # Errors
/// The database failed.
pub fn under(connection: &mut AnyConnection, first: &str) -> Result<Vec<Api>, StorageError> {
    let rows: Vec<Row> = match connection {
        // A range of the index; `0` follows `/`. PostgreSQL may order texts in another way than by their bytes.
        AnyConnection::Sqlite(sqlite) => {
            let below = apis::context.ge(format!("{first}/")).and(apis::context.lt(format!("{first}0")));
            apis::table.filter(apis::context.eq(first).or(below)).order(apis::id).load(sqlite)?
        }
        // `_` in the pattern matches more than itself; what is too many is dropped below.
        AnyConnection::Postgres(postgres) => {
            let below = apis::context.eq(first).or(apis::context.like(format!("{first}/%")));
            apis::table.filter(below).order(apis::id).load(postgres)?
        }
    };
    let read: Result<Vec<Api>, StorageError> = rows.into_iter().map(Row::read).collect();
    Ok(read?.into_iter().filter(|api| api.context.split('/').next() == Some(first)).collect())
}

/// Every scope that the operations of APIs declare to which this application has an active subscription.
///
/// # Errors
/// The database failed.
pub fn scopes_of_subscribed(
    connection: &mut AnyConnection,
    application: ApplicationId,
) -> Result<ScopeSet, StorageError> {
    let of_application = subscriptions::table
        .filter(subscriptions::application_id.eq(application.to_string()))
        .filter(subscriptions::state.eq(SubscriptionState::Active.as_str()));
    let subscribed = apis::table.filter(apis::id.eq_any(of_application.select(subscriptions::api_id)));
    let definitions: Vec<String> = subscribed.select(apis::definition).load(connection)?;
    definitions.into_iter().try_fold(ScopeSet::default(), |scopes, text| {
        let declared = definition::scopes(&text).ok_or_else(|| unreadable("apis", "definition"))?;
        Ok(scopes.union(&declared))
    })
}

/// Whether any API offers the tier of that name, or is limited by it.
///
/// # Errors
/// The database failed.
pub fn name_tier(connection: &mut AnyConnection, tier: &str) -> Result<bool, StorageError> {
    let names = |api: &Api| api.definition.named_tiers().any(|(_, named)| named == tier);
    Ok(!list(connection, "", 1, names)?.is_empty())
}

/// Adds an API.
///
/// # Errors
/// [`StorageError::Duplicate`] where its context has that version already.
pub fn insert(connection: &mut AnyConnection, api: &Api) -> Result<(), StorageError> {
    diesel::insert_into(apis::table).values(&Row::of(api)?).execute(connection)?;
    Ok(())
}

/// Replaces the API if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn update(connection: &mut AnyConnection, api: &Api, revision: i64) -> Result<bool, StorageError> {
    let guarded = apis::table.filter(apis::id.eq(api.id.to_string())).filter(apis::revision.eq(revision));
    Ok(diesel::update(guarded).set(&Row::of(api)?).execute(connection)? == 1)
}

/// Removes the API if it is still of `revision`; says whether it was.
///
/// # Errors
/// [`StorageError::InUse`] where somebody subscribes to it.
pub fn delete(connection: &mut AnyConnection, id: ApiId, revision: i64) -> Result<bool, StorageError> {
    let guarded = apis::table.filter(apis::id.eq(id.to_string())).filter(apis::revision.eq(revision));
    Ok(diesel::delete(guarded).execute(connection)? == 1)
}
