//! Somebody looks at tiers.

use super::FlowError;
use crate::app::App;
use crate::domain::tier::Tier;
use crate::storage::tiers;

/// Up to `rows` tiers whose names come after `after`.
///
/// # Errors
/// The database failed.
pub async fn list_tiers(app: &App, after: String, rows: i64) -> Result<Vec<Tier>, FlowError> {
    Ok(app.database.read(move |connection| tiers::list(connection, &after, rows)).await?)
}

/// One tier.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find_tier(app: &App, name: String) -> Result<Tier, FlowError> {
    let found = app.database.read(move |connection| tiers::find(connection, &name)).await?;
    found.ok_or(FlowError::NotFound("tier"))
}
