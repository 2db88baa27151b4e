//! Whom the gateway keeps away, whatever else would let them in.

pub mod address;

use shared_claims::clock::UnixTime;

pub use address::AddressRange;

use super::ids::{ApiId, ApplicationId, DenyRuleId};

/// The most rules that there may be.
pub const MOST: i64 = 10_000;

/// A rule: calls to which all of its conditions apply are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyRule {
    /// Its id.
    pub id: DenyRuleId,
    /// What it applies to.
    pub conditions: Conditions,
    /// Whether it counts.
    pub enabled: bool,
    /// Why it was made; for administrators only.
    pub reason: String,
    /// The first moment at which it no longer counts.
    pub expires_at: Option<UnixTime>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// Conditions, all of which have to apply; at least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Where the call comes from.
    pub addresses: Option<AddressRange>,
    /// Whose credentials come with it.
    pub application: Option<ApplicationId>,
    /// Whom they stand for.
    pub subject: Option<Subject>,
    /// What is called.
    pub api: Option<ApiId>,
}

/// A subject: of one issuer, or of whatever issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// As the credentials name it.
    pub name: String,
    /// Who vouched for it.
    pub issuer: Option<String>,
}

impl Conditions {
    /// Whether there is none, so that everything would be denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an administrator says about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it applies to.
    pub conditions: Conditions,
    /// Whether it counts.
    pub enabled: bool,
    /// Why.
    pub reason: String,
    /// The first moment at which it no longer counts.
    pub expires_at: Option<UnixTime>,
}

impl Draft {
    /// The rule.
    #[must_use]
    pub fn into_rule(self, now: UnixTime) -> DenyRule {
        DenyRule {
            id: DenyRuleId::generate(),
            conditions: self.conditions,
            enabled: self.enabled,
            reason: self.reason,
            expires_at: self.expires_at,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }
}

impl DenyRule {
    /// What the rule applies to, for the audit log.
    #[must_use]
    pub fn summary(&self) -> String {
        let Conditions { addresses, application, subject, api } = &self.conditions;
        let parts = [
            addresses.map(|range| format!("ip {range}")),
            application.map(|id| format!("application {id}")),
            subject.as_ref().map(|subject| format!("subject {:?} of {:?}", subject.name, subject.issuer)),
            api.map(|id| format!("API {id}")),
            (!self.enabled).then(|| "disabled".to_owned()),
            self.expires_at.map(|at| format!("until {}", at.rfc3339())),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
