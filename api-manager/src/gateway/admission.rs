//! Whether a request may pass: plain rules over plain facts, each asked of every request.

use shared_claims::clock::UnixTime;

use super::credentials::CalledFrom;
use super::refusal::Refusal;
use super::routes::{Route, RouteTable};
use crate::domain::api::{Operation, OperationAuth};
use crate::domain::application::KeyType;
use crate::domain::principal::Principal;
use crate::domain::subscription::SubscriptionState;

/// What is known about the credentials that came.
#[derive(Clone, Copy, Debug)]
pub enum Token<'g> {
    /// There were none.
    Missing,
    /// They were none of ours.
    Malformed,
    /// There was more than one thing.
    Several,
    /// They look right, but stand for nothing.
    Unknown,
    /// Who they stand for, and where the call comes from.
    Known(&'g Principal, &'g CalledFrom),
}

/// Decides whether the call may pass, and to which backends.
///
/// # Errors
/// The first rule that refuses.
pub fn admit(
    table: &RouteTable,
    route: &Route,
    operation: &Operation,
    token: Token<'_>,
    now: UnixTime,
) -> Result<KeyType, Refusal> {
    if operation.auth == OperationAuth::None {
        let production = route.serves(KeyType::Production);
        return Ok(if production { KeyType::Production } else { KeyType::Sandbox });
    }
    let (caller, from) = match token {
        Token::Missing => return Err(Refusal::MissingCredentials(route.security)),
        Token::Malformed => return Err(Refusal::MalformedToken),
        Token::Several => return Err(Refusal::SeveralCredentials),
        Token::Unknown => return Err(Refusal::UnknownToken),
        Token::Known(caller, from) => (caller, from),
    };

    if caller.revoked_at().is_some() {
        return Err(Refusal::RevokedToken);
    }
    if caller.has_expired(now) {
        return Err(Refusal::ExpiredToken);
    }
    // A provider that is gone is not trusted either: its grants are revoked, and this says so already before.
    if caller.origin().is_some_and(|origin| !table.trusts(origin.identity_provider_id)) {
        return Err(Refusal::ProviderDisabled);
    }
    if let Principal::ApiKey(own) = caller {
        own.by.allows(from.peer, from.page.as_deref()).map_err(Refusal::NotFromHere)?;
    }
    let subscriber = table.subscriber(caller.application_id());
    match subscriber.and_then(|subscriber| subscriber.at(route.id)).map(|right| right.state) {
        None => return Err(Refusal::NotSubscribed),
        Some(SubscriptionState::Blocked) => return Err(Refusal::SubscriptionBlocked),
        Some(SubscriptionState::Active) => {}
    }
    if !route.serves(caller.key_type()) {
        return Err(Refusal::NoEndpoint(caller.key_type()));
    }
    if operation.auth == OperationAuth::Application && caller.origin().is_some() {
        return Err(Refusal::TokenType);
    }
    let scopes = caller.scopes();
    if !operation.scopes.is_empty() && !operation.scopes.iter().any(|scope| scopes.contains(scope)) {
        return Err(Refusal::ScopeMissing(operation.scopes.clone()));
    }
    Ok(caller.key_type())
}

#[cfg(test)]
mod tests;
