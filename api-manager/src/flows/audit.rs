//! Who did what: one line for each change, on the log target `audit`. Never a secret.

use crate::domain::actor::Actor;

/// Writes the line: the act in the past tense, the thing by its id, and its state before and after.
pub(crate) fn record(actor: &Actor, act: &str, thing: &str, before: &str, after: &str) {
    log::info!(target: "audit", actor = actor.name.as_str(), thing = thing, before = before, after = after; "{act}");
}
