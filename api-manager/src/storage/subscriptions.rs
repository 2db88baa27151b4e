//! Subscriptions, by id.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::subscriptions;
use super::unreadable;
use crate::domain::ids::{ApiId, ApplicationId, SubscriptionId};
use crate::domain::subscription::{Subscription, SubscriptionState};

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = subscriptions)]
struct Row {
    id: String,
    application_id: String,
    api_id: String,
    tier: String,
    state: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    fn of(subscription: &Subscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            application_id: subscription.application_id.to_string(),
            api_id: subscription.api_id.to_string(),
            tier: subscription.tier.clone(),
            state: subscription.state.as_str().to_owned(),
            created_at: subscription.created_at.0,
            updated_at: subscription.updated_at.0,
            revision: subscription.revision,
        }
    }

    fn read(self) -> Result<Subscription, StorageError> {
        let unreadable = |column| unreadable("subscriptions", column);
        Ok(Subscription {
            id: SubscriptionId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            application_id: ApplicationId::parse(&self.application_id)
                .ok_or_else(|| unreadable("application_id"))?,
            api_id: ApiId::parse(&self.api_id).ok_or_else(|| unreadable("api_id"))?,
            state: SubscriptionState::parse(&self.state).ok_or_else(|| unreadable("state"))?,
            tier: self.tier,
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
        })
    }
}

/// Every subscription, by id.
///
/// # Errors
/// The database failed.
pub fn list_all(connection: &mut AnyConnection) -> Result<Vec<Subscription>, StorageError> {
    let rows: Vec<Row> = subscriptions::table.order(subscriptions::id).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Which subscriptions a list is about.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// All of them.
    All,
    /// One application's.
    Application(ApplicationId),
    /// Those to one API.
    Api(ApiId),
}

/// Up to `rows` subscriptions after the id `after`.
///
/// # Errors
/// The database failed.
pub fn list(
    connection: &mut AnyConnection,
    of: Of,
    after: &str,
    rows: i64,
) -> Result<Vec<Subscription>, StorageError> {
    let later = subscriptions::table.filter(subscriptions::id.gt(after)).order(subscriptions::id).limit(rows);
    let rows: Vec<Row> = match of {
        Of::All => later.load(connection)?,
        Of::Application(id) => {
            later.filter(subscriptions::application_id.eq(id.to_string())).load(connection)?
        }
        Of::Api(id) => later.filter(subscriptions::api_id.eq(id.to_string())).load(connection)?,
    };
    rows.into_iter().map(Row::read).collect()
}

/// The subscription of that id.
///
/// # Errors
/// The database failed.
pub fn find(
    connection: &mut AnyConnection,
    id: SubscriptionId,
) -> Result<Option<Subscription>, StorageError> {
    let row: Option<Row> = subscriptions::table.find(id.to_string()).first(connection).optional()?;
    row.map(Row::read).transpose()
}

/// How many subscribe to the API, on any tier or on one.
///
/// # Errors
/// The database failed.
pub fn count_of(connection: &mut AnyConnection, api: ApiId) -> Result<i64, StorageError> {
    let of_api = subscriptions::table.filter(subscriptions::api_id.eq(api.to_string()));
    Ok(of_api.count().get_result(connection)?)
}

/// The tiers that subscriptions to the API are on.
///
/// # Errors
/// The database failed.
pub fn tiers_of(connection: &mut AnyConnection, api: ApiId) -> Result<Vec<String>, StorageError> {
    let of_api = subscriptions::table.filter(subscriptions::api_id.eq(api.to_string()));
    Ok(of_api.select(subscriptions::tier).distinct().load(connection)?)
}

/// Adds a subscription.
///
/// # Errors
/// [`StorageError::Duplicate`] where the application subscribes to the API already, [`StorageError::InUse`] where the
/// application, the API or the tier is gone.
pub fn insert(connection: &mut AnyConnection, subscription: &Subscription) -> Result<(), StorageError> {
    diesel::insert_into(subscriptions::table).values(&Row::of(subscription)).execute(connection)?;
    Ok(())
}

/// Replaces the subscription if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn update(
    connection: &mut AnyConnection,
    subscription: &Subscription,
    revision: i64,
) -> Result<bool, StorageError> {
    let id = subscription.id.to_string();
    let guarded =
        subscriptions::table.filter(subscriptions::id.eq(id)).filter(subscriptions::revision.eq(revision));
    Ok(diesel::update(guarded).set(&Row::of(subscription)).execute(connection)? == 1)
}

/// Removes the subscription if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn delete(
    connection: &mut AnyConnection,
    id: SubscriptionId,
    revision: i64,
) -> Result<bool, StorageError> {
    let id = id.to_string();
    let guarded =
        subscriptions::table.filter(subscriptions::id.eq(id)).filter(subscriptions::revision.eq(revision));
    Ok(diesel::delete(guarded).execute(connection)? == 1)
}
