use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::x509::{X509, X509NameBuilder};
use serde_json::{Value, json};
use shared_claims::clock::UnixTime;
use shared_claims::jwk::Jwk;
use shared_claims::secret::Digest;
use shared_claims::signature::{KeyKind, PrivateKey, SigningHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::identity_provider::Draft;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Serves one document on loopback, counts who asks, and can be told to fail.
struct Server {
    uri: String,
    document: Arc<ArcSwap<String>>,
    asked: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
}

impl Server {
    async fn start(document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let document = Arc::new(ArcSwap::from_pointee(document));
        let (asked, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let server = Self { uri, document, asked, broken };
        let (document, asked, broken) =
            (server.document.clone(), server.asked.clone(), server.broken.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = if broken.load(Ordering::SeqCst) {
                    (500, String::new())
                } else {
                    (200, document.load().to_string())
                };
                // Slow enough for others to arrive meanwhile.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        server
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn serve(&self, document: String) {
        self.document.store(Arc::new(document));
    }
}

fn jwk(key: &PrivateKey, kid: &str) -> Value {
    let mut jwk = Jwk::of(&key.public().unwrap()).unwrap();
    jwk.kid = Some(kid.to_owned());
    serde_json::to_value(jwk).unwrap()
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn issuers() -> Issuers {
    Issuers::new(&Settings::for_tests(std::path::Path::new("/nowhere"))).unwrap()
}

fn at(uri: &str) -> IdentityProvider {
    trusting(Draft { jwks_uri: Some(uri.to_owned()), ..Draft::default() })
}

fn trusting(draft: Draft) -> IdentityProvider {
    let draft = Draft { name: "idp".to_owned(), alias: "a".to_owned(), ..draft };
    IdentityProvider::register(IdentityProviderId::generate(), draft.check(true, NOW).unwrap(), NOW)
}

fn sign(key: &PrivateKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let header = SigningHeader { algorithm, typ: None, kid, x5t_s256: None };
    key.sign(&header, &json!({ "iss": "idp" })).unwrap()
}

fn certificate(key: &PrivateKey, from: i64, until: i64) -> String {
    let mut builder = X509::builder().unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    let name = X509NameBuilder::new().unwrap().build();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(NOW.0 + from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(NOW.0 + until).unwrap()).unwrap();
    builder.set_pubkey(key.pkey()).unwrap();
    builder.sign(key.pkey(), MessageDigest::sha256()).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

async fn verify(
    issuers: &Issuers,
    provider: &IdentityProvider,
    token: &str,
    now: UnixTime,
) -> Result<Verified, Unverified> {
    issuers.verify(provider, &Compact::parse(token).unwrap(), now).await
}

fn p256() -> PrivateKey {
    PrivateKey::generate(KeyKind::P256).unwrap()
}

#[tokio::test]
async fn a_certificates_key_verifies_and_is_named_by_its_thumbprint() {
    let (key, other) = (PrivateKey::generate(KeyKind::Rsa).unwrap(), p256());
    let pem = certificate(&key, -10, 10);
    let provider = trusting(Draft { certificates: vec![pem.clone()], ..Draft::default() });
    let issuers = issuers();

    for algorithm in [Algorithm::RS256, Algorithm::RS512, Algorithm::PS256] {
        let verified = verify(&issuers, &provider, &sign(&key, algorithm, None), NOW).await.unwrap();
        let der = X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap();
        assert_eq!(verified.key_thumbprint, Digest::of(&der).base64url());
    }
    let stranger = PrivateKey::generate(KeyKind::Rsa).unwrap();
    let refused = verify(&issuers, &provider, &sign(&stranger, Algorithm::RS256, None), NOW).await;
    assert_eq!(refused, Err(Unverified::Signature));
    let crossed = verify(&issuers, &provider, &sign(&other, Algorithm::ES256, None), NOW).await;
    assert_eq!(crossed, Err(Unverified::Algorithm));
}

#[tokio::test]
async fn dates_are_enforced_at_every_use_and_a_renewal_of_the_key_helps() {
    let key = p256();
    let short = trusting(Draft { certificates: vec![certificate(&key, -10, 10)], ..Draft::default() });
    let token = sign(&key, Algorithm::ES256, None);
    let issuers = issuers();

    assert!(verify(&issuers, &short, &token, NOW.plus(10)).await.is_ok());
    assert_eq!(verify(&issuers, &short, &token, NOW.plus(11)).await, Err(Unverified::CertificateExpired));
    assert_eq!(
        verify(&issuers, &short, &token, NOW.minus(11)).await,
        Err(Unverified::CertificateNotYetValid)
    );

    let both = vec![certificate(&key, -10, 10), certificate(&key, -10, 1_000)];
    let renewed = trusting(Draft { certificates: both, ..Draft::default() });
    assert!(verify(&issuers, &renewed, &token, NOW.plus(500)).await.is_ok());
}

#[tokio::test]
async fn two_certificates_overlap_for_a_rotation() {
    let (old, new) = (p256(), p256());
    let both = vec![certificate(&old, -10, 10), certificate(&new, -10, 10)];
    let provider = trusting(Draft { certificates: both, ..Draft::default() });
    for key in [old, new] {
        assert!(verify(&issuers(), &provider, &sign(&key, Algorithm::ES256, Some("x")), NOW).await.is_ok());
    }
}

#[tokio::test]
async fn a_changed_provider_is_verified_with_its_new_keys() {
    let (old, new) = (p256(), p256());
    let provider = trusting(Draft { certificates: vec![certificate(&old, -10, 10)], ..Draft::default() });
    let issuers = issuers();
    assert!(verify(&issuers, &provider, &sign(&old, Algorithm::ES256, None), NOW).await.is_ok());

    let pem = certificate(&new, -10, 10);
    let changed = IdentityProvider { certificates: vec![pem], revision: 2, ..provider };

    let refused = verify(&issuers, &changed, &sign(&old, Algorithm::ES256, None), NOW).await;
    assert_eq!(refused, Err(Unverified::Signature));
    assert!(verify(&issuers, &changed, &sign(&new, Algorithm::ES256, None), NOW).await.is_ok());
}

#[tokio::test]
async fn a_set_is_fetched_once_for_all_who_wait_and_then_kept() {
    let key = p256();
    let server = Server::start(set(&[jwk(&key, "k1")])).await;
    let (issuers, provider) = (issuers(), at(&server.uri));
    let token = sign(&key, Algorithm::ES256, Some("k1"));

    let crowd = (0..20).map(|_| verify(&issuers, &provider, &token, NOW));
    assert!(futures_util::future::join_all(crowd).await.iter().all(Result::is_ok));
    assert_eq!(server.asked(), 1);

    assert!(verify(&issuers, &provider, &token, NOW.plus(299)).await.is_ok());
    assert_eq!(server.asked(), 1);
    let verified = verify(&issuers, &provider, &token, NOW.plus(300)).await.unwrap();
    assert_eq!(verified.key_thumbprint, Jwk::of(&key.public().unwrap()).unwrap().thumbprint());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.asked(), 2, "refreshed in the background");
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_at_once_and_then_once_an_interval() {
    let (old, new, stranger) = (p256(), p256(), p256());
    let server = Server::start(set(&[jwk(&old, "k1")])).await;
    let (issuers, provider) = (issuers(), at(&server.uri));
    assert!(verify(&issuers, &provider, &sign(&old, Algorithm::ES256, Some("k1")), NOW).await.is_ok());

    server.serve(set(&[jwk(&old, "k1"), jwk(&new, "k2")]));
    assert!(verify(&issuers, &provider, &sign(&new, Algorithm::ES256, Some("k2")), NOW).await.is_ok());
    assert_eq!(server.asked(), 2);

    for second in 0..29 {
        let guess = sign(&stranger, Algorithm::ES256, Some(&format!("guess{second}")));
        let refused = verify(&issuers, &provider, &guess, NOW.plus(second)).await;
        assert_eq!(refused, Err(Unverified::Signature));
    }
    assert_eq!(server.asked(), 2, "guessing costs the provider nothing");
    let _ = verify(&issuers, &provider, &sign(&stranger, Algorithm::ES256, Some("x")), NOW.plus(30)).await;
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn a_forged_signature_of_a_known_key_does_not_make_us_ask() {
    let (key, stranger) = (p256(), p256());
    let server = Server::start(set(&[jwk(&key, "k1")])).await;
    let (issuers, provider) = (issuers(), at(&server.uri));
    for _ in 0..3 {
        let refused = verify(&issuers, &provider, &sign(&stranger, Algorithm::ES256, Some("k1")), NOW).await;
        assert_eq!(refused, Err(Unverified::Signature));
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn an_unreachable_set_is_our_trouble_until_a_kept_key_will_do() {
    let key = p256();
    let server = Server::start(set(&[jwk(&key, "k1")])).await;
    server.broken.store(true, Ordering::SeqCst);
    let (issuers, provider) = (issuers(), at(&server.uri));
    let token = sign(&key, Algorithm::ES256, Some("k1"));

    let unavailable = Err(Unverified::KeysUnavailable(FetchError::Status(500)));
    assert_eq!(verify(&issuers, &provider, &token, NOW).await, unavailable);
    assert_eq!(verify(&issuers, &provider, &token, NOW.plus(1)).await, unavailable);
    let asked = server.asked();
    server.broken.store(false, Ordering::SeqCst);
    assert!(verify(&issuers, &provider, &token, NOW.plus(6)).await.is_ok());
    assert!(server.asked() > asked);

    server.broken.store(true, Ordering::SeqCst);
    assert!(verify(&issuers, &provider, &token, NOW.plus(3_000)).await.is_ok(), "a kept key goes on serving");
    let unknown = sign(&p256(), Algorithm::ES256, Some("k2"));
    assert_eq!(verify(&issuers, &provider, &unknown, NOW.plus(3_000)).await, unavailable);
    assert_eq!(verify(&issuers, &provider, &token, NOW.plus(4_000)).await, unavailable, "but not for ever");
}

#[tokio::test]
async fn a_certificate_works_while_the_set_is_away() {
    let key = p256();
    let draft = Draft {
        certificates: vec![certificate(&key, -10, 10)],
        jwks_uri: Some("http://127.0.0.1:1/jwks".to_owned()),
        ..Draft::default()
    };
    assert!(verify(&issuers(), &trusting(draft), &sign(&key, Algorithm::ES256, None), NOW).await.is_ok());
}

#[tokio::test]
async fn keys_for_something_else_are_left_out_and_broken_ones_cost_nothing() {
    let (key, encrypting) = (p256(), p256());
    let mut foreign = jwk(&encrypting, "k2");
    foreign["use"] = json!("enc");
    let mut bound = jwk(&key, "k1");
    bound["alg"] = json!("ES256");
    let broken = [json!(1), json!({ "kty": "oct", "k": "AAAA" }), json!({ "kty": "RSA", "n": 5 })];
    let server = Server::start(set(&[&broken[..], &[foreign, bound]].concat())).await;
    let (issuers, provider) = (issuers(), at(&server.uri));

    assert!(verify(&issuers, &provider, &sign(&key, Algorithm::ES256, None), NOW).await.is_ok());
    let refused = verify(&issuers, &provider, &sign(&encrypting, Algorithm::ES256, Some("k2")), NOW).await;
    assert_eq!(refused, Err(Unverified::Signature));
}

#[tokio::test]
async fn what_is_no_set_or_too_long_is_unavailable() {
    let key = p256();
    for document in
        ["[]".to_owned(), "x".to_owned(), format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(256 * 1024))]
    {
        let server = Server::start(document).await;
        let refused = verify(&issuers(), &at(&server.uri), &sign(&key, Algorithm::ES256, None), NOW).await;
        assert!(matches!(refused, Err(Unverified::KeysUnavailable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn plain_http_is_refused_where_the_settings_do_not_allow_it() {
    let mut settings = Settings::for_tests(std::path::Path::new("/nowhere"));
    settings.allow_http_jwks = false;
    let issuers = Issuers::new(&settings).unwrap();
    let refused =
        verify(&issuers, &at("http://127.0.0.1:1/jwks"), &sign(&p256(), Algorithm::ES256, None), NOW).await;
    assert_eq!(refused, Err(Unverified::KeysUnavailable(FetchError::NotHttps)));
}
