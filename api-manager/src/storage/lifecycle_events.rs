//! What happened to APIs, in order.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::lifecycle_events;
use super::unreadable;
use crate::domain::ids::{ApiId, LifecycleEventId};
use crate::domain::lifecycle::{Action, Event, State};

#[derive(Queryable, Insertable)]
#[diesel(table_name = lifecycle_events)]
struct Row {
    id: String,
    api_id: String,
    action: String,
    from_state: String,
    to_state: String,
    actor: String,
    at: i64,
}

impl Row {
    fn read(self) -> Result<Event, StorageError> {
        let unreadable = |column| unreadable("lifecycle_events", column);
        Ok(Event {
            id: LifecycleEventId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            api_id: ApiId::parse(&self.api_id).ok_or_else(|| unreadable("api_id"))?,
            action: Action::parse(&self.action).ok_or_else(|| unreadable("action"))?,
            from: State::parse(&self.from_state).ok_or_else(|| unreadable("state"))?,
            to: State::parse(&self.to_state).ok_or_else(|| unreadable("state"))?,
            actor: self.actor,
            at: UnixTime(self.at),
        })
    }
}

/// The API's latest 100 events, the oldest of them first.
///
/// # Errors
/// The database failed.
pub fn list_of(connection: &mut AnyConnection, api: ApiId) -> Result<Vec<Event>, StorageError> {
    let of_api = lifecycle_events::table.filter(lifecycle_events::api_id.eq(api.to_string()));
    let mut rows: Vec<Row> = of_api.order(lifecycle_events::id.desc()).limit(100).load(connection)?;
    rows.reverse();
    rows.into_iter().map(Row::read).collect()
}

/// Adds an event.
///
/// # Errors
/// [`StorageError::InUse`] where the API is gone.
pub fn insert(connection: &mut AnyConnection, event: &Event) -> Result<(), StorageError> {
    let row = Row {
        id: event.id.to_string(),
        api_id: event.api_id.to_string(),
        action: event.action.as_str().to_owned(),
        from_state: event.from.as_str().to_owned(),
        to_state: event.to.as_str().to_owned(),
        actor: event.actor.clone(),
        at: event.at.0,
    };
    diesel::insert_into(lifecycle_events::table).values(&row).execute(connection)?;
    Ok(())
}
