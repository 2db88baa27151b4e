use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509NameBuilder, X509ReqBuilder};

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);
const DAY: i64 = 86_400;

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn certify(key: &PKey<Private>, from: i64, until: i64) -> String {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "idp").unwrap();
    name.append_entry_by_text("O", "Example").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(until).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    let digest =
        if key.id() == openssl::pkey::Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(key, digest).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

fn good(key: &PKey<Private>) -> String {
    certify(key, NOW.0 - DAY, NOW.0 + DAY)
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).unwrap()
}

fn refusal(pem: &str) -> BadCertificate {
    inspect(pem, NOW).unwrap_err()
}

#[test]
fn a_certificate_comes_back_with_its_subject_dates_and_thumbprint() {
    let pem = good(&rsa(2048));

    let [certificate] = inspect(&pem, NOW).unwrap().try_into().unwrap();

    assert_eq!(
        (certificate.subject.as_str(), certificate.issuer.as_str()),
        ("CN=idp, O=Example", "CN=idp, O=Example")
    );
    assert_eq!((certificate.not_before, certificate.not_after), (NOW.minus(DAY), NOW.plus(DAY)));
    let der = X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap();
    assert_eq!(certificate.thumbprint, Digest::of(&der));
}

#[test]
fn every_supported_kind_of_key_is_taken() {
    for key in [ec(Nid::X9_62_PRIME256V1), ec(Nid::SECP384R1), PKey::generate_ed25519().unwrap()] {
        assert_eq!(inspect(&good(&key), NOW).unwrap().len(), 1);
    }
}

#[test]
fn a_bundle_holds_several_and_says_each_once() {
    let (one, two) = (good(&rsa(2048)), good(&ec(Nid::X9_62_PRIME256V1)));
    let bundle = format!("subject=CN=idp\n{one}\nsome words\r\n{two}{one}");

    assert_eq!(inspect(&bundle, NOW).unwrap().len(), 2);
}

#[test]
fn what_is_no_pem_is_told_how_to_become_one() {
    for text in
        ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN PKCS7-----\n"]
    {
        assert_eq!(refusal(text), BadCertificate::NotPem, "{text}");
    }
    let cut = good(&rsa(2048)).replace("-----END CERTIFICATE-----", "");
    assert_eq!(refusal(&cut), BadCertificate::NotPem);
    assert!(BadCertificate::NotPem.to_string().contains("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn a_private_key_is_refused_even_beside_its_certificate_and_to_be_rotated() {
    let key = rsa(2048);
    for pem in [
        text(key.private_key_to_pem_pkcs8().unwrap()),
        text(key.rsa().unwrap().private_key_to_pem().unwrap()),
        text(ec(Nid::X9_62_PRIME256V1).ec_key().unwrap().private_key_to_pem().unwrap()),
        format!("{}{}", good(&key), text(key.private_key_to_pem_pkcs8().unwrap())),
    ] {
        assert_eq!(refusal(&pem), BadCertificate::PrivateKey);
    }
    assert!(BadCertificate::PrivateKey.to_string().contains("make a new key pair"));
}

#[test]
fn a_public_key_and_a_request_are_named_for_what_they_are() {
    let key = rsa(2048);
    assert_eq!(refusal(&text(key.public_key_to_pem().unwrap())), BadCertificate::PublicKey);
    assert_eq!(
        refusal(&text(key.rsa().unwrap().public_key_to_pem_pkcs1().unwrap())),
        BadCertificate::PublicKey
    );

    let mut request = X509ReqBuilder::new().unwrap();
    request.set_pubkey(&key).unwrap();
    request.sign(&key, MessageDigest::sha256()).unwrap();
    assert_eq!(refusal(&text(request.build().to_pem().unwrap())), BadCertificate::Request);
}

#[test]
fn dates_are_kept_to_the_second() {
    let pem = certify(&rsa(2048), NOW.0, NOW.0 + 10);
    let [certificate] = read(&pem).unwrap().try_into().unwrap();

    assert_eq!(certificate.check_dates(NOW.minus(1)), Err(BadCertificate::NotYetValid(NOW)));
    assert_eq!(certificate.check_dates(NOW), Ok(()));
    assert_eq!(certificate.check_dates(NOW.plus(10)), Ok(()));
    assert_eq!(certificate.check_dates(NOW.plus(11)), Err(BadCertificate::Expired(NOW.plus(10))));
    assert!(inspect(&pem, NOW.plus(11)).is_err());
}

#[test]
fn short_and_foreign_keys_are_refused_each_for_its_own_reason() {
    assert_eq!(refusal(&good(&rsa(1024))), BadCertificate::Key(UnusableKey::TooShort(1024)));
    assert_eq!(refusal(&good(&ec(Nid::SECP256K1))), BadCertificate::Key(UnusableKey::Type));
    assert_eq!(refusal(&good(&ec(Nid::SECP521R1))), BadCertificate::Key(UnusableKey::Type));
}

#[test]
fn too_much_is_refused_before_it_is_read() {
    let many = good(&ec(Nid::X9_62_PRIME256V1)).repeat(MOST + 1);
    assert_eq!(refusal(&many), BadCertificate::TooMany);
    assert_eq!(refusal(&"x".repeat(LONGEST + 1)), BadCertificate::TooLong);
}
