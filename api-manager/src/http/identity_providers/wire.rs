//! An identity provider as JSON.

use serde::Serialize;
use serde_json::Value;
use shared_claims::clock::UnixTime;
use shared_claims::signature::KeyKind;
use shared_server::fields::Fields;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use crate::domain::certificate::{self, Certificate};
use crate::domain::identity_provider::{Draft, IdentityProvider, LONGEST_LIFETIME, Replay, Terms};

const LONGEST_TEXT: usize = 255;
const LONGEST_URL: usize = 2_048;

/// What may be said about a provider.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the body is read field by field")]
pub(super) struct IdentityProviderBody {
    /// Its name, which is its issuer unless `issuer` says otherwise.
    name: String,
    /// What `iss` must be, byte for byte.
    issuer: Option<String>,
    /// What `aud` must hold, byte for byte: the client ID that it knows its tokens' receiver by.
    alias: String,
    /// PEM texts, each of one or several certificates. At least one, or `jwks_uri`.
    certificates: Option<Vec<String>>,
    /// Where its JWK set is; https.
    jwks_uri: Option<String>,
    /// True where absent.
    enabled: Option<bool>,
    /// RS256 to RS512, PS256 to PS512, ES256, ES384, EdDSA; all that fit the keys where absent.
    algorithms: Option<Vec<String>>,
    /// `single-use`, the default, or `reusable`.
    replay: Option<String>,
    /// In seconds, 60 to 31536000; 86400 where absent.
    max_assertion_lifetime: Option<i64>,
    /// The scopes that its assertions may buy; all that an application may have where absent.
    scopes: Option<Vec<String>>,
    /// Whether a token may outlive the assertion that bought it; false where absent.
    outlive_assertion: Option<bool>,
    /// Whether its JWTs open this management API, by their scopes; false where absent.
    management: Option<bool>,
}

/// A provider. It may be sent back as it is, to replace it.
#[derive(Serialize, ToSchema)]
pub(super) struct IdentityProviderReply {
    pub(super) id: String,
    name: String,
    issuer: String,
    alias: String,
    certificates: Vec<CertificateReply>,
    jwks_uri: Option<String>,
    enabled: bool,
    algorithms: Vec<&'static str>,
    replay: &'static str,
    max_assertion_lifetime: i64,
    scopes: Option<Vec<String>>,
    outlive_assertion: bool,
    management: bool,
    created_at: String,
    updated_at: String,
    revision: i64,
}

/// A registered certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct CertificateReply {
    subject: String,
    issuer: String,
    /// RFC 3339.
    not_before: String,
    /// RFC 3339.
    not_after: String,
    /// Hexadecimal, lower case.
    thumbprint_sha256: String,
    /// The same as base64url: `x5t#S256` of a JWT's header.
    x5t_s256: String,
    /// `RSA`, `P-256`, `P-384` or `Ed25519`.
    key_type: &'static str,
    pem: String,
}

impl IdentityProviderReply {
    pub(super) fn of(provider: &IdentityProvider) -> Self {
        let certificates =
            provider.certificates.iter().filter_map(|pem| certificate::read(pem).ok()).flatten();
        Self {
            id: provider.id.to_string(),
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            alias: provider.alias.clone(),
            certificates: certificates.map(CertificateReply::of).collect(),
            jwks_uri: provider.jwks_uri.clone(),
            enabled: provider.enabled,
            algorithms: provider.algorithms.iter().map(|algorithm| algorithm.as_str()).collect(),
            replay: provider.replay.as_str(),
            max_assertion_lifetime: provider.max_assertion_lifetime,
            scopes: provider.scopes.as_ref().map(|scopes| scopes.iter().map(str::to_owned).collect()),
            outlive_assertion: provider.outlive_assertion,
            management: provider.management,
            created_at: provider.created_at.rfc3339(),
            updated_at: provider.updated_at.rfc3339(),
            revision: provider.revision,
        }
    }
}

impl CertificateReply {
    fn of(certificate: Certificate) -> Self {
        Self {
            subject: certificate.subject,
            issuer: certificate.issuer,
            not_before: certificate.not_before.rfc3339(),
            not_after: certificate.not_after.rfc3339(),
            thumbprint_sha256: certificate.thumbprint.hex(),
            x5t_s256: certificate.thumbprint.base64url(),
            key_type: match certificate.key.kind() {
                KeyKind::Rsa => "RSA",
                KeyKind::P256 => "P-256",
                KeyKind::P384 => "P-384",
                KeyKind::Ed25519 => "Ed25519",
            },
            pem: certificate.pem,
        }
    }
}

/// Reads a provider and applies its rules; one answer names every bad field.
pub(super) fn read(mut fields: Fields, plain_http: bool, now: UnixTime) -> Result<Terms, Problem> {
    fields.ignore(&["id", "created_at", "updated_at", "revision"]);
    let draft = Draft {
        name: fields.required_text("name", LONGEST_TEXT),
        issuer: fields.text("issuer", LONGEST_TEXT),
        alias: fields.required_text("alias", LONGEST_TEXT),
        certificates: read_certificates(&mut fields),
        jwks_uri: fields.text("jwks_uri", LONGEST_URL),
        enabled: fields.flag("enabled"),
        algorithms: fields.texts("algorithms", 16, 16, false),
        replay: fields
            .word("replay", &[Replay::SingleUse, Replay::Reusable].map(|replay| (replay.as_str(), replay))),
        max_assertion_lifetime: fields.integer("max_assertion_lifetime", LONGEST_LIFETIME),
        scopes: fields.texts("scopes", 100, LONGEST_TEXT, false),
        outlive_assertion: fields.flag("outlive_assertion"),
        management: fields.flag("management"),
    };
    let checked = draft.check(plain_http, now);
    for error in checked.as_ref().err().into_iter().flatten() {
        let whole = error.field.split('[').next().unwrap_or_default();
        if !fields.is_blamed(&error.field) && !fields.is_blamed(whole) || error.field.contains('[') {
            fields.blame(&error.field, error.detail.clone());
        }
    }
    fields.finish()?;
    // Blamed fields end above, so this cannot fail.
    checked.map_err(Problem::fields)
}

/// Each item is a PEM text, or a certificate as we answered it.
fn read_certificates(fields: &mut Fields) -> Vec<String> {
    let items = match fields.value("certificates") {
        None => return Vec::new(),
        Some(Value::Array(items)) if items.len() <= certificate::MOST => items,
        Some(Value::Array(_)) => {
            fields.blame(
                "certificates",
                format!("has too many items; at most {} are accepted", certificate::MOST),
            );
            return Vec::new();
        }
        Some(_) => {
            fields.blame("certificates", "must be a list of PEM texts");
            return Vec::new();
        }
    };
    let mut texts = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match item.as_str().or_else(|| item.get("pem")?.as_str()) {
            Some(text) => texts.push(text.to_owned()),
            None => {
                fields.blame(&format!("certificates[{place}]"), "must be a PEM text");
                // Keeps the places of those that follow, for their own errors.
                texts.push(String::new());
            }
        }
    }
    texts
}
