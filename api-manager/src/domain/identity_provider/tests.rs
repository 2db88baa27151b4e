use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shared_claims::claims::ClaimSet;
use shared_claims::secret::Digest;

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn provider() -> IdentityProvider {
    let draft = Draft {
        name: "https://idp.example".to_owned(),
        alias: "client-1".to_owned(),
        jwks_uri: Some("https://idp.example/jwks".to_owned()),
        ..Draft::default()
    };
    IdentityProvider::register(IdentityProviderId::generate(), draft.check(false, NOW).unwrap(), NOW)
}

fn claims() -> Map<String, Value> {
    let Value::Object(claims) = json!({
        "iss": "https://idp.example", "sub": "alice", "aud": ["client-1"],
        "iat": NOW.0, "exp": NOW.0 + 600, "jti": "1",
    }) else {
        unreachable!()
    };
    claims
}

fn with(name: &str, value: Value) -> Map<String, Value> {
    let mut claims = claims();
    claims.insert(name.to_owned(), value);
    claims
}

fn without(name: &str) -> Map<String, Value> {
    let mut claims = claims();
    claims.remove(name);
    claims
}

fn judge(claims: Map<String, Value>) -> Result<Accepted, Refused> {
    provider().accept(&ClaimSet::from(claims), Digest::of(b"signed part"), NOW)
}

#[test]
fn a_plain_assertion_is_accepted() {
    let accepted = judge(claims()).unwrap();

    assert_eq!((accepted.subject.as_str(), accepted.jti.as_deref()), ("alice", Some("1")));
    assert_eq!(accepted.replay_guard_until, NOW.plus(600 + LEEWAY));
}

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    for other in ["https://idp.example/", "https://IDP.example", "https://idp.exampl"] {
        assert_eq!(judge(with("iss", json!(other))), Err(Refused::WrongIssuer), "{other}");
    }
    assert_eq!(judge(without("iss")), Err(Refused::Missing("iss")));
    assert_eq!(judge(with("iss", json!(["https://idp.example"]))), Err(Refused::WrongType("iss")));
}

#[test]
fn a_subject_is_there_and_plain() {
    for absent in [Value::Null, json!("")] {
        assert_eq!(judge(with("sub", absent)), Err(Refused::Missing("sub")));
    }
    assert_eq!(judge(without("sub")), Err(Refused::Missing("sub")));
    assert_eq!(judge(with("sub", json!(7))), Err(Refused::WrongType("sub")));
    assert_eq!(judge(with("sub", json!("a\u{0}b"))), Err(Refused::BadSubject));
    assert_eq!(judge(with("sub", json!("a\r\nX: y"))), Err(Refused::BadSubject));
    assert_eq!(judge(with("sub", json!("é".repeat(256)))), Err(Refused::BadSubject));
    assert!(judge(with("sub", json!("é".repeat(255)))).is_ok());
}

#[test]
fn the_audience_holds_the_alias_exactly() {
    for good in [json!("client-1"), json!(["client-1"]), json!(["other", "client-1"])] {
        assert!(judge(with("aud", good)).is_ok());
    }
    for wrong in
        [json!("client-11"), json!("client-"), json!("Client-1"), json!(["other"]), json!("client-1 ")]
    {
        assert_eq!(judge(with("aud", wrong)), Err(Refused::WrongAudience));
    }
    for absent in [Value::Null, json!([]), json!(""), json!([""])] {
        assert_eq!(judge(with("aud", absent)), Err(Refused::Missing("aud")));
    }
    for odd in [json!(1), json!([["client-1"]]), json!(["client-1", 1]), json!({"client-1": true})] {
        assert_eq!(judge(with("aud", odd)), Err(Refused::WrongType("aud")));
    }
}

#[test]
fn the_expiry_is_a_number_in_the_future_and_not_too_far_away() {
    assert_eq!(judge(without("exp")), Err(Refused::Missing("exp")));
    assert_eq!(judge(with("exp", json!("1800000600"))), Err(Refused::WrongType("exp")));
    assert_eq!(judge(with("exp", json!(-1))), Err(Refused::WrongType("exp")));
    assert!(judge(with("exp", json!(1_800_000_600.75))).is_ok());
    assert_eq!(judge(with("exp", json!(u64::MAX))), Err(Refused::LivesTooLong));
    assert_eq!(judge(with("exp", json!(1e300))), Err(Refused::LivesTooLong));
    assert_eq!(judge(with("exp", json!(0))), Err(Refused::Expired));
}

