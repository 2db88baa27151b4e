//! The steps of a decision, as they are shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::check::{Check, CheckState};

/// One step.
#[derive(Serialize, ToSchema)]
pub(super) struct StepReply {
    name: &'static str,
    /// `passed`, `failed` or `not_reached`.
    state: &'static str,
    expected: String,
    seen: Option<String>,
    remedy: Option<&'static str>,
}

impl StepReply {
    pub(super) fn of(check: Check) -> Self {
        let state = match check.state {
            CheckState::Passed => "passed",
            CheckState::Failed => "failed",
            CheckState::NotReached => "not_reached",
        };
        Self { name: check.name, state, expected: check.expected, seen: check.seen, remedy: check.remedy }
    }
}
