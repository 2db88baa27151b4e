//! One refusal, one test.

use std::sync::Arc;

use shared_claims::scope::ScopeSet;

use super::*;
use crate::domain::api::Backends;
use crate::domain::api_key::{Draft, NotFromHere, generate};
use crate::domain::by_grant::ByGrant;
use crate::domain::grant::Grant;
use crate::domain::ids::{ApplicationId, IdentityProviderId};
use crate::domain::scheme::Schemes;
use crate::gateway::routes::tests::{World, api, grant, provider};

const NOW: UnixTime = UnixTime(1_000);

struct Case {
    world: World,
    grant: Grant,
}

fn here() -> CalledFrom {
    CalledFrom { peer: "192.0.2.1".parse().unwrap(), page: None }
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

    fn principal(&self) -> Principal {
        Principal::Grant(ByGrant::of(&self.grant))
    }

    fn verdict(&self) -> Result<KeyType, Refusal> {
        self.admit(Token::Known(&self.principal(), &here()), |_| {})
    }
}

#[test]
fn a_live_grant_of_a_subscribed_application_passes() {
    assert_eq!(case().verdict(), Ok(KeyType::Production));
}

#[test]
fn a_token_has_to_be_there_well_formed_and_known() {
    let case = case();
    assert_eq!(case.admit(Token::Missing, |_| {}), Err(Refusal::MissingCredentials(Schemes::default())));
    assert_eq!(case.admit(Token::Malformed, |_| {}), Err(Refusal::MalformedToken));
    assert_eq!(case.admit(Token::Several, |_| {}), Err(Refusal::SeveralCredentials));
    assert_eq!(case.admit(Token::Unknown, |_| {}), Err(Refusal::UnknownToken));
}

#[test]
fn an_open_operation_asks_for_nothing() {
    let case = case();
    let (principal, here) = (case.principal(), here());
    for token in
        [Token::Missing, Token::Malformed, Token::Several, Token::Unknown, Token::Known(&principal, &here)]
    {
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
    let ask = |case: &Case| {
        case.admit(Token::Known(&case.principal(), &here()), |o| o.auth = OperationAuth::Application)
    };
    assert_eq!(ask(&case), Err(Refusal::TokenType));
    case.grant.lineage.assertion = None;
    assert!(ask(&case).is_ok());
}

#[test]
fn any_one_of_the_scopes_will_do() {
    let mut case = case();
    let wanted = ScopeSet::parse("read write").unwrap();
    let ask =
        |case: &Case| case.admit(Token::Known(&case.principal(), &here()), |o| o.scopes = wanted.clone());
    case.grant.scopes = ScopeSet::parse("rea reads").unwrap();
    assert_eq!(ask(&case), Err(Refusal::ScopeMissing(wanted.clone())));
    case.grant.scopes = ScopeSet::parse("other write").unwrap();
    assert!(ask(&case).is_ok());
}

#[test]
fn an_api_key_stands_for_its_application_and_has_no_scopes() {
    let mut case = case();
    let draft = Draft {
        name: "key".to_owned(),
        key_type: KeyType::Production,
        expires_in: Some(10),
        allowed_ips: Vec::new(),
        allowed_referers: Vec::new(),
    };
    let made = NOW.minus(9);
    let mut key = draft.into_key(case.grant.application_id, &generate().unwrap(), made);
    let ask = |case: &Case, key: &crate::domain::api_key::ApiKey, change: fn(&mut Operation)| {
        case.admit(Token::Known(&Principal::of_api_key(key.clone()), &here()), change)
    };
    let scoped: fn(&mut Operation) = |o| o.scopes = ScopeSet::parse("read").unwrap();
    assert_eq!(ask(&case, &key, |_| {}), Ok(KeyType::Production));
    assert_eq!(ask(&case, &key, |o| o.auth = OperationAuth::Application), Ok(KeyType::Production));
    assert!(matches!(ask(&case, &key, scoped), Err(Refusal::ScopeMissing(_))));

    key.allowed_ips = vec![crate::domain::deny::AddressRange::parse("192.0.2.2").unwrap()];
    assert_eq!(ask(&case, &key, |_| {}), Err(Refusal::NotFromHere(NotFromHere::Address)));
    key.expires_at = Some(NOW);
    assert_eq!(ask(&case, &key, |_| {}), Err(Refusal::ExpiredToken));
    key.expires_at = None;
    key.allowed_ips.clear();
    case.world.subscribes(key.application_id, SubscriptionState::Blocked);
    assert_eq!(ask(&case, &key, |_| {}), Err(Refusal::SubscriptionBlocked));
}

#[test]
fn an_api_is_found_by_its_place() {
    assert_eq!(api().context, "pets");
}