#[test]
fn leeway_widens_every_window_and_narrows_none() {
    let late = |exp: i64| {
        let mut claims = without("iat");
        claims.insert("exp".to_owned(), json!(exp));
        judge(claims)
    };
    assert!(late(NOW.0 - LEEWAY + 1).is_ok());
    assert_eq!(late(NOW.0 - LEEWAY), Err(Refused::Expired));
    assert!(judge(with("nbf", json!(NOW.0 + LEEWAY))).is_ok());
    assert_eq!(judge(with("nbf", json!(NOW.0 + LEEWAY + 1))), Err(Refused::NotYetValid));
    assert!(judge(with("iat", json!(NOW.0 + LEEWAY))).is_ok());
    assert_eq!(judge(with("iat", json!(NOW.0 + LEEWAY + 1))), Err(Refused::IssuedInFuture));
}

#[test]
fn a_lifetime_is_bounded_from_now_and_from_issue() {
    assert!(late_by(86_400).is_ok());
    assert!(late_by(86_400 + LEEWAY).is_ok());
    assert_eq!(late_by(86_400 + LEEWAY + 1), Err(Refused::LivesTooLong));
    // Old, and nearly over: from now it would do.
    assert_eq!(judge(with("iat", json!(NOW.0 - 86_400))), Err(Refused::LivesTooLong));
}

fn late_by(seconds: i64) -> Result<Accepted, Refused> {
    let mut claims = without("iat");
    claims.insert("exp".to_owned(), json!(NOW.0 + seconds));
    judge(claims)
}

#[test]
fn dates_of_another_type_are_refused() {
    for claim in ["nbf", "iat"] {
        for odd in [json!("1"), json!(true), json!([1]), json!(-1)] {
            assert!(matches!(judge(with(claim, odd)), Err(Refused::WrongType(_))), "{claim}");
        }
        assert!(judge(without(claim)).is_ok());
    }
}

#[test]
fn a_jti_is_plain_text_if_it_is_there() {
    assert_eq!(judge(with("jti", json!(1))), Err(Refused::WrongType("jti")));
    assert_eq!(judge(with("jti", json!("x".repeat(256)))), Err(Refused::BadTokenId));
    assert_eq!(judge(with("jti", json!("\n"))), Err(Refused::BadTokenId));
    let without_jti = judge(without("jti")).unwrap();
    assert_eq!((without_jti.jti, without_jti.replay_key), (None, Digest::of(b"signed part")));
}

#[test]
fn rules_go_in_the_order_of_the_rfc() {
    let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names, ["iss", "sub", "aud", "exp", "lifetime", "nbf", "iat", "jti"]);
    assert_eq!(judge(Map::new()), Err(Refused::Missing("iss")));
}

#[test]
fn an_explanation_says_what_was_expected_and_seen() {
    let rule = RULES.iter().find(|rule| rule.name == "aud").unwrap();

    let finding = rule.explain(&provider(), &ClaimSet::from(with("aud", json!(["other"]))), NOW);

    assert_eq!(finding.outcome, Err(Refused::WrongAudience));
    assert!(finding.expected.contains("client-1") && finding.seen.contains("other"));
    assert!(finding.remedy.contains("alias"));
}

#[test]
fn the_replay_guard_outlives_every_moment_of_acceptance() {
    let mut claims = without("iat");
    claims.insert("exp".to_owned(), json!(NOW.0 + 100));
    let claims = ClaimSet::from(claims);

    for now in (NOW.0 - 100..NOW.0 + 300).map(UnixTime) {
        if let Ok(accepted) = provider().accept(&claims, Digest::of(b""), now) {
            assert!(now < accepted.replay_guard_until);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!("https://idp.example")),
        Just(json!("client-1")),
        (NOW.0 - 100..NOW.0 + 100).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::Array))
}

proptest! {
    #[test]
    fn no_claim_set_panics_and_none_is_accepted_without_its_guard(
        sent in prop::collection::hash_map(
            prop_oneof![Just("iss"), Just("sub"), Just("aud"), Just("exp"), Just("nbf"), Just("iat"), Just("jti")],
            any_json(),
            0..8,
        ),
        now in any::<i64>(),
    ) {
        let mut set = claims();
        set.extend(sent.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let set = ClaimSet::from(set);
        for now in [UnixTime(now), NOW] {
            if let Ok(accepted) = provider().accept(&set, Digest::of(b""), now) {
                prop_assert!(now < accepted.replay_guard_until);
                prop_assert!(!accepted.subject.is_empty());
            }
        }
    }
}
