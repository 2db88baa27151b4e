//! An administrator removes a tier.

use shared_server::database::StorageError;

use super::create_tier::limit_text;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::tier::UNLIMITED;
use crate::storage::{apis, revisions, tiers};

/// Removes a tier that no API names and nobody is on; `Unlimited` stays.
///
/// # Errors
/// [`FlowError`]: not there, another version, in use.
pub async fn delete_tier(
    app: &App,
    actor: &Actor,
    name: String,
    expected: Option<i64>,
) -> Result<(), FlowError> {
    if name == UNLIMITED {
        return Err(FlowError::conflict("Unlimited stays: applications made at first use are on it"));
    }
    let write = app.database.write(move |connection| {
        revisions::bump(connection, revisions::ROUTES)?;
        let tier = tiers::find(connection, &name)?.ok_or(FlowError::NotFound("tier"))?;
        FlowError::unless_current(expected, tier.revision)?;
        if apis::name_tier(connection, &name)? {
            return Err(FlowError::conflict(
                "APIs offer this tier or are limited by it; take it from them first",
            ));
        }
        let deleted = tiers::delete(connection, &name, tier.revision).map_err(|error| match error {
            StorageError::InUse => FlowError::conflict(
                "applications or subscriptions are on this tier; move them to another one first",
            ),
            other => other.into(),
        })?;
        FlowError::unless_written(deleted)?;
        Ok(tier)
    });
    let tier = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "deleted a tier", &tier.name, &limit_text(tier.limit), "");
    Ok(())
}
