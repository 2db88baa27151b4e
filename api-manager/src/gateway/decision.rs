//! Whether a request may pass, by one table and one set of facts; asked once of a request, and again for as long as a
//! live connection lasts.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Request};
use shared_claims::secret::Digest;

use super::Gateway;
use super::admission::{Presented, Token, admit, presented};
use super::deny;
use super::grant_cache::{Cached, CannotLookUp, Entry};
use super::operations::{Undeclared, is_open};
use super::refusal::Refusal;
use super::routes::Route;
use crate::domain::api::Operation;
use crate::domain::application::KeyType;
use crate::domain::lifecycle::State;

/// What a request asks for, and what it shows: all that a decision needs to know of it.
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its path in canonical form.
    pub path: Box<str>,
    /// What it shows.
    pub presented: Presented,
    /// Where it comes from.
    pub peer: IpAddr,
}

impl Asked {
    /// By a request from `peer` whose path is `path` in canonical form.
    #[must_use]
    pub fn of<B>(request: &Request<B>, path: &str, peer: IpAddr) -> Self {
        let presented = presented(request.headers());
        Self { method: request.method().clone(), path: path.into(), presented, peer }
    }
}

/// What is decided of a request that may pass.
pub struct Decision {
    /// The API.
    pub route: Arc<Route>,
    /// What of it is called.
    pub operation: Arc<Operation>,
    /// Which of its backends are meant.
    pub key_type: KeyType,
    /// What the token stands for, where the operation asks for one.
    pub entry: Option<Arc<Entry>>,
    /// The length of the part of the path that led to the API.
    pub prefix: usize,
}

/// How far a decision came.
pub enum Step {
    /// To its end.
    Decided(Decision),
    /// The grant of this token has to be looked up first.
    Missing(Digest),
}

/// What was looked up: the token's grant, if it has one.
pub type Fetched = Option<Arc<Entry>>;

/// Decides. Where the facts have to be fetched first, the decision begins anew after that: the table may have changed
/// meanwhile. `route` is told the API as soon as it is known to be in service, whatever is decided.
///
/// # Errors
/// The first rule that refuses.
pub async fn decide(
    gateway: &Arc<Gateway>,
    asked: &Asked,
    route: &mut Option<Arc<Route>>,
) -> Result<Decision, Refusal> {
    let mut fetched = None;
    loop {
        match try_decide(gateway, asked, fetched.take(), route)? {
            Step::Decided(decision) => return Ok(decision),
            Step::Missing(digest) => {
                let found = fetch(gateway, digest).await;
                fetched = Some(found.map_err(|CannotLookUp| Refusal::CannotLookUp)?);
            }
        }
    }
}

/// Asks the database for a grant that the cache does not have.
///
/// # Errors
/// [`CannotLookUp`].
pub async fn fetch(gateway: &Gateway, digest: Digest) -> Result<Fetched, CannotLookUp> {
    gateway.grants.look_up(&gateway.app.database, digest).await
}

/// Decides by the table of now, and by what is remembered or was `fetched`.
///
/// # Errors
/// The first rule that refuses.
pub fn try_decide(
    gateway: &Gateway,
    asked: &Asked,
    fetched: Option<Fetched>,
    route: &mut Option<Arc<Route>>,
) -> Result<Step, Refusal> {
    let table = gateway.table.load();
    let found = table.find(&asked.path).filter(|found| found.route.is_in_service());
    let found = found.ok_or(Refusal::NotFound)?;
    let place = route.insert(Arc::clone(found.route));
    if place.state == State::Blocked {
        return Err(Refusal::ApiBlocked);
    }
    let operation =
        place.operations.find(&asked.method, found.rest).map_err(|undeclared| match undeclared {
            Undeclared::Path => Refusal::NotFound,
            Undeclared::Method(allow) => Refusal::MethodNotAllowed(Vec::from_iter(allow).join(", ")),
        })?;

    let now = gateway.app.clock.now();
    if let Some(rule) = table.deny.denies_place(asked.peer, place.id, now) {
        return Err(Refusal::PlaceDenied(rule));
    }

    let mut entry = None;
    let token = match asked.presented {
        _ if is_open(operation) => Token::Missing,
        Presented::Nothing => Token::Missing,
        Presented::Junk => Token::Malformed,
        Presented::Token(digest) => {
            entry = match fetched {
                Some(fetched) => fetched,
                None => match gateway.grants.get(&digest) {
                    Cached::Known(entry) => Some(entry),
                    Cached::Unknown => None,
                    Cached::Miss => return Ok(Step::Missing(digest)),
                },
            };
            entry.as_ref().map_or(Token::Unknown, |entry| Token::Known(&entry.grant))
        }
    };
    let key_type = admit(&table, place, operation, token, now)?;
    let caller = entry.as_deref().map(deny::Caller::of);
    if let Some(rule) = caller.and_then(|caller| table.deny.denies_caller(asked.peer, place.id, caller, now))
    {
        return Err(Refusal::CallerDenied(rule));
    }
    let (route, operation) = (Arc::clone(place), Arc::clone(operation));
    Ok(Step::Decided(Decision { route, operation, key_type, entry, prefix: found.prefix.len() }))
}
