//! Subscriptions, by id.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::{apis, applications, subscriptions};
use super::unreadable;
use crate::domain::ids::{ApiId, ApplicationId, SubscriptionId};
use crate::domain::subscription::{Subscription, SubscriptionState, Terms};

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

type TermsRow = (String, String, String, String);

fn read_terms((application_id, api_id, tier, state): TermsRow) -> Result<Terms, StorageError> {
    let unreadable = |column| unreadable("subscriptions", column);
    Ok(Terms {
        application_id: ApplicationId::parse(&application_id).ok_or_else(|| unreadable("application_id"))?,
        api_id: ApiId::parse(&api_id).ok_or_else(|| unreadable("api_id"))?,
        state: SubscriptionState::parse(&state).ok_or_else(|| unreadable("state"))?,
        tier,
    })
}

/// The terms of every subscription, in no order.
///
/// # Errors
/// The database failed.
pub fn terms_of_all(connection: &mut AnyConnection) -> Result<Vec<Terms>, StorageError> {
    use subscriptions::{api_id, application_id, state, tier};
    let terms = subscriptions::table.select((application_id, api_id, tier, state));
    let rows: Vec<TermsRow> = either!(connection, native => terms.load(native)?);
    rows.into_iter().map(read_terms).collect()
}

/// The terms of one application's subscriptions, in no order.
///
/// # Errors
/// The database failed.
pub fn terms_of(connection: &mut AnyConnection, of: ApplicationId) -> Result<Vec<Terms>, StorageError> {
    use subscriptions::{api_id, application_id, state, tier};
    let own = subscriptions::table.filter(application_id.eq(of.to_string()));
    let rows: Vec<TermsRow> = own.select((application_id, api_id, tier, state)).load(connection)?;
    rows.into_iter().map(read_terms).collect()
}

/// Which subscriptions a list is about; what is not named does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct Narrow {
    /// One application's.
    pub application: Option<ApplicationId>,
    /// Those to one API.
    pub api: Option<ApiId>,
    /// Those of this owner's applications; with `publisher`, either will do.
    pub subscriber: Option<String>,
    /// Those to this owner's APIs.
    pub publisher: Option<String>,
}

/// Up to `rows` subscriptions after the id `after`.
///
/// # Errors
/// The database failed.
pub fn list(
    connection: &mut AnyConnection,
    narrow: &Narrow,
    after: &str,
    rows: i64,
) -> Result<Vec<Subscription>, StorageError> {
    let everybody = narrow.subscriber.is_none() && narrow.publisher.is_none();
    let (application, api) = (narrow.application.map(text), narrow.api.map(text));
    // An empty name owns nothing.
    let subscriber = narrow.subscriber.as_deref().unwrap_or_default();
    let publisher = narrow.publisher.as_deref().unwrap_or_default();
    let found: Vec<Row> = either!(connection, native => {
        let mut query = subscriptions::table.filter(subscriptions::id.gt(after)).order(subscriptions::id).limit(rows).into_boxed();
        if let Some(application) = application {
            query = query.filter(subscriptions::application_id.eq(application));
        }
        if let Some(api) = api {
            query = query.filter(subscriptions::api_id.eq(api));
        }
        if !everybody {
            let of_subscriber = applications::table.filter(applications::owner.eq(subscriber)).select(applications::id);
            let of_publisher = apis::table.filter(apis::owner.eq(publisher)).select(apis::id);
            query = query.filter(
                subscriptions::application_id.eq_any(of_subscriber).or(subscriptions::api_id.eq_any(of_publisher)),
            );
        }
        query.load(native)?
    });
    found.into_iter().map(Row::read).collect()
}

fn text(id: impl std::fmt::Display) -> String {
    id.to_string()
}

/// The subscription of that id.
///
/// # Errors
/// The database failed.
pub fn find(
    connection: &mut AnyConnection,
    id: SubscriptionId,
) -> Result<Option<Subscription>, StorageError> {
    let row: Option<Row> = subscriptions::table.find(id.to_string()).get_result(connection).optional()?;
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

/// Removes every subscription to the API.
///
/// # Errors
/// The database failed.
pub fn delete_of_api(connection: &mut AnyConnection, api: ApiId) -> Result<(), StorageError> {
    diesel::delete(subscriptions::table.filter(subscriptions::api_id.eq(api.to_string())))
        .execute(connection)?;
    Ok(())
}
