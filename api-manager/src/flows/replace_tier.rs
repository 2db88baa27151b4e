//! An administrator changes a tier.

use shared_claims::clock::UnixTime;

use super::create_tier::{Draft, limit_text};
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::tier::{Tier, UNLIMITED};
use crate::storage::{revisions, tiers};

/// Replaces a tier's description and limit if it is still of the revision `expected`, where one is given.
///
/// # Errors
/// [`FlowError`]: not there, another version; `Unlimited` stays without a limit.
pub async fn replace_tier(
    app: &App,
    actor: &Actor,
    draft: Draft,
    expected: Option<i64>,
    now: UnixTime,
) -> Result<Tier, FlowError> {
    if draft.name == UNLIMITED && draft.limit.is_some() {
        return Err(FlowError::field(
            "requests",
            "cannot be set: Unlimited means no limit; make another tier",
        ));
    }
    let write = app.database.write(move |connection| {
        revisions::bump(connection, revisions::ROUTES)?;
        let present = tiers::find(connection, &draft.name)?.ok_or(FlowError::NotFound("tier"))?;
        FlowError::unless_current(expected, present.revision)?;
        let before = present.limit;
        let tier = Tier {
            description: draft.description,
            limit: draft.limit,
            updated_at: now,
            revision: present.revision + 1,
            ..present
        };
        FlowError::unless_written(tiers::update(connection, &tier, tier.revision - 1)?)?;
        Ok::<_, FlowError>((tier, before))
    });
    let (tier, before) = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "replaced a tier", &tier.name, &limit_text(before), &limit_text(tier.limit));
    Ok(tier)
}
