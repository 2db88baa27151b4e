//! What a refusal looks like to those who may ask why: built once for each refusal, from the facts of that moment.

use std::sync::Arc;

use http::{HeaderValue, Method};
use tokio::time::Instant;

use super::Gateway;
use super::credentials::Choice;
use super::decision::Asked;
use super::grant_cache::Cached;
use super::operations::is_open;
use super::refusal::Refusal;
use super::routes::{Route, RouteTable};
use super::upstream::NoBackend;
use crate::domain::api::{Operation, OperationAuth};
use crate::domain::explanation::{Explanation, Finding, Step};
use crate::domain::ids::ApplicationId;
use crate::domain::principal::Principal;
use crate::domain::scheme::Scheme;

/// The longest part of a path that is kept, in characters.
const LONGEST_PATH: usize = 256;

/// A request that is refused.
pub struct Refused<'r> {
    /// Its id.
    pub request_id: &'r HeaderValue,
    /// Its method.
    pub method: &'r Method,
    /// Its path as it came, where nothing better is known.
    pub path: &'r str,
    /// What it asked for, where that could be read.
    pub asked: Option<&'r Asked>,
    /// Why.
    pub refusal: &'r Refusal,
}

/// Who called what, as far as a refused request lets it be known.
#[derive(Clone, Debug, Default)]
pub struct Party {
    /// Whose credentials came.
    pub application: Option<ApplicationId>,
    /// What was called.
    pub operation: Option<Arc<Operation>>,
}

/// Keeps a refusal for those who may ask, and says who called what.
pub fn note(gateway: &Gateway, refused: &Refused<'_>) -> Party {
    let (explanation, operation) = explain(gateway, refused);
    let application = explanation.application;
    gateway.app.decisions.note(explanation);
    Party { application, operation }
}

fn explain(gateway: &Gateway, refused: &Refused<'_>) -> (Explanation, Option<Arc<Operation>>) {
    let Refused { request_id, method, path, asked, refusal } = *refused;
    let mut findings = Findings::default();
    let mut explanation = Explanation {
        request_id: request_id.to_str().unwrap_or_default().into(),
        at: gateway.app.clock.now(),
        method: method.as_str().into(),
        path: asked.map_or(path, |asked| &asked.path).chars().take(LONGEST_PATH).collect(),
        status: refusal.status().as_u16(),
        reason: refusal.reason(),
        api: None,
        application: None,
        failed: Step::Api,
        remedy: "",
        findings: Vec::new(),
    };
    let table = gateway.table.load();
    let mut called = None;
    let found = asked.and_then(|asked| Some((asked, table.find(&asked.path)?)));
    if let Some((asked, found)) = &found {
        let route = found.route;
        explanation.api = Some(route.id);
        findings.route(route, found.prefix);
        called = route
            .operations
            .find(&asked.method, found.rest)
            .ok()
            .map(|declared| Arc::clone(&declared.operation));
        let operation = called.as_deref();
        if let Some(operation) = operation {
            findings.operation(operation);
        }
        let choice = asked.presented.choose(route.security);
        let entry = match &choice {
            Choice::One(credential) => match gateway.grants.get(credential, Instant::now()) {
                Cached::Known(entry) => Some(entry),
                Cached::Unknown | Cached::Miss => None,
            },
            Choice::Nothing | Choice::Junk | Choice::Several => None,
        };
        match operation.filter(|operation| is_open(operation)) {
            Some(_) => findings.nobody_asked(),
            None => findings.credentials(&choice),
        }
        if let Some(entry) = &entry {
            explanation.application = Some(entry.principal.application_id());
            findings.caller(&entry.principal, (&table, route), operation);
        }
    }
    let in_service = found.as_ref().is_some_and(|(_, found)| found.route.is_in_service());
    let (failed, remedy) = match refusal {
        Refusal::NotFound if in_service => (Step::Operation, DECLARE),
        Refusal::NotFound if found.is_some() => (Step::State, PUBLISH),
        other => verdict(other),
    };
    // What the rule itself says of what it saw is more exact than what is known besides.
    findings.or(failed, &refusal.to_string());
    explanation.failed = failed;
    explanation.remedy = remedy;
    explanation.findings = findings.0;
    (explanation, called)
}

