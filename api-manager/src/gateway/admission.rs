//! Whether a request may pass: plain rules over plain facts, each asked of every request.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared_claims::clock::UnixTime;
use shared_claims::opaque;
use shared_claims::secret::Digest;

use super::refusal::Refusal;
use super::routes::{Route, RouteTable};
use crate::domain::api::{Operation, OperationAuth};
use crate::domain::application::KeyType;
use crate::domain::grant::Grant;
use crate::domain::subscription::SubscriptionState;

/// What came in the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// No Bearer credentials.
    Nothing,
    /// Something that is no token of ours.
    Junk,
    /// A well-formed token, by its digest.
    Token(Digest),
}

/// Reads the Bearer token (RFC 6750, section 2.1). The scheme's case does not matter, every other byte does.
#[must_use]
pub fn presented(headers: &HeaderMap) -> Presented {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Presented::Nothing };
    if values.next().is_some() {
        return Presented::Junk;
    }
    let value = value.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at_checked(space).unwrap_or((value, &[]));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Presented::Nothing;
    }
    opaque::presented(token.trim_ascii_start()).map_or(Presented::Junk, Presented::Token)
}

/// What is known about the token that came.
#[derive(Clone, Copy, Debug)]
pub enum Token<'g> {
    /// There was none.
    Missing,
    /// It was no token of ours.
    Malformed,
    /// No grant belongs to it.
    Unknown,
    /// The grant that it stands for.
    Known(&'g Grant),
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
    let grant = match token {
        Token::Missing => return Err(Refusal::MissingCredentials),
        Token::Malformed => return Err(Refusal::MalformedToken),
        Token::Unknown => return Err(Refusal::UnknownToken),
        Token::Known(grant) => grant,
    };

    if grant.revoked_at.is_some() {
        return Err(Refusal::RevokedToken);
    }
    if grant.expires_at <= now {
        return Err(Refusal::ExpiredToken);
    }
    // A provider that is gone is not trusted either: its grants are revoked, and this says so already before.
    if grant.lineage.assertion.as_ref().is_some_and(|origin| !table.trusts(origin.identity_provider_id)) {
        return Err(Refusal::ProviderDisabled);
    }
    match route.subscribers.get(&grant.application_id).map(|subscriber| subscriber.state) {
        None => return Err(Refusal::NotSubscribed),
        Some(SubscriptionState::Blocked) => return Err(Refusal::SubscriptionBlocked),
        Some(SubscriptionState::Active) => {}
    }
    if !route.serves(grant.key_type) {
        return Err(Refusal::NoEndpoint(grant.key_type));
    }
    if operation.auth == OperationAuth::Application && grant.lineage.assertion.is_some() {
        return Err(Refusal::TokenType);
    }
    if !operation.scopes.is_empty() && !operation.scopes.iter().any(|scope| grant.scopes.contains(scope)) {
        return Err(Refusal::ScopeMissing(operation.scopes.clone()));
    }
    Ok(grant.key_type)
}

#[cfg(test)]
mod tests;
