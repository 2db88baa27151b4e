//! An administrator makes a tier.

use shared_claims::clock::UnixTime;

use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::tier::{Limit, Tier};
use crate::storage::{revisions, tiers};

/// What an administrator says about a tier.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// The limit, if any.
    pub limit: Option<Limit>,
}

/// Makes a tier.
///
/// # Errors
/// [`FlowError::Conflict`] where the name is taken.
pub async fn create_tier(app: &App, actor: &Actor, draft: Draft, now: UnixTime) -> Result<Tier, FlowError> {
    let tier = Tier {
        name: draft.name,
        description: draft.description,
        limit: draft.limit,
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    let write = app.database.write(move |connection| {
        revisions::bump(connection, revisions::ROUTES)?;
        tiers::insert(connection, &tier).map_err(|error| {
            FlowError::or_conflict(error, || format!("there is a tier {} already", tier.name))
        })?;
        Ok::<_, FlowError>(tier)
    });
    let tier = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "created a tier", &tier.name, "", &limit_text(tier.limit));
    Ok(tier)
}

pub(super) fn limit_text(limit: Option<Limit>) -> String {
    limit.map_or_else(
        || "unlimited".to_owned(),
        |limit| format!("{} in {} s", limit.requests, limit.per_seconds),
    )
}
