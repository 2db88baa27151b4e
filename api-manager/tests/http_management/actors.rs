//! People who come with a token of a trusted identity provider.

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::x509::{X509, X509Name};
use serde_json::json;
use shared_claims::clock::Clock;
use shared_claims::signature::{Algorithm, KeyKind, PrivateKey, SigningHeader};

use super::{As, Manager};

/// An identity provider whose tokens open the management REST.
pub(crate) struct Idp {
    key: PrivateKey,
    issuer: String,
}

impl Idp {
    pub(crate) async fn trusted(manager: &Manager) -> Self {
        Self::registered(manager, "https://idp.example", true).await
    }

    pub(crate) async fn registered(manager: &Manager, issuer: &str, management: bool) -> Self {
        let idp = Self { key: PrivateKey::generate(KeyKind::P256).unwrap(), issuer: issuer.to_owned() };
        let body = json!({
            "name": idp.issuer, "alias": "management", "certificates": [idp.certificate()],
            "algorithms": ["ES256"], "management": management,
        });
        manager.post(&As::admin(), "/api/v1/identity-providers", body).await.made();
        idp
    }

    /// Somebody with these scopes.
    pub(crate) fn person(&self, subject: &str, scopes: &str) -> As {
        let now = Clock::System.now().0;
        let claims = json!({
            "iss": self.issuer, "sub": subject, "aud": ["management"], "scope": scopes,
            "iat": now, "exp": now + 600, "jti": format!("{subject} {scopes}"),
        });
        let header =
            SigningHeader { algorithm: Algorithm::ES256, typ: Some("at+jwt"), kid: None, x5t_s256: None };
        As(Some(format!("Bearer {}", self.key.sign(&header, &claims).unwrap())))
    }

    fn certificate(&self) -> String {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", "idp").unwrap();
        let name = name.build();
        let mut certificate = X509::builder().unwrap();
        certificate.set_version(2).unwrap();
        certificate.set_subject_name(&name).unwrap();
        certificate.set_issuer_name(&name).unwrap();
        certificate.set_pubkey(self.key.pkey()).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
        certificate.sign(self.key.pkey(), MessageDigest::sha256()).unwrap();
        String::from_utf8(certificate.build().to_pem().unwrap()).unwrap()
    }
}
