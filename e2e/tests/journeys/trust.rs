//! Trust given and taken away: what happens to the tokens that it bought.

use e2e::idp::Idp;
use serde_json::json;
use test_support::on_every_stage;

use super::{timeless_world, world};

on_every_stage! {
    async fn a_disabled_identity_provider_suspends_its_tokens_and_an_enabled_one_revives_them(stage: Stage) {
        let world = world(stage).await;
        let administrator = world.administrator();
        let idp = world.strange_idp();
        let id = administrator.trusts(&idp).await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);

        administrator.changes_trust(&id, &json!({ "enabled": false })).await;
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.refusal(), (401, "900901".into()));
        assert_eq!(application.introspects(&token).await.json(), json!({ "active": false }));
        assert_eq!(application.exchanges(&idp.sign_for("alice")).await.refusal(), (400, "invalid_grant".into()));

        administrator.changes_trust(&id, &json!({ "enabled": true })).await;
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);
        assert_eq!(application.exchanges(&idp.sign_for("alice")).await.status, 200);
    }

    async fn a_deleted_identity_provider_takes_its_tokens_along(stage: Stage) {
        let world = world(stage).await;
        let administrator = world.administrator();
        let (doomed, other) = (world.strange_idp(), world.trusted_idp().await);
        let id = administrator.trusts(&doomed).await;
        let application = world.subscribed_application("pets").await;
        let token = application.exchanges(&doomed.sign_for("alice")).await.token();
        let kept = application.exchanges(&other.sign_for("alice")).await.token();
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 200);

        administrator.ends_trust(&id).await;

        assert_eq!(application.calls("/pets/1.0/cats", &token).await.refusal(), (401, "900901".into()));
        assert_eq!(application.calls("/pets/1.0/cats", &kept).await.status, 200);
        assert_eq!(application.exchanges(&doomed.sign_for("alice")).await.refusal(), (400, "invalid_grant".into()));

        administrator.trusts(&doomed).await;
        assert_eq!(application.calls("/pets/1.0/cats", &token).await.status, 401, "what was revoked stays revoked");
    }

    async fn two_certificates_overlap_for_a_rotation(stage: Stage) {
        let world = world(stage).await;
        let old = world.strange_idp();
        let new = Idp::new(&old.issuer, &old.alias, &world.clock);
        let administrator = world.administrator();
        let id = administrator.trusts(&old).await;
        let application = world.subscribed_application("pets").await;
        assert_eq!(application.exchanges(&new.sign_for("alice")).await.status, 400);

        administrator.changes_trust(&id, &json!({ "certificates": [old.certificate(), new.certificate()] })).await;
        assert_eq!(application.exchanges(&old.sign_for("alice")).await.status, 200);
        assert_eq!(application.exchanges(&new.sign_for("alice")).await.status, 200);

        administrator.changes_trust(&id, &json!({ "certificates": [new.certificate()] })).await;
        assert_eq!(application.exchanges(&old.sign_for("alice")).await.status, 400);
        assert_eq!(application.exchanges(&new.sign_for("alice")).await.status, 200);
    }

    async fn a_certificate_is_refused_with_its_own_reason(stage: Stage) {
        let world = timeless_world(stage).await;
        let idp = world.strange_idp();
        let now = world.clock.now();
        let key = String::from_utf8(idp.key().private_key_to_pem_pkcs8().unwrap()).unwrap();
        let public = String::from_utf8(idp.key().public_key_to_pem().unwrap()).unwrap();
        let mut reasons = std::collections::BTreeSet::new();
        let certificates = [
            "not a certificate".to_owned(),
            key,
            public,
            idp.certificate_for(now.plus(3_600), now.plus(7_200)),
            idp.certificate_for(now.minus(7_200), now.minus(3_600)),
            small_rsa(),
        ];
        for certificate in &certificates {
            let body = json!({ "name": idp.issuer, "alias": idp.alias, "certificates": [certificate] });

            let answer = world.administrator().asks_to_trust(&body).await;

            assert!(matches!(answer.status, 400 | 422), "{} {}", answer.status, answer.text());
            let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
            assert_eq!(errors.len(), 1, "{}", answer.text());
            assert!(errors[0]["field"].as_str().unwrap().starts_with("certificates"), "{}", answer.text());
            reasons.insert(errors[0]["detail"].as_str().unwrap().to_owned());
        }
        assert_eq!(reasons.len(), certificates.len(), "each has a reason of its own: {reasons:#?}");
    }
}

/// A self-signed certificate of a 1024-bit key.
fn small_rsa() -> String {
    use openssl::asn1::Asn1Time;
    let key = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(1_024).unwrap()).unwrap();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_not_before(&Asn1Time::from_unix(1_899_000_000).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(1_901_000_000).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}
