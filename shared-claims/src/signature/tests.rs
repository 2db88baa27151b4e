//! Signatures by every kind of key, and those that must not hold.

use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use super::keys::generate_ec;
use super::provider::is_private_handle;
use super::*;
use crate::jose::Compact;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn signed(key: &PrivateKey, algorithm: Algorithm) -> String {
    let header = SigningHeader { algorithm, typ: Some("JWT"), kid: Some("k"), x5t_s256: None };
    key.sign(&header, &serde_json::json!({"sub": "alice"})).unwrap()
}

#[test]
fn every_algorithm_signs_what_its_public_half_verifies() {
    for algorithm in ALGORITHMS {
        let key = PrivateKey::generate(algorithm.key_kind()).unwrap();
        let token = signed(&key, algorithm);
        let jwt = Compact::parse(&token).unwrap();
        assert_eq!(key.public().unwrap().verify(&jwt, algorithm), Ok(()), "{algorithm}");
    }
}

#[test]
fn another_key_does_not_verify() {
    for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let algorithm = ALGORITHMS.into_iter().find(|a| a.key_kind() == kind).unwrap();
        let token = signed(&PrivateKey::generate(kind).unwrap(), algorithm);
        let stranger = PrivateKey::generate(kind).unwrap().public().unwrap();
        let jwt = Compact::parse(&token).unwrap();
        assert_eq!(stranger.verify(&jwt, algorithm), Err(SignatureError::Invalid));
    }
}

#[test]
fn an_algorithm_of_another_key_type_or_another_header_is_refused() {
    let rsa = PrivateKey::generate(KeyKind::Rsa).unwrap();
    let token = signed(&rsa, Algorithm::RS256);
    let jwt = Compact::parse(&token).unwrap();
    let public = rsa.public().unwrap();
    assert_eq!(public.verify(&jwt, Algorithm::ES256), Err(SignatureError::Invalid));
    assert_eq!(public.verify(&jwt, Algorithm::PS256), Err(SignatureError::Invalid));
    let header = SigningHeader { algorithm: Algorithm::EdDSA, typ: None, kid: None, x5t_s256: None };
    assert_eq!(rsa.sign(&header, &serde_json::json!({})), Err(SignatureError::Invalid));
}

#[test]
fn a_signature_cut_short_or_drawn_out_is_refused() {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let token = signed(&key, Algorithm::ES256);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bad in [&bytes[..60], &[&bytes[..], &[0; 3]].concat()] {
        let bad = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bad));
        let jwt = Compact::parse(&bad).unwrap();
        assert_eq!(key.public().unwrap().verify(&jwt, Algorithm::ES256), Err(SignatureError::Invalid));
    }
}

#[test]
fn short_and_odd_keys_are_refused_with_their_reason() {
    let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    assert_eq!(PrivateKey::new(short).unwrap_err(), UnusableKey::TooShort(1024));
    let odd = generate_ec(Nid::SECP521R1).unwrap();
    assert_eq!(PrivateKey::new(odd).unwrap_err(), UnusableKey::Type);
    assert_eq!(PublicKey::from_spki(b"junk").unwrap_err(), UnusableKey::Unreadable);
}

#[test]
fn no_other_spelling_is_an_algorithm() {
    for text in ["none", "None", "HS256", "rs256", "RS256 ", "", "ES512"] {
        assert!(text.parse::<Algorithm>().is_err(), "{text:?}");
    }
}

#[test]
fn a_key_survives_pkcs_8() {
    let key = PrivateKey::generate(KeyKind::P384).unwrap();
    let again = PrivateKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
    assert!(again.pkey().public_eq(key.pkey()));
}

#[test]
fn a_dropped_key_leaves_the_table() {
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let handle: [u8; 8] = key.encoding.as_bytes().try_into().unwrap();
    assert!(is_private_handle(handle));
    drop(key);
    assert!(!is_private_handle(handle));
}
