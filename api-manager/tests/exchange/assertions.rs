//! Every way in which an assertion is bad has a text of its own, and none of them uses up or blocks a good one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::idp::{Algorithm, Claims, Idp, KeyKind, sign_hs256};
use super::{Key, NOW, World};

const MANDATORY: &str =
    "Mandatory fields(Issuer, Subject, Expiration time or Audience) are empty in the given JSON Web Token.";
const UNKNOWN: &str = "No registered identity provider found for the JWT.";
const SIGNATURE: &str = "Signature or Message Authentication invalid.";
const ALGORITHM: &str = "The signature algorithm of the JWT is not allowed for its identity provider.";
const AUDIENCE: &str = "None of the audience values matched the tokenEndpoint Alias";
const EXPIRED: &str = "JSON Web Token is expired.";
const TOO_LONG: &str = "JSON Web Token lives longer than its identity provider's tokens may.";
const TYPE: &str = "A claim of the JSON Web Token is not of the type that RFC 7519 gives it.";

async fn stage() -> (World, Idp, Key) {
    let world = World::new().await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    (world, idp, key)
}

/// Each assertion is refused with its text; then a good one with the same `jti` is taken.
async fn all_refused(world: &World, key: &Key, assertions: Vec<(&str, String, &str)>) {
    for (name, assertion, description) in assertions {
        let answer = world.exchange(key, &assertion).await;
        let expected = (400, "invalid_grant".to_owned(), description.to_owned());
        assert_eq!(answer.refusal(), expected, "{name}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        assert!(!answer.text.contains("alice") && !answer.text.contains("idp.example"), "{name}");
    }
}

fn same_jti(idp: &Idp) -> Claims {
    idp.claims("alice").with("jti", "the-same")
}

#[tokio::test]
async fn what_cannot_be_read_is_told_apart() {
    let (world, idp, key) = stage().await;
    let good = idp.sign(&same_jti(&idp));
    let parts: Vec<&str> = good.split('.').collect();
    let parse = |rest: &str| format!("Error while parsing the JWT: {rest}");
    let three = parse("a signed JWT has three parts separated by dots.");
    let object = parse("a part is not a JSON object, or is nested too deep.");
    let encoding = parse("a part is not base64url.");
    let twice = parse("a member name occurs twice.");
    let header = parse("a header member is missing or of the wrong type.");
    let deep = (0..300).fold(json!(1), |inner, _| json!([inner]));
    let body = same_jti(&idp).text();
    let doubled = format!("{},\"sub\":\"bob\"}}", &body[..body.len() - 1]);
    let under = |name: &str, value: Value| {
        let mut header = idp.header();
        header[name] = value;
        idp.sign_under(&header, &same_jti(&idp))
    };

    all_refused(
        &world,
        &key,
        vec![
            ("junk", "junk".to_owned(), &three),
            ("two parts", format!("{}.{}", parts[0], parts[1]), &three),
            ("four parts", format!("{good}.x"), &three),
            ("a JWE", "a.b.c.d.e".to_owned(), "Encrypted JWTs are not accepted; send a signed one."),
            ("padding", format!("{good}="), &encoding),
            ("not base64url", format!("{}.*.{}", parts[0], parts[2]), &encoding),
            ("a trailing newline", format!("{good}\n"), &encoding),
            ("no JSON", idp.sign_text("x", &body), &object),
            ("an array", idp.sign_text(&idp.header().to_string(), "[]"), &object),
            ("JSON 300 levels deep", idp.sign(&same_jti(&idp).with("deep", deep)), &object),
            ("a claim twice", idp.sign_text(&idp.header().to_string(), &doubled), &twice),
            ("alg missing", idp.sign_under(&json!({}), &same_jti(&idp)), &header),
            ("alg a number", under("alg", json!(1)), &header),
            (
                "crit",
                under("crit", json!(["exp"])),
                "The JWT header holds crit, zip, enc or b64, which are not supported.",
            ),
            (
                "zip",
                under("zip", json!("DEF")),
                "The JWT header holds crit, zip, enc or b64, which are not supported.",
            ),
            (
                "a DPoP proof",
                under("typ", json!("dpop+jwt")),
                "The JWT header names another type than JWT or at+jwt.",
            ),
            (
                "33 KiB",
                idp.sign(&same_jti(&idp).with("x", "x".repeat(33_000))),
                "The JWT is longer than 32 KiB.",
            ),
        ],
    )
    .await;

    assert_eq!(world.exchange(&key, &good).await.status, 200);
}

#[tokio::test]
async fn who_signed_is_what_counts() {
    let (world, idp, key) = stage().await;
    let good = idp.sign(&same_jti(&idp));
    let parts: Vec<&str> = good.split('.').collect();
    let (certificate, body) = (idp.certificate(), same_jti(&idp).text());
    let hs256 = sign_hs256(&json!({ "alg": "HS256" }), &body, certificate.as_bytes());
    let tampered = URL_SAFE_NO_PAD.encode(same_jti(&idp).with("sub", "mallory").text());
    let stranger = Idp::new(&idp.issuer, &idp.alias, &world.clock);
    let elliptic = Idp::with_key(&idp.issuer, &idp.alias, KeyKind::P256, &world.clock);
    let jwk = json!({ "alg": "RS256", "jwk": { "kty": "RSA" }, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "x5c": [certificate] });

    all_refused(
        &world,
        &key,
        vec![
            ("alg none", idp.sign_under(&json!({ "alg": "none" }), &same_jti(&idp)), ALGORITHM),
            ("HS256 keyed with the certificate", hs256, ALGORITHM),
            ("another key's algorithm", elliptic.sign(&same_jti(&idp)), ALGORITHM),
            ("RS256 said, ES256 done", elliptic.sign_under(&idp.header(), &same_jti(&idp)), SIGNATURE),
            ("a tampered payload", format!("{}.{tampered}.{}", parts[0], parts[2]), SIGNATURE),
            ("another key", stranger.sign(&same_jti(&idp)), SIGNATURE),
            ("a key in the header", stranger.sign_under(&jwk, &same_jti(&idp)), SIGNATURE),
            ("a signature cut short", good[..good.len() - 2].to_owned(), SIGNATURE),
        ],
    )
    .await;

    // Keys in the header are ignored, not refused: the registered one verifies it.
    assert_eq!(world.exchange(&key, &idp.sign_under(&jwk, &same_jti(&idp))).await.status, 200);
}

#[tokio::test]
async fn times_are_judged_by_a_clock_thirty_seconds_wide() {
    let (world, idp, key) = stage().await;
    let with = |name: &str, value: Value| idp.sign(&same_jti(&idp).with(name, value));
    let future = "JSON Web Token is issued in the future.";
    let early = "JSON Web Token is used before Not_Before_Time.";
    let text = same_jti(&idp).without("exp").text();
    let huge =
        idp.sign_text(&idp.header().to_string(), &format!("{},\"exp\":1e400}}", &text[..text.len() - 1]));

    all_refused(
        &world,
        &key,
        vec![
            ("exp missing", idp.sign(&same_jti(&idp).without("exp")), MANDATORY),
            ("exp null", with("exp", Value::Null), MANDATORY),
            ("exp a string", with("exp", json!("1800000600")), TYPE),
            ("exp negative", with("exp", json!(-1)), TYPE),
            ("exp past", idp.sign(&same_jti(&idp).without("iat").with("exp", NOW.0 - 30)), EXPIRED),
            ("exp in 2^64 seconds", with("exp", json!(u64::MAX)), TOO_LONG),
            ("exp a huge float", with("exp", json!(1e300)), TOO_LONG),
            (
                "exp beyond JSON",
                huge,
                "Error while parsing the JWT: a part is not a JSON object, or is nested too deep.",
            ),
            ("exp in ten years", with("exp", json!(NOW.0 + 315_360_000)), TOO_LONG),
            ("nbf future", with("nbf", json!(NOW.0 + 31)), early),
            ("nbf a string", with("nbf", json!("1")), TYPE),
            ("iat future", with("iat", json!(NOW.0 + 31)), future),
        ],
    )
    .await;

    let float = same_jti(&idp)
        .with("exp", json!(NOW.0 as f64 + 600.5))
        .with("nbf", NOW.0 + 30)
        .with("iat", NOW.0 + 30);
    assert_eq!(world.exchange(&key, &idp.sign(&float)).await.status, 200);
}

#[tokio::test]
async fn audience_subject_and_issuer_are_compared_byte_for_byte() {
    let (world, idp, key) = stage().await;
    let with = |name: &str, value: Value| idp.sign(&same_jti(&idp).with(name, value));
    let disabled = Idp::new("https://disabled.example", "client-1", &world.clock);
    world.trusts(&disabled, json!({ "enabled": false })).await;
    let subject = "The subject of the JSON Web Token is too long or holds control characters.";

    all_refused(
        &world,
        &key,
        vec![
            ("aud missing", idp.sign(&same_jti(&idp).without("aud")), MANDATORY),
            ("aud empty", with("aud", json!("")), MANDATORY),
            ("aud an empty array", with("aud", json!([])), MANDATORY),
            ("aud a number", with("aud", json!(1)), TYPE),
            ("aud a prefix", with("aud", json!("client-")), AUDIENCE),
            ("aud longer", with("aud", json!("client-11")), AUDIENCE),
            ("aud in other case", with("aud", json!("Client-1")), AUDIENCE),
            ("aud without the alias", with("aud", json!(["a", "b"])), AUDIENCE),
            ("sub missing", idp.sign(&same_jti(&idp).without("sub")), MANDATORY),
            ("sub empty", with("sub", json!("")), MANDATORY),
            ("sub a number", with("sub", json!(7)), TYPE),
            ("sub with a NUL", with("sub", json!("a\u{0}")), subject),
            ("jti a number", with("jti", json!(7)), TYPE),
            ("iss missing", idp.sign(&same_jti(&idp).without("iss")), UNKNOWN),
            ("iss empty", with("iss", json!("")), UNKNOWN),
            ("iss a number", with("iss", json!(7)), UNKNOWN),
            ("iss an array", with("iss", json!(["https://idp.example"])), UNKNOWN),
            ("iss with a NUL", with("iss", json!("a\u{0}")), UNKNOWN),
            ("iss unknown", with("iss", json!("https://other.example")), UNKNOWN),
            ("iss with a slash more", with("iss", json!("https://idp.example/")), UNKNOWN),
            ("iss in other case", with("iss", json!("https://IDP.example")), UNKNOWN),
            ("iss disabled", disabled.sign_for("alice"), "No active identity provider found for the JWT."),
        ],
    )
    .await;

    assert_eq!(world.exchange(&key, &with("aud", json!(["other", "client-1"]))).await.status, 200);
}

#[tokio::test]
async fn a_certificate_vouches_while_it_holds_and_not_a_second_longer() {
    let world = World::new().await;
    let (idp, key) = (Idp::new("https://short.example", "client-1", &world.clock), world.key().await);
    let pem = idp.certificate_for(NOW.minus(10), NOW.plus(60));
    world.trusts(&idp, json!({ "certificates": [pem] })).await;

    assert_eq!(world.exchange(&key, &idp.sign_for("alice")).await.status, 200);
    world.clock.advance(61);
    all_refused(&world, &key, vec![("expired", idp.sign_for("alice"), "X509Certificate has expired.")]).await;
    world.clock.advance(-72);
    all_refused(
        &world,
        &key,
        vec![("too early", idp.sign_for("alice"), "X509Certificate is not yet valid.")],
    )
    .await;
}

#[tokio::test]
async fn every_kind_of_key_signs_assertions() {
    let world = World::new().await;
    let key = world.key().await;
    for algorithm in [Algorithm::PS384, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let issuer = format!("https://{algorithm}.example");
        let idp =
            Idp::with_key(&issuer, "client-1", algorithm.key_kind(), &world.clock).signing_with(algorithm);
        world.trusts(&idp, json!({})).await;
        let answer = world.exchange(&key, &idp.sign_for("alice")).await;
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text);
    }
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_our_trouble() {
    let world = World::new().await;
    let (idp, key) = (Idp::new("https://away.example", "client-1", &world.clock), world.key().await);
    world.trusts(&idp, json!({ "certificates": [], "jwks_uri": "http://127.0.0.1:1/jwks" })).await;

    let answer = world.exchange(&key, &idp.sign_for("alice")).await;

    assert_eq!(answer.code(), (503, "temporarily_unavailable".to_owned()));
    assert!(!answer.header("retry-after").is_empty());
}
