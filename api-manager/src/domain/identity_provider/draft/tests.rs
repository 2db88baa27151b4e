use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::x509::{X509, X509NameBuilder};
use shared_claims::signature::PrivateKey;

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn certificate(kind: KeyKind) -> String {
    let key = PrivateKey::generate(kind).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    let name = X509NameBuilder::new().unwrap().build();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(NOW.0 - 10).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(NOW.0 + 10).unwrap()).unwrap();
    builder.set_pubkey(key.pkey()).unwrap();
    builder.sign(key.pkey(), MessageDigest::sha256()).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

fn draft() -> Draft {
    let certificates = vec![certificate(KeyKind::P256)];
    Draft { name: "idp".to_owned(), alias: "client-1".to_owned(), certificates, ..Draft::default() }
}

fn faults(draft: Draft) -> Vec<String> {
    draft.check(false, NOW).unwrap_err().into_iter().map(|error| error.field).collect()
}

#[test]
fn absent_fields_take_their_defaults() {
    let terms = draft().check(false, NOW).unwrap();

    assert_eq!((terms.issuer.as_str(), terms.enabled, terms.replay), ("idp", true, Replay::SingleUse));
    assert_eq!((terms.max_assertion_lifetime, terms.scopes), (86_400, None));
    assert_eq!((terms.outlive_assertion, terms.management), (false, false));
    // A certificate's key decides; a JWK set may hold any.
    assert_eq!(terms.algorithms, [Algorithm::ES256]);
    let with_set = Draft { jwks_uri: Some("https://idp.example/jwks".to_owned()), ..draft() };
    assert_eq!(with_set.check(false, NOW).unwrap().algorithms, ALGORITHMS);
}

#[test]
fn every_bad_field_is_named_at_once() {
    let bad = Draft {
        name: String::new(),
        issuer: Some("a\nb".to_owned()),
        alias: "x".repeat(256),
        certificates: vec![
            "x".to_owned(),
            certificate(KeyKind::P256),
            "-----BEGIN PRIVATE KEY-----".to_owned(),
        ],
        jwks_uri: Some("ftp://idp.example".to_owned()),
        algorithms: Some(vec!["HS256".to_owned(), "none".to_owned()]),
        max_assertion_lifetime: Some(0),
        scopes: Some(vec!["a b".to_owned()]),
        ..Draft::default()
    };

    assert_eq!(
        faults(bad),
        [
            "name",
            "issuer",
            "alias",
            "certificates[0]",
            "certificates[2]",
            "jwks_uri",
            "algorithms[0]",
            "algorithms[1]",
            "max_assertion_lifetime",
            "scopes",
        ]
    );
}

#[test]
fn some_key_must_be_registered() {
    assert_eq!(faults(Draft { certificates: Vec::new(), ..draft() }), ["certificates"]);
}

#[test]
fn algorithms_must_fit_a_registered_key() {
    let with = |names: &[&str]| Draft {
        algorithms: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        ..draft()
    };
    assert_eq!(faults(with(&["RS256"])), ["algorithms"]);
    assert_eq!(faults(with(&[])), ["algorithms"]);
    assert_eq!(with(&["ES256", "ES256", "RS256"]).check(false, NOW).unwrap().algorithms.len(), 2);
}

#[test]
fn keys_are_not_fetched_in_the_clear_unless_the_operator_says_so() {
    let at = |uri: &str| Draft { jwks_uri: Some(uri.to_owned()), ..draft() };
    assert_eq!(faults(at("http://127.0.0.1/jwks")), ["jwks_uri"]);
    assert!(at("http://127.0.0.1/jwks").check(true, NOW).is_ok());
    for bad in [
        "https://user:secret@idp.example/",
        "https://idp.example/#x",
        "idp.example",
        "https://",
        "file:///etc/passwd",
    ] {
        assert_eq!(faults(at(bad)), ["jwks_uri"], "{bad}");
    }
}