const DECLARE: &str = "Declare an operation for this method and path, or call one that is declared.";
const PUBLISH: &str = "Publish the API.";

/// The step that refused, and what to do.
fn verdict(refusal: &Refusal) -> (Step, &'static str) {
    match refusal {
        Refusal::Malformed(_) | Refusal::Expectation => {
            (Step::Request, "Send a request that keeps HTTP's rules.")
        }
        Refusal::Path(_) => (Step::Path, "Send the path in its plain form."),
        Refusal::NotFound => (Step::Api, "Check context and version, and whether the API is published."),
        Refusal::ApiBlocked => (Step::State, "Republish the API, or wait until its publisher does."),
        Refusal::MethodNotAllowed(_) => (Step::Operation, DECLARE),
        Refusal::PlaceDenied(_) => {
            (Step::DenyRules, "Ask an administrator about the rule: it names the address or the API.")
        }
        Refusal::CallerDenied(_) => (
            Step::CallerDenyRules,
            "Ask an administrator about the rule: it names the application or the subject.",
        ),
        Refusal::MissingCredentials(_) => {
            (Step::Credentials, "Send credentials of a scheme that the API's security names.")
        }
        Refusal::SeveralCredentials => {
            (Step::Credentials, "Send one kind of credentials, and leave the others out.")
        }
        Refusal::NotFromHere(_) => {
            (Step::KeyLimits, "Make a key for calls from there, or call from where the key is good.")
        }
        Refusal::MalformedToken => (Step::TokenForm, "Send one token or key, exactly as it was issued."),
        Refusal::UnknownToken => (
            Step::TokenKnown,
            "Get a token or key from this API manager (a key may have been revoked); for a JWT, ask identity-providers/check, and map its client.",
        ),
        Refusal::CannotLookUp => (Step::TokenKnown, "Try again in a moment: the database cannot be asked."),
        Refusal::RevokedToken => (Step::TokenNotRevoked, "Get a new token."),
        Refusal::ExpiredToken => (Step::TokenNotExpired, "Get a new token or key."),
        Refusal::ProviderDisabled => {
            (Step::Provider, "Ask an administrator to enable the identity provider.")
        }
        Refusal::NotSubscribed => (Step::Subscription, "Subscribe the application to this API."),
        Refusal::SubscriptionBlocked => {
            (Step::Subscription, "Ask the API's publisher to unblock the subscription.")
        }
        Refusal::NoEndpoint(_) => {
            (Step::Endpoint, "Use a key of the other type, or give the API a backend for this one.")
        }
        Refusal::TokenType => {
            (Step::TokenType, "Use a token that the application got for itself (client_credentials).")
        }
        Refusal::ScopeMissing(_) => (Step::Scopes, "Get an access token with one of the scopes."),
        Refusal::Loop => (Step::Passage, "Point the API's backend at something other than this gateway."),
        Refusal::WebSocketVersion => (Step::Passage, "Open the WebSocket in version 13."),
        Refusal::Throttled(_) => (Step::Limits, "Wait as long as Retry-After says, or choose a wider tier."),
        Refusal::Contract(breach) => (Step::Contract, breach.remedy()),
        Refusal::UploadTimeout | Refusal::UploadBroken => {
            (Step::RequestBody, "Send the whole body, without long pauses.")
        }
        Refusal::NoBackend(NoBackend::Unavailable) => (
            Step::Backend,
            "See why the API's backends fail their health checks, or give one that is drained a weight.",
        ),
        Refusal::NoBackend(NoBackend::Busy) => {
            (Step::Backend, "Try again in a moment, add a backend, or widen the API's circuit breaker.")
        }
        Refusal::BackendUnreachable => {
            (Step::Backend, "See whether the API's backend runs and takes connections from the gateway.")
        }
        Refusal::BackendBroken => {
            (Step::Backend, "See the gateway's log by the request ID, and the backend's.")
        }
        Refusal::BackendTimeout => {
            (Step::Backend, "See why the backend is slow, or raise the API's timeouts.")
        }
        Refusal::Fault => (Step::Gateway, "See the gateway's log by the request ID."),
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn saw(&mut self, step: Step, seen: impl Into<Box<str>>) {
        self.0.push(Finding { step, expected: None, seen: seen.into() });
    }

    fn asked(&mut self, step: Step, expected: String, seen: impl Into<Box<str>>) {
        self.0.push(Finding { step, expected: Some(expected.into()), seen: seen.into() });
    }

    /// Notes what `step` saw where that is not known yet.
    fn or(&mut self, step: Step, seen: &str) {
        if !self.0.iter().any(|finding| finding.step == step) {
            self.saw(step, seen);
        }
    }

    fn route(&mut self, route: &Route, prefix: &str) {
        self.saw(Step::Api, format!("the API at {}", prefix.chars().take(LONGEST_PATH).collect::<String>()));
        self.saw(Step::State, route.state.as_str());
    }

    fn operation(&mut self, operation: &Operation) {
        self.saw(Step::Operation, format!("{} {}", operation.method, operation.path));
    }

    /// The operation is open: credentials are not looked at.
    fn nobody_asked(&mut self) {
        for step in Step::ALL.into_iter().filter(|step| (Step::Credentials..=Step::Scopes).contains(step)) {
            self.saw(step, "not asked for: the operation is open to everybody");
        }
    }

    fn credentials(&mut self, choice: &Choice) {
        match choice {
            Choice::Nothing => self.saw(Step::Credentials, "none"),
            Choice::Several => self.saw(Step::Credentials, "more than one kind"),
            Choice::Junk => {
                self.saw(Step::Credentials, "some");
                self.saw(Step::TokenForm, "something that is no token of ours, or several");
            }
            Choice::One(credential) => {
                let kind = match credential.scheme {
                    Scheme::Token => "a Bearer token",
                    Scheme::ApiKey => "an API key",
                    Scheme::Jwt => "a JWT as Bearer",
                    Scheme::ClientCertificate => "a client certificate",
                };
                self.saw(Step::Credentials, kind);
                let start: String = credential.digest.hex().chars().take(8).collect();
                self.saw(Step::TokenForm, format!("one whose SHA-256 begins with {start}"));
            }
        }
    }

    fn caller(
        &mut self,
        caller: &Principal,
        (table, route): (&RouteTable, &Route),
        operation: Option<&Operation>,
    ) {
        self.saw(Step::TokenKnown, format!("issued at {}", caller.issued_at().rfc3339()));
        let revoked = caller.revoked_at().map(|at| format!("revoked at {}", at.rfc3339()));
        self.saw(Step::TokenNotRevoked, revoked.unwrap_or_else(|| "not revoked".to_owned()));
        let ends = caller.expires_at().map(|at| format!("expires at {}", at.rfc3339()));
        self.saw(Step::TokenNotExpired, ends.unwrap_or_else(|| "never expires".to_owned()));
        let origin = caller.origin();
        let provider = origin.map_or("none: the application itself", |origin| origin.issuer);
        self.saw(Step::Provider, provider);
        let subscriber = table.subscriber(caller.application_id());
        let subscription = match subscriber.and_then(|subscriber| subscriber.at(route.id)) {
            None => "none".to_owned(),
            Some(right) => format!("{}, on the tier {}", right.state.as_str(), right.tier.name),
        };
        self.saw(Step::Subscription, subscription);
        self.saw(Step::Endpoint, format!("a {} key", caller.key_type().as_str()));
        let Some(operation) = operation else { return };
        let kind = if origin.is_some() { "a person's token" } else { "the application's own" };
        let wanted = match operation.auth {
            OperationAuth::Application => "an application's token",
            OperationAuth::Token | OperationAuth::None => "any token",
        };
        self.asked(Step::TokenType, wanted.to_owned(), kind);
        let (wanted, has) = (&operation.scopes, caller.scopes());
        let wanted = if wanted.is_empty() { "none".to_owned() } else { format!("one of: {wanted}") };
        self.asked(Step::Scopes, wanted, if has.is_empty() { "none".to_owned() } else { has.to_string() });
    }
}
