//! Whether a request may pass, by one table and one set of facts; asked once of a request, and again for as long as a
//! live connection lasts.

use std::sync::Arc;

use http::Method;

use super::Gateway;
use super::admission::{Token, admit};
use super::credentials::{Choice, Credential, Presented};
use super::deny;
use super::grant_cache::{Cached, CannotLookUp, Entry};
use super::operations::Undeclared;
use super::refusal::Refusal;
use super::resolve::Wanted;
use super::routes::{Found, Route, RouteTable};
use super::subscribers::Subscriber;
use crate::domain::api::Operation;
use crate::domain::application::KeyType;
use crate::domain::lifecycle::State;
use crate::ticker::Moment;

/// What a request asks for, and what it shows: all that a decision needs to know of it.
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its path in canonical form.
    pub path: Box<str>,
    /// What it shows, and where it comes from.
    pub presented: Presented,
}

/// What is decided of a request that may pass.
pub struct Decision {
    /// The API.
    pub route: Arc<Route>,
    /// What of it is called.
    pub operation: Arc<Operation>,
    /// Which of its backends are meant.
    pub key_type: KeyType,
    /// What the credentials stand for, where the operation asks for one.
    pub entry: Option<Arc<Entry>>,
    /// The application that calls, in that case.
    pub subscriber: Option<Arc<Subscriber>>,
    /// The length of the part of the path that led to the API.
    pub prefix: usize,
    /// When it was decided.
    pub at: Moment,
}

/// How far a decision came.
pub enum Step {
    /// To its end.
    Decided(Decision),
    /// What this stands for has to be looked up first.
    Missing(Credential),
}

/// What was looked up: what this credential stands for, if anything. It says nothing of any other: the API may ask for another
/// one of those that were shown meanwhile.
pub type Fetched = (Credential, Option<Arc<Entry>>);

/// What is known of credentials before a decision begins.
pub enum Facts {
    /// Nothing: the cache is asked.
    None,
    /// What was looked up because the cache did not know it.
    Fetched(Fetched),
    /// What the cache said of this credential at the same moment.
    Remembered(Credential, Cached),
}

/// Takes a decision to its end. Where facts have to be fetched first, it begins anew after that: the table may have changed
/// meanwhile.
///
/// # Errors
/// The first rule that refuses.
pub async fn decide(
    gateway: &Arc<Gateway>,
    asked: &Asked,
    mut step: Step,
    route: &mut Option<Arc<Route>>,
) -> Result<Decision, Refusal> {
    loop {
        match step {
            Step::Decided(decision) => return Ok(decision),
            Step::Missing(credential) => {
                let found = fetch(gateway, asked, credential).await;
                let found = found.map_err(|CannotLookUp| Refusal::CannotLookUp)?;
                step = try_decide(gateway, asked, Facts::Fetched(found), route)?;
            }
        }
    }
}

/// Finds out what a credential stands for that the cache does not know.
///
/// # Errors
/// [`CannotLookUp`].
pub async fn fetch(
    gateway: &Gateway,
    asked: &Asked,
    credential: Credential,
) -> Result<Fetched, CannotLookUp> {
    let Some(wanted) = Wanted::of(credential, asked.presented.jwt(), &gateway.table.load()) else {
        return Ok((credential, None));
    };
    Ok((credential, gateway.grants.look_up(&gateway.app, wanted).await?))
}

/// As [`decide_at`], by the table of now.
///
/// # Errors
/// The first rule that refuses.
pub fn try_decide(
    gateway: &Gateway,
    asked: &Asked,
    facts: Facts,
    route: &mut Option<Arc<Route>>,
) -> Result<Step, Refusal> {
    let table = gateway.table.load();
    let now = Moment::now(&gateway.app.clock);
    decide_at(gateway, (&table, table.find(&asked.path)), (asked, facts), route, now)
}

/// Decides at the place that was found in a table, by these facts and what is remembered. `route` is told the API as soon as it is
/// known to be in service, whatever is decided.
///
/// # Errors
/// The first rule that refuses.
pub fn decide_at(
    gateway: &Gateway,
    (table, found): (&RouteTable, Option<Found<'_, '_>>),
    (asked, facts): (&Asked, Facts),
    route: &mut Option<Arc<Route>>,
    at: Moment,
) -> Result<Step, Refusal> {
    let found = found.filter(|found| found.route.is_in_service()).ok_or(Refusal::NotFound)?;
    let place = route.insert(Arc::clone(found.route));
    if place.state == State::Blocked {
        return Err(Refusal::ApiBlocked);
    }
    let choice = asked.presented.choose(place.security);
    let (cached, fetched) = match (&choice, facts) {
        (Choice::One(chosen), Facts::Fetched((credential, entry))) if *chosen == credential => (None, entry),
        (Choice::One(chosen), Facts::Remembered(credential, cached)) if *chosen == credential => {
            (Some(cached), None)
        }
        (Choice::One(chosen), _) => (Some(gateway.grants.get(chosen, at.instant)), None),
        _ => (None, None),
    };
    let subscriber_of = |entry: &Arc<Entry>| table.subscriber(entry.principal.application_id());
    let subscriber = match &cached {
        Some(Cached::Known(entry)) => subscriber_of(entry),
        _ => None,
    };

    let declared =
        place.operations.find(&asked.method, found.rest).map_err(|undeclared| match undeclared {
            Undeclared::Path => Refusal::NotFound,
            Undeclared::Method(allow) => Refusal::MethodNotAllowed(Vec::from_iter(allow).join(", ")),
        })?;

    let now = at.date;
    if let Some(rule) = table.deny.denies_place(asked.presented.from.peer, place.id, now) {
        return Err(Refusal::PlaceDenied(rule));
    }

    let mut entry = None;
    let token = match choice {
        _ if declared.is_open => Token::Missing,
        Choice::Nothing => Token::Missing,
        Choice::Junk => Token::Malformed,
        Choice::Several => Token::Several,
        Choice::One(credential) => {
            entry = match cached {
                None => fetched,
                Some(Cached::Known(entry)) if table.is_ahead_of(&entry.principal) => {
                    gateway.grants.forget_one(&credential);
                    return Ok(Step::Missing(credential));
                }
                Some(Cached::Known(entry)) => Some(entry),
                Some(Cached::Unknown) => None,
                Some(Cached::Miss) => return Ok(Step::Missing(credential)),
            };
            let from = &asked.presented.from;
            entry.as_ref().map_or(Token::Unknown, |entry| Token::Known(&entry.principal, from))
        }
    };
    let operation = &declared.operation;
    let key_type = admit(table, place, operation, token, now)?;
    let caller = entry.as_deref().filter(|_| table.deny.names_callers()).map(deny::Caller::of);
    if let Some(rule) =
        caller.and_then(|caller| table.deny.denies_caller(asked.presented.from.peer, place.id, &caller, now))
    {
        return Err(Refusal::CallerDenied(rule));
    }
    let subscriber = entry.as_ref().and_then(|entry| subscriber.or_else(|| subscriber_of(entry))).cloned();
    let (route, operation) = (Arc::clone(place), Arc::clone(operation));
    Ok(Step::Decided(Decision {
        route,
        operation,
        key_type,
        entry,
        subscriber,
        prefix: found.prefix.len(),
        at,
    }))
}
