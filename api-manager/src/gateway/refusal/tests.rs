//! Codes and challenges.

use super::*;

fn challenge(refusal: &Refusal) -> String {
    let response = refusal.response();
    response.headers().get(WWW_AUTHENTICATE).map_or("", |value| value.to_str().unwrap()).to_owned()
}

#[test]
fn missing_credentials_are_challenged_without_an_error() {
    let missing = Refusal::MissingCredentials(Schemes::default());
    assert_eq!(challenge(&missing), REALM);
    assert_eq!(missing.words().0, "900902");
    assert!(missing.words().2.ends_with("a header: 'Authorization: Bearer ACCESS_TOKEN'"));
}

#[test]
fn an_invalid_token_is_named_as_such_whatever_is_wrong_with_it() {
    let all =
        [Refusal::UnknownToken, Refusal::ExpiredToken, Refusal::RevokedToken, Refusal::ProviderDisabled];
    for refusal in all {
        assert_eq!(challenge(&refusal), challenge(&Refusal::MalformedToken));
        assert_eq!(refusal.words(), Refusal::MalformedToken.words());
        assert!(challenge(&refusal).contains("error=\"invalid_token\""));
    }
}

#[test]
fn a_missing_scope_is_named() {
    let refusal = Refusal::ScopeMissing(ScopeSet::parse("b a").unwrap());
    assert!(challenge(&refusal).ends_with("scope=\"a b\""));
    assert!(challenge(&refusal).contains("error=\"insufficient_scope\""));
}

#[test]
fn every_401_and_403_carries_a_challenge_and_nothing_else_does() {
    for refusal in [
        Refusal::TokenType,
        Refusal::SubscriptionBlocked,
        Refusal::NotSubscribed,
        Refusal::NoEndpoint(KeyType::Sandbox),
    ] {
        assert!(challenge(&refusal).starts_with("Bearer realm="), "{refusal:?}");
    }
    for refusal in [Refusal::NotFound, Refusal::BackendTimeout, Refusal::CannotLookUp, Refusal::ApiBlocked] {
        assert_eq!(challenge(&refusal), "", "{refusal:?}");
    }
}
