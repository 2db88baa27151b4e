//! What everybody may read, from memory: the JWK set, the certificate, and both metadata documents.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::openapi::MetadataBody;
use crate::app::App;
use crate::domain::client::GRANT_TYPES;
use crate::keys::Document;

/// The metadata, which does not change while the server runs.
pub(crate) struct Metadata {
    issuer_path: String,
    oauth: Document,
    openid: Document,
}

impl Metadata {
    /// Describes the server that is reached at `public_url` and calls itself `issuer`.
    pub(crate) fn new(issuer: &str, public_url: &str) -> Self {
        Self {
            issuer_path: path_of(issuer).to_owned(),
            oauth: Document::new(oauth_document(issuer, public_url).to_string()),
            openid: Document::new(openid_document(issuer, public_url).to_string()),
        }
    }

    /// Where RFC 8414 section 3.1 has its document: the well-known part comes before the issuer's path.
    pub(crate) fn oauth_paths(&self) -> Vec<String> {
        let plain = "/.well-known/oauth-authorization-server".to_owned();
        let inserted = format!("{plain}{}", self.issuer_path);
        if inserted == plain { vec![plain] } else { vec![inserted, plain] }
    }

    /// Where OpenID Connect Discovery section 4 has its document — after the issuer's path — and where RFC 8414
    /// section 5 would look for it.
    pub(crate) fn openid_paths(&self) -> Vec<String> {
        let plain = "/.well-known/openid-configuration".to_owned();
        let (appended, inserted) =
            (format!("{}{plain}", self.issuer_path), format!("{plain}{}", self.issuer_path));
        if appended == plain { vec![plain] } else { vec![appended, inserted, plain] }
    }
}

/// The path of an issuer URL without a slash at the end, fit for a route; empty where there is none.
fn path_of(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().trim_end_matches('/');
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/-._~".contains(c));
    if is_plain { path } else { "" }
}

fn oauth_document(issuer: &str, public_url: &str) -> Value {
    let methods = ["client_secret_basic", "client_secret_post"];
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{public_url}/oauth2/token"),
        "jwks_uri": format!("{public_url}/oauth2/jwks"),
        "introspection_endpoint": format!("{public_url}/oauth2/introspect"),
        "revocation_endpoint": format!("{public_url}/oauth2/revoke"),
        "grant_types_supported": GRANT_TYPES.map(|(name, _)| name),
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "scopes_supported": ["openid", "profile", "email", "phone", "address", "groups", "roles"],
        // Required by RFC 8414 section 2, and empty: no authorization endpoint answers yet.
        "response_types_supported": [],
        "service_documentation": format!("{public_url}/docs/"),
    })
}

/// `authorization_endpoint` is required by OpenID Connect Discovery section 3, but nothing answers there yet, and
/// metadata that names what does not exist would mislead more clients than metadata that lacks it.
fn openid_document(issuer: &str, public_url: &str) -> Value {
    let mut document = oauth_document(issuer, public_url);
    if let Value::Object(members) = &mut document {
        members.insert("subject_types_supported".to_owned(), json!(["public"]));
        members.insert("id_token_signing_alg_values_supported".to_owned(), json!(["RS256"]));
        let claims = [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "nbf",
            "jti",
            "azp",
            "client_id",
            "scope",
            "preferred_username",
            "name",
            "given_name",
            "middle_name",
            "family_name",
            "nickname",
            "profile",
            "zoneinfo",
            "locale",
            "updated_at",
            "email",
            "email_verified",
            "phone_number",
            "phone_number_verified",
            "address",
            "groups",
            "roles",
        ];
        members.insert("claims_supported".to_owned(), json!(claims));
    }
    document
}

/// The keys that verify this server's tokens.
#[utoipa::path(get, path = "/oauth2/jwks", tag = "keys", responses(
    (status = 200, description = "A JWK set (RFC 7517), each key with x5c and x5t#S256", body = Object),
    (status = 304, description = "Unchanged"),
))]
pub(super) async fn jwks(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let published = app.keys.published(app.clock.now());
    serve(&request, &published.jwks, "application/json", 300)
}

/// The certificate of the RSA key that signs now.
#[utoipa::path(get, path = "/oauth2/certificate", tag = "keys", responses(
    (status = 200, description = "PEM", body = String, content_type = "application/x-pem-file"),
    (status = 304, description = "Unchanged"),
))]
pub(super) async fn certificate(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let published = app.keys.published(app.clock.now());
    serve(&request, &published.certificate, "application/x-pem-file", 60)
}

/// Authorization server metadata (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "metadata", responses(
    (status = 200, description = "The metadata", body = MetadataBody),
    (status = 304, description = "Unchanged"),
))]
pub(super) async fn oauth_metadata(metadata: web::Data<Metadata>, request: HttpRequest) -> HttpResponse {
    serve(&request, &metadata.oauth, "application/json", 3_600)
}

/// OpenID provider metadata (OpenID Connect Discovery 1.0).
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "metadata", responses(
    (status = 200, description = "The metadata", body = MetadataBody),
    (status = 304, description = "Unchanged"),
))]
pub(super) async fn openid_metadata(metadata: web::Data<Metadata>, request: HttpRequest) -> HttpResponse {
    serve(&request, &metadata.openid, "application/json", 3_600)
}

fn serve(request: &HttpRequest, document: &Document, media: &'static str, max_age: u32) -> HttpResponse {
    let known =
        request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == document.etag || tag == "*");
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((ETAG, document.etag.clone()))
        .insert_header((CACHE_CONTROL, format!("public, max-age={max_age}")))
        // Public by nature: a page of any origin may verify tokens.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((CONTENT_TYPE, media)).body(document.body.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_with_a_path_has_its_metadata_before_and_after_it() {
        let metadata = Metadata::new("https://id.example/a/b/", "https://id.example");
        assert_eq!(metadata.oauth_paths()[0], "/.well-known/oauth-authorization-server/a/b");
        assert_eq!(metadata.openid_paths()[0], "/a/b/.well-known/openid-configuration");
        assert_eq!(Metadata::new("https://id.example", "https://x").oauth_paths().len(), 1);
        assert_eq!(path_of("urn:x"), "");
        assert_eq!(path_of("https://x/{a}"), "");
    }
}
