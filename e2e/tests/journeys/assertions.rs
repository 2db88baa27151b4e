//! Assertions that must buy nothing, each refused for its own reason, and none of them burning the good ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::actors::Application;
use e2e::idp::{Algorithm, Claims, Idp, KeyKind, compact, sign_hs256};
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::{timeless_world, world};

/// A claim or header that is bent, and what it is called in a failure.
type Bent = (&'static str, String);

/// Each is refused with `invalid_grant`, and afterwards a good assertion is as good as ever.
async fn all_are_refused(application: &Application, idp: &Idp, assertions: Vec<Bent>) {
    for (name, assertion) in assertions {
        let answer = application.exchanges(&assertion).await;

        assert_eq!(answer.refusal(), (400, "invalid_grant".into()), "{name}: {}", answer.text());
        assert!(!answer.member("error_description").is_empty(), "{name}");
        assert!(answer.header("cache-control").contains("no-store"), "{name}");
    }
    assert_eq!(application.exchanges(&idp.sign_for("alice")).await.status, 200, "a good one afterwards");
}

on_every_stage! {
    async fn what_is_not_a_signed_jwt_is_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let good = idp.sign_for("alice");
        let parts: Vec<&str> = good.split('.').collect();

        all_are_refused(&application, &idp, vec![
            ("junk", "junk".into()),
            ("two parts", format!("{}.{}", parts[0], parts[1])),
            ("four parts", format!("{good}.{}", parts[2])),
            ("five parts, as a JWE has", format!("{}.a.b.c.d", URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#))),
            ("not base64url", good.replace('.', "!.")),
            ("padding", format!("{good}==")),
            ("a header that is not JSON", idp.sign_text("header", &idp.claims("alice").text())),
            ("a payload that is not JSON", idp.sign_text(&idp.header().to_string(), "payload")),
            ("a payload that is an array", idp.sign_text(&idp.header().to_string(), "[]")),
            ("JSON 300 levels deep", idp.sign(&idp.claims("alice").with("deep", deep(300)))),
            ("a claim twice", twice(&idp, "sub", "bob")),
            ("a header member twice", idp.sign_text(r#"{"alg":"RS256","alg":"RS256","typ":"JWT"}"#, &idp.claims("alice").text())),
        ]).await;
    }

    async fn a_signature_that_is_not_the_issuers_is_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let good = idp.sign_for("alice");
        let parts: Vec<&str> = good.split('.').collect();
        let stranger = Idp::new(&idp.issuer, &idp.alias, &world.clock);
        let tampered = URL_SAFE_NO_PAD.encode(idp.claims("mallory").text());
        let shorter = &good[..good.len() - 8];

        all_are_refused(&application, &idp, vec![
            ("a tampered payload", format!("{}.{tampered}.{}", parts[0], parts[2])),
            ("another key", stranger.sign_for("alice")),
            ("a signature cut short", shorter.to_owned()),
            ("a signature made longer", format!("{good}AAAA")),
            ("no signature", format!("{}.{}.", parts[0], parts[1])),
            ("the signature of another token", format!("{}.{}.{}", parts[0], parts[1], idp.sign_for("bob").rsplit('.').next().unwrap())),
        ]).await;
    }

    async fn no_single_altered_character_goes_unnoticed(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let good = idp.sign_for("alice");
        // The last character of a part may carry bits that no decoder looks at; every other one counts.
        for place in (0..good.len() - 1).step_by(5).filter(|place| good.as_bytes()[*place] != b'.') {
            let other = if good.as_bytes()[place] == b'A' { "B" } else { "A" };
            let altered = format!("{}{other}{}", &good[..place], &good[place + 1..]);

            let answer = application.exchanges(&altered).await;

            assert_eq!(answer.refusal(), (400, "invalid_grant".into()), "at {place}: {}", answer.text());
        }
        assert_eq!(application.exchanges(&good).await.status, 200);
    }

    async fn an_algorithm_is_the_keys_and_never_the_senders(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let payload = idp.claims("alice").text();
        let certificate = idp.certificate();
        let spki = idp.key().public_key_to_der().unwrap();
        let spki_pem = idp.key().public_key_to_pem().unwrap();
        let mut assertions: Vec<Bent> = Vec::new();
        for alg in [json!("none"), json!("None"), json!("nOnE"), json!("NONE"), json!(""), json!(null), json!(1)] {
            assertions.push(("alg none, without a signature", compact(&json!({ "alg": alg }), &payload, b"")));
            assertions.push(("alg none, with a signature", idp.sign_under(&json!({ "alg": alg }), &idp.claims("alice"))));
        }
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        for key in [certificate.as_bytes(), certificate.trim_end().as_bytes(), &spki, &spki_pem] {
            assertions.push(("HS256 keyed with what is public", sign_hs256(&header, &payload, key)));
        }
        for alg in ["ES256", "EdDSA", "PS256", "RS512", "HS256", "RS256 ", "rs256"] {
            assertions.push(("another algorithm in the header than in the signature", idp.sign_under(&json!({ "alg": alg }), &idp.claims("alice"))));
        }
        assertions.push(("no alg", idp.sign_under(&json!({ "typ": "JWT" }), &idp.claims("alice"))));

        all_are_refused(&application, &idp, assertions).await;
    }

    async fn a_key_of_one_kind_does_not_verify_algorithms_of_another(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        for (kind, alg) in [(KeyKind::P256, "RS256"), (KeyKind::P256, "ES384"), (KeyKind::Ed25519, "ES256"), (KeyKind::P256, "EdDSA")] {
            let idp = Idp::with_key(&format!("https://{kind:?}-{alg}.example"), "us", kind, &world.clock);
            world.administrator().trusts(&idp).await;
            let crossed = idp.sign_under(&json!({ "alg": alg, "typ": "JWT" }), &idp.claims("alice"));

            all_are_refused(&application, &idp, vec![(alg, crossed)]).await;
        }
    }

    async fn an_algorithm_that_the_identity_provider_does_not_list_is_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.strange_idp();
        world.administrator().trusts_with(&idp, &json!({ "algorithms": ["RS256"] })).await;
        let application = world.subscribed_application("pets").await;

        all_are_refused(&application, &idp, vec![("RS512", idp.signing_with(Algorithm::RS512).sign_for("alice"))]).await;
    }

    async fn headers_that_bring_keys_along_are_ignored(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let thief = Idp::new(&idp.issuer, &idp.alias, &world.clock);
        let jwk = json!({ "kty": "oct", "k": "AAAA" });
        for (name, value) in [
            ("jku", json!(format!("{}/jwks", world.backend.url()))),
            ("x5u", json!(format!("{}/cert", world.backend.url()))),
            ("jwk", jwk),
            ("x5c", json!([pem_body(&thief.certificate())])),
        ] {
            let header = json!({ "alg": "RS256", "typ": "JWT", name: value });

            let honest = application.exchanges(&idp.sign_under(&header, &idp.claims("alice"))).await;
            let forged = application.exchanges(&thief.sign_under(&header, &thief.claims("alice"))).await;

            assert_eq!(honest.status, 200, "{name}: {}", honest.text());
            assert_eq!(forged.refusal(), (400, "invalid_grant".into()), "{name}");
        }
        assert_eq!(world.backend.reached(), 0, "nobody fetched a key from the sender's address");
    }

    async fn headers_that_must_be_understood_are_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let under = |header: Value| idp.sign_under(&header, &idp.claims("alice"));

        all_are_refused(&application, &idp, vec![
            ("an unknown crit", under(json!({ "alg": "RS256", "crit": ["x"], "x": 1 }))),
            ("an empty crit", under(json!({ "alg": "RS256", "crit": [] }))),
            ("b64 false", under(json!({ "alg": "RS256", "crit": ["b64"], "b64": false }))),
            ("zip", under(json!({ "alg": "RS256", "zip": "DEF" }))),
            ("another typ", under(json!({ "alg": "RS256", "typ": "logout+jwt" }))),
            ("an ID token's nested type", under(json!({ "alg": "RS256", "typ": "JWT", "enc": "A256GCM" }))),
        ]).await;
        for typ in ["JWT", "at+jwt", "application/at+jwt"] {
            assert_eq!(application.exchanges(&under(json!({ "alg": "RS256", "typ": typ }))).await.status, 200, "{typ}");
        }
    }

    async fn times_out_of_bounds_are_refused(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let now = world.clock.now().0;
        let with = |name: &str, value: Value| idp.sign(&idp.claims("alice").with(name, value));

        all_are_refused(&application, &idp, vec![
            ("exp missing", idp.sign(&idp.claims("alice").without("exp"))),
            ("exp null", with("exp", json!(null))),
            ("exp as text", with("exp", json!((now + 600).to_string()))),
            ("exp negative", with("exp", json!(-1))),
            ("exp huge", with("exp", json!(u64::MAX))),
            ("exp beyond any number", idp.sign_text(&idp.header().to_string(), &idp.claims("alice").text().replace(&(now + 600).to_string(), "1e400"))),
            ("exp ten years away", with("exp", json!(now + 10 * 365 * 86_400))),
            ("exp past", with("exp", json!(now - 31))),
            ("exp past by exactly the skew", with("exp", json!(now - 30))),
            ("nbf future", with("nbf", json!(now + 60))),
            ("nbf as text", with("nbf", json!("now"))),
            ("iat future", with("iat", json!(now + 60))),
            ("iat as text", with("iat", json!("now"))),
        ]).await;
        for (name, good) in [
            ("exp as a float", with("exp", json!(f64::from(u32::try_from(now).unwrap()) + 600.5))),
            ("exp past within the skew", with("exp", json!(now - 29))),
            ("nbf future within the skew", with("nbf", json!(now + 30))),
            ("iat missing", idp.sign(&idp.claims("alice").without("iat"))),
        ] {
            let answer = application.exchanges(&good).await;
            assert!(answer.status == 200 || name == "exp past within the skew", "{name}: {}", answer.text());
        }
    }

    async fn an_audience_must_hold_the_alias_exactly(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let alias = idp.alias.as_str();
        let to = |aud: Value| idp.sign(&idp.claims("alice").with("aud", aud));

        all_are_refused(&application, &idp, vec![
            ("missing", idp.sign(&idp.claims("alice").without("aud"))),
            ("null", to(json!(null))),
            ("empty text", to(json!(""))),
            ("an empty array", to(json!([]))),
            ("a prefix of the alias", to(json!(&alias[..alias.len() - 1]))),
            ("a continuation of the alias", to(json!(format!("{alias}x")))),
            ("another case", to(json!(alias.to_uppercase()))),
            ("an array without the alias", to(json!(["a", "b"]))),
            ("a number", to(json!(1))),
            ("an array with a number", to(json!([alias, 1]))),
            ("an object", to(json!({ "aud": alias }))),
        ]).await;
        for aud in [json!(alias), json!([alias]), json!(["others", alias])] {
            assert_eq!(application.exchanges(&to(aud.clone())).await.status, 200, "{aud}");
        }
    }

    async fn an_assertion_without_a_subject_or_a_known_issuer_is_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let with = |name: &str, value: Value| idp.sign(&idp.claims("alice").with(name, value));

        all_are_refused(&application, &idp, vec![
            ("sub missing", idp.sign(&idp.claims("alice").without("sub"))),
            ("sub empty", with("sub", json!(""))),
            ("sub a number", with("sub", json!(1))),
            ("sub with a control character", with("sub", json!("a\u{0}b"))),
            ("iss missing", idp.sign(&idp.claims("alice").without("iss"))),
            ("iss empty", with("iss", json!(""))),
            ("iss unknown", with("iss", json!("https://nobody.example"))),
            ("iss with a slash at the end", with("iss", json!(format!("{}/", idp.issuer)))),
            ("iss in another case", with("iss", json!(idp.issuer.to_uppercase()))),
            ("iss as an array", with("iss", json!([idp.issuer]))),
            ("jti a number", with("jti", json!(7))),
        ]).await;
    }

    async fn an_expired_certificate_vouches_for_nothing(stage: Stage) {
        let world = timeless_world(stage).await;
        let now = world.clock.now();
        let idp = world.strange_idp();
        let short = json!({ "certificates": [idp.certificate_for(now.minus(60), now.plus(3_600))] });
        world.administrator().trusts_with(&idp, &short).await;
        let application = world.subscribed_application("pets").await;
        assert_eq!(application.exchanges(&idp.sign_for("alice")).await.status, 200);

        world.clock.advance(3_700);
        let refused = application.exchanges(&idp.sign_for("alice")).await;

        assert_eq!(refused.refusal(), (400, "invalid_grant".into()));
        assert!(refused.text().to_lowercase().contains("expired"), "{}", refused.text());
    }

    async fn a_long_assertion_is_read_and_an_endless_one_is_not(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let of = |length: usize| idp.sign(&idp.claims("alice").with("note", "x".repeat(length)));

        assert_eq!(application.exchanges(&of(5_500)).await.status, 200);
        for length in [60_000, 700_000] {
            let answer = application.exchanges(&of(length)).await;
            assert!((400..500).contains(&answer.status), "{length}: {} {}", answer.status, answer.text());
        }
        assert_eq!(application.exchanges(&idp.sign_for("alice")).await.status, 200);
    }
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// The good claims with a second member of the same name at the end.
fn twice(idp: &Idp, name: &str, value: &str) -> String {
    let claims: Claims = idp.claims("alice");
    let text = claims.text();
    let text = format!("{},\"{name}\":\"{value}\"}}", text.trim_end_matches('}'));
    idp.sign_text(&idp.header().to_string(), &text)
}

fn pem_body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}
