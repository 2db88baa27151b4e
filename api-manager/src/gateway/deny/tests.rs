use std::net::Ipv4Addr;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::domain::deny::{Conditions, Draft, Subject};

const NOW: UnixTime = UnixTime(1_000);

fn rule(conditions: Conditions) -> DenyRule {
    Draft { conditions, enabled: true, reason: String::new(), expires_at: None }.into_rule(UnixTime(0))
}

fn range(text: &str) -> Option<AddressRange> {
    Some(AddressRange::parse(text).unwrap())
}

fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn all_conditions_of_a_rule_have_to_apply() {
    let (api, other_api) = (ApiId::generate(), ApiId::generate());
    let (application, other) = (ApplicationId::generate(), ApplicationId::generate());
    let subject = Some(Subject { name: "alice".to_owned(), issuer: Some("https://idp".to_owned()) });
    let conditions = Conditions {
        addresses: range("203.0.113.0/24"),
        application: Some(application),
        subject,
        api: Some(api),
    };
    let rule = rule(conditions);
    let table = DenyTable::compile(std::slice::from_ref(&rule));
    let alice = Caller { application, subject: "alice".into(), issuer: Some("https://idp") };
    let here = peer("203.0.113.9");

    assert_eq!(table.denies_caller(here, api, &alice, NOW), Some(rule.id));
    assert_eq!(table.denies_caller(peer("203.0.114.9"), api, &alice, NOW), None);
    assert_eq!(table.denies_caller(here, other_api, &alice, NOW), None);
    for not_alice in [
        Caller { application: other, ..alice.clone() },
        Caller { subject: "bob".into(), ..alice.clone() },
        Caller { issuer: Some("https://other"), ..alice.clone() },
        Caller { issuer: None, ..alice.clone() },
    ] {
        assert_eq!(table.denies_caller(here, api, &not_alice, NOW), None, "{not_alice:?}");
    }
    assert_eq!(table.denies_place(here, api, NOW), None);
}

#[test]
fn a_subject_without_an_issuer_is_everybodys_of_that_name() {
    let subject = Some(Subject { name: "alice".to_owned(), issuer: None });
    let table = DenyTable::compile(&[rule(Conditions { subject, ..Conditions::default() })]);
    let (api, application) = (ApiId::generate(), ApplicationId::generate());
    for issuer in [None, Some("https://a"), Some("https://b")] {
        let caller = Caller { application, subject: "alice".into(), issuer };
        assert!(table.denies_caller(peer("::1"), api, &caller, NOW).is_some());
    }
    // A name is not taken for an issuer, nor an issuer for a name.
    let caller = Caller { application, subject: "bob".into(), issuer: Some("alice") };
    assert!(table.denies_caller(peer("::1"), api, &caller, NOW).is_none());
}

#[test]
fn a_rule_counts_while_it_is_enabled_and_not_over() {
    let api = ApiId::generate();
    let by_api = Conditions { api: Some(api), ..Conditions::default() };
    let mut rule = rule(by_api);
    rule.expires_at = Some(NOW);
    let table = DenyTable::compile(std::slice::from_ref(&rule));
    assert_eq!(table.denies_place(peer("::1"), api, NOW.minus(1)), Some(rule.id));
    assert_eq!(table.denies_place(peer("::1"), api, NOW), None);
    rule.expires_at = None;
    rule.enabled = false;
    let table = DenyTable::compile(&[rule]);
    assert_eq!(table.denies_place(peer("::1"), api, NOW), None);
}

#[test]
fn a_rule_without_conditions_denies_nobody() {
    let table = DenyTable::compile(&[rule(Conditions::default())]);
    assert_eq!(table.denies_place(peer("::1"), ApiId::generate(), NOW), None);
}

proptest! {
    #[test]
    fn the_table_says_what_every_range_says_by_itself(
        ranges in prop::collection::vec((0_u32..1 << 12, 20_u8..=32), 0..20),
        call in 0_u32..1 << 12,
    ) {
        let ranges: Vec<AddressRange> = ranges
            .into_iter()
            .map(|(bits, length)| AddressRange::around(Ipv4Addr::from_bits(bits).into(), length).unwrap())
            .collect();
        let rules: Vec<DenyRule> = ranges
            .iter()
            .map(|range| rule(Conditions { addresses: Some(*range), ..Conditions::default() }))
            .collect();
        let peer = Ipv4Addr::from_bits(call).into();
        let denied = DenyTable::compile(&rules).denies_place(peer, ApiId::generate(), NOW).is_some();
        prop_assert_eq!(denied, ranges.iter().any(|range| range.contains(peer)));
    }
}

/// The figure is printed; the bound is loose because machines of tests are busy, yet far below what a walk would cost.
#[test]
fn ten_thousand_rules_cost_a_few_look_ups() {
    let mut rules = Vec::new();
    for n in 0..10_000_u32 {
        let address = Ipv4Addr::from_bits(0x0a00_0000 | n << 8);
        let addresses = AddressRange::around(address.into(), [32, 24, 28][(n % 3) as usize]);
        let application = (n % 2 == 0).then(ApplicationId::generate);
        rules.push(rule(Conditions { addresses, application, ..Conditions::default() }));
    }
    let table = DenyTable::compile(&rules);
    let (api, application) = (ApiId::generate(), ApplicationId::generate());
    let caller = Caller { application, subject: "alice".into(), issuer: None };
    let rounds = 20_000_u32;
    let began = Instant::now();
    for n in 0..rounds {
        let peer = Ipv4Addr::from_bits(0xc000_0000 | n).into();
        assert!(table.denies_place(peer, api, NOW).is_none());
        assert!(table.denies_caller(peer, api, &caller, NOW).is_none());
    }
    let each = began.elapsed() / rounds;
    println!("10,000 rules: {each:?} a call");
    assert!(each.as_micros() < 100, "{each:?}");
}
