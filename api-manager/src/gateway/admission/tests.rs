//! One refusal, one test.

use std::sync::Arc;

use proptest::prelude::*;
use shared_claims::scope::ScopeSet;

use super::*;
use crate::domain::api::Backends;
use crate::domain::ids::{ApplicationId, IdentityProviderId};
use crate::gateway::routes::tests::{World, api, grant, provider};

const NOW: UnixTime = UnixTime(1_000);

struct Case {
    world: World,
    grant: Grant,
}

/// A token that passes, to be spoilt by one thing at a time.
fn case() -> Case {
    let mut world = World::default();
    let application = ApplicationId::generate();
    world.provides(provider(true));
    world.subscribes(application, SubscriptionState::Active);
    let grant = grant(application, world.provider_id());
    Case { world, grant }
}

impl Case {
    fn admit(&self, token: Token<'_>, change: impl FnOnce(&mut Operation)) -> Result<KeyType, Refusal> {
        let table = self.world.table();
        let route: &Arc<Route> = table.find("/pets/1.0/x").unwrap().route;
        let mut operation = self.world.api.definition.operations[0].clone();
        change(&mut operation);
        admit(&table, route, &operation, token, NOW)
    }

    fn verdict(&self) -> Result<KeyType, Refusal> {
        self.admit(Token::Known(&self.grant), |_| {})
    }
}

#[test]
fn a_live_grant_of_a_subscribed_application_passes() {
    assert_eq!(case().verdict(), Ok(KeyType::Production));
}

#[test]
fn a_token_has_to_be_there_well_formed_and_known() {
    let case = case();
    assert_eq!(case.admit(Token::Missing, |_| {}), Err(Refusal::MissingCredentials));
    assert_eq!(case.admit(Token::Malformed, |_| {}), Err(Refusal::MalformedToken));
    assert_eq!(case.admit(Token::Unknown, |_| {}), Err(Refusal::UnknownToken));
}

#[test]
fn an_open_operation_asks_for_nothing() {
    let case = case();
    for token in [Token::Missing, Token::Malformed, Token::Unknown, Token::Known(&case.grant)] {
        assert_eq!(
            case.admit(token, |operation| operation.auth = OperationAuth::None),
            Ok(KeyType::Production)
        );
    }
}

#[test]
fn an_open_operation_goes_to_the_sandbox_where_there_is_nothing_else() {
    let mut case = case();
    case.world.api.definition.backends =
        Backends { sandbox: vec!["http://sandbox.example".into()], ..Backends::default() };
    assert_eq!(case.admit(Token::Missing, |o| o.auth = OperationAuth::None), Ok(KeyType::Sandbox));
}

#[test]
fn a_revoked_grant_is_refused() {
    let mut case = case();
    case.grant.revoked_at = Some(NOW);
    assert_eq!(case.verdict(), Err(Refusal::RevokedToken));
}

#[test]
fn a_grant_ends_on_its_second() {
    let mut case = case();
    case.grant.expires_at = NOW.plus(1);
    assert!(case.verdict().is_ok());
    case.grant.expires_at = NOW;
    assert_eq!(case.verdict(), Err(Refusal::ExpiredToken));
}

#[test]
fn a_provider_that_is_disabled_or_gone_vouches_for_nobody() {
    let mut disabled = case();
    disabled.world.disables_provider();
    assert_eq!(disabled.verdict(), Err(Refusal::ProviderDisabled));
    let mut gone = case();
    gone.grant.lineage.assertion.as_mut().unwrap().identity_provider_id = IdentityProviderId::generate();
    assert_eq!(gone.verdict(), Err(Refusal::ProviderDisabled));
    gone.grant.lineage.assertion = None;
    assert!(gone.verdict().is_ok());
}

#[test]
fn another_applications_subscription_is_none() {
    let mut case = case();
    case.grant.application_id = ApplicationId::generate();
    assert_eq!(case.verdict(), Err(Refusal::NotSubscribed));
}

#[test]
fn a_blocked_subscription_is_refused() {
    let mut case = case();
    case.world.subscribes(case.grant.application_id, SubscriptionState::Blocked);
    assert_eq!(case.verdict(), Err(Refusal::SubscriptionBlocked));
}

#[test]
fn a_key_type_without_a_backend_is_refused() {
    let mut case = case();
    case.grant.key_type = KeyType::Sandbox;
    assert_eq!(case.verdict(), Err(Refusal::NoEndpoint(KeyType::Sandbox)));
}

#[test]
fn an_operation_for_applications_refuses_people() {
    let mut case = case();
    let ask = |case: &Case| case.admit(Token::Known(&case.grant), |o| o.auth = OperationAuth::Application);
    assert_eq!(ask(&case), Err(Refusal::TokenType));
    case.grant.lineage.assertion = None;
    assert!(ask(&case).is_ok());
}

#[test]
fn any_one_of_the_scopes_will_do() {
    let mut case = case();
    let wanted = ScopeSet::parse("read write").unwrap();
    let ask = |case: &Case| case.admit(Token::Known(&case.grant), |o| o.scopes = wanted.clone());
    case.grant.scopes = ScopeSet::parse("rea reads").unwrap();
    assert_eq!(ask(&case), Err(Refusal::ScopeMissing(wanted.clone())));
    case.grant.scopes = ScopeSet::parse("other write").unwrap();
    assert!(ask(&case).is_ok());
}

fn read(values: &[&[u8]]) -> Presented {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap());
    }
    presented(&headers)
}

#[test]
fn the_scheme_is_read_in_any_case_and_the_token_as_bytes() {
    let token = "0190e0a4-0000-7000-8000-000000000000";
    let expected = Presented::Token(Digest::of(token.as_bytes()));
    for value in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER   {token}")] {
        assert_eq!(read(&[value.as_bytes()]), expected, "{value}");
    }
    for value in ["Bearer", "Bearer ", "bearer x", "Bearer \u{e9}"] {
        assert_eq!(read(&[value.as_bytes()]), Presented::Junk, "{value}");
    }
    let value = format!("Bearer {token}");
    assert_eq!(read(&[value.as_bytes(), value.as_bytes()]), Presented::Junk);
    assert_eq!(read(&[b"Basic eDp5"]), Presented::Nothing);
    assert_eq!(read(&[]), Presented::Nothing);
}

proptest! {
    #[test]
    fn no_header_panics(value in proptest::collection::vec(0x20_u8..0x7f, 0..80)) {
        read(&[&value]);
    }
}

#[test]
fn an_api_is_found_by_its_place() {
    assert_eq!(api().context, "pets");
}
