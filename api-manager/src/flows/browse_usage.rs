//! Somebody looks at what was called.

use super::FlowError;
use crate::app::App;
use crate::domain::actor::{Actor, Right};
use crate::domain::usage::{Group, Query};
use crate::storage::usage_counts;

/// The sums that are asked for: publishers see those of their APIs, owners of applications those of their applications,
/// administrators all.
///
/// # Errors
/// The database failed.
pub async fn browse_usage(app: &App, actor: &Actor, query: Query) -> Result<Vec<Group>, FlowError> {
    let owner = (!actor.may(Right::Administer)).then(|| actor.name.clone());
    let query = Query { owner, ..query };
    Ok(app.database.read(move |connection| usage_counts::sum(connection, &query)).await?)
}
