//! Why the gateway refused a request: its steps in their order, and where it stopped.

use shared_claims::clock::UnixTime;

use super::check::{Check, CheckState};
use super::ids::{ApiId, ApplicationId};

/// A step of the gateway's, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The gateway itself.
    Gateway,
    /// What HTTP asks of a request.
    Request,
    /// The path's form.
    Path,
    /// The API at this path.
    Api,
    /// Where the API is in its life.
    State,
    /// The operation for this method and path.
    Operation,
    /// Rules that deny an address or an API.
    DenyRules,
    /// That there are credentials.
    Credentials,
    /// Their form.
    TokenForm,
    /// That they are known.
    TokenKnown,
    /// That they are not revoked.
    TokenNotRevoked,
    /// That they have not expired.
    TokenNotExpired,
    /// The identity provider behind them.
    Provider,
    /// Where an API key may be used from.
    KeyLimits,
    /// The application's subscription.
    Subscription,
    /// A backend for this type of key.
    Endpoint,
    /// What kind of token the operation takes.
    TokenType,
    /// The scopes that the operation asks for.
    Scopes,
    /// Rules that deny an application or a subject.
    CallerDenyRules,
    /// That the request can be passed on.
    Passage,
    /// Tiers and what the backend can bear.
    Limits,
    /// What the API's OpenAPI document describes.
    Contract,
    /// The body that the client sends.
    RequestBody,
    /// The backend's answer.
    Backend,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 24] = [
        Self::Gateway,
        Self::Request,
        Self::Path,
        Self::Api,
        Self::State,
        Self::Operation,
        Self::DenyRules,
        Self::Credentials,
        Self::TokenForm,
        Self::TokenKnown,
        Self::TokenNotRevoked,
        Self::TokenNotExpired,
        Self::Provider,
        Self::KeyLimits,
        Self::Subscription,
        Self::Endpoint,
        Self::TokenType,
        Self::Scopes,
        Self::CallerDenyRules,
        Self::Passage,
        Self::Limits,
        Self::Contract,
        Self::RequestBody,
        Self::Backend,
    ];

    /// Its name on the wire, and what it asks for where nothing more exact is known.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Gateway => ("gateway", "no fault of the gateway's own"),
            Self::Request => ("request", "a request that keeps HTTP's rules"),
            Self::Path => ("path", "a path that can be read in one way only"),
            Self::Api => ("api", "an API at this path"),
            Self::State => ("state", "an API in service: published or deprecated, not blocked"),
            Self::Operation => ("operation", "a declared operation for this method and path"),
            Self::DenyRules => ("deny_rules", "no deny rule for this address or API"),
            Self::Credentials => ("credentials", "credentials, unless the operation is open to everybody"),
            Self::TokenForm => ("token_form", "credentials in a form that the API takes"),
            Self::TokenKnown => ("token_known", "credentials that were issued here"),
            Self::TokenNotRevoked => ("token_not_revoked", "credentials that are not revoked"),
            Self::TokenNotExpired => ("token_not_expired", "credentials whose time is not over"),
            Self::Provider => ("identity_provider", "an identity provider that is trusted now"),
            Self::KeyLimits => ("key_limits", "a call from where the API key may be used"),
            Self::Subscription => ("subscription", "an active subscription of the application to the API"),
            Self::Endpoint => ("endpoint", "a backend for this type of key"),
            Self::TokenType => ("token_type", "a token of the kind that the operation takes"),
            Self::Scopes => ("scopes", "one of the scopes that the operation asks for, if any"),
            Self::CallerDenyRules => ("caller_deny_rules", "no deny rule for this application or subject"),
            Self::Passage => ("passage", "a request that can be passed on"),
            Self::Limits => ("limits", "no limit is spent"),
            Self::Contract => {
                ("contract", "a call that the API's OpenAPI document describes, where that counts")
            }
            Self::RequestBody => ("request_body", "a body that comes to its end in time"),
            Self::Backend => ("backend", "an answer from the backend in time"),
        }
    }
}

/// What one step saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The step.
    pub step: Step,
    /// What exactly it asked for, where that is known.
    pub expected: Option<Box<str>>,
    /// What it saw.
    pub seen: Box<str>,
}

/// Why a request was refused. Holds no credentials, no query and no backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The request's id, which its caller may have chosen.
    pub request_id: Box<str>,
    /// When it was refused.
    pub at: UnixTime,
    /// Its method.
    pub method: Box<str>,
    /// Its path, cut where it is long.
    pub path: Box<str>,
    /// The status of the answer.
    pub status: u16,
    /// The stable word of the log.
    pub reason: &'static str,
    /// The API, where the path leads to one.
    pub api: Option<ApiId>,
    /// Whose credentials came with it, where that is known.
    pub application: Option<ApplicationId>,
    /// The step that refused.
    pub failed: Step,
    /// What to do.
    pub remedy: &'static str,
    /// What the steps saw.
    pub findings: Vec<Finding>,
}

impl Explanation {
    /// Every step, in order.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        Step::ALL.into_iter().map(|step| self.check(step)).collect()
    }

    fn check(&self, step: Step) -> Check {
        let (name, expected) = step.words();
        let state = match step.cmp(&self.failed) {
            std::cmp::Ordering::Less => CheckState::Passed,
            std::cmp::Ordering::Equal => CheckState::Failed,
            std::cmp::Ordering::Greater => CheckState::NotReached,
        };
        let finding = self.findings.iter().find(|finding| finding.step == step);
        let exact = finding.and_then(|finding| finding.expected.as_deref());
        let seen =
            finding.filter(|_| state != CheckState::NotReached).map(|finding| finding.seen.to_string());
        let remedy = (state == CheckState::Failed).then_some(self.remedy);
        Check { name, state, expected: exact.unwrap_or(expected).to_owned(), seen, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(failed: Step) -> Explanation {
        Explanation {
            request_id: "r".into(),
            at: UnixTime(0),
            method: "GET".into(),
            path: "/".into(),
            status: 403,
            reason: "reason",
            api: None,
            application: None,
            failed,
            remedy: "Do this.",
            findings: Step::ALL.map(|step| Finding { step, expected: None, seen: "x".into() }).to_vec(),
        }
    }

    #[test]
    fn the_steps_stand_in_the_order_in_which_they_are_compared() {
        assert!(Step::ALL.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn what_comes_after_the_failed_step_was_not_reached_and_saw_nothing() {
        for failed in Step::ALL {
            let checks = explanation(failed).checks();
            let place = checks.iter().position(|check| check.state == CheckState::Failed).unwrap();
            assert_eq!(checks[place].name, failed.words().0);
            assert_eq!(checks[place].remedy, Some("Do this."));
            assert!(checks[..place].iter().all(|c| c.state == CheckState::Passed && c.remedy.is_none()));
            assert!(
                checks[place + 1..].iter().all(|c| c.state == CheckState::NotReached && c.seen.is_none())
            );
        }
    }
}
