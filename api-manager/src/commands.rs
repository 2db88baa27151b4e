//! What the command line does besides serving. It writes to the database; a running server acts on that at once.

use std::path::Path;

use serde_json::Value;
use shared_claims::clock::Clock;
use shared_claims::field_error::FieldError;
use shared_server::database::StorageError;
use shared_server::outbound::{FetchError, OutboundError};
use url::Url;

use crate::bootstrap::{Foundation, StartError};
use crate::domain::actor::Actor;
use crate::domain::identity_provider::{Draft, IdentityProvider};
use crate::flows::{FlowError, trust};
use crate::issuers::Issuers;
use crate::settings::{self, Settings};

/// Who the audit trail names.
const BY: &str = "command line";
const FILE_REMEDY: &str = "give its certificate as a file instead";

/// `trust add`, as it was typed.
#[derive(Clone, Debug)]
pub struct TrustAdd {
    /// The URL of an issuer, of its metadata or of its JWK set; or a PEM file.
    pub source: String,
    /// What the tokens hold in `aud`.
    pub alias: String,
    /// The provider's name; for a file or a JWK set also its issuer.
    pub name: Option<String>,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    /// The URL answers with nothing that we can use.
    #[error("{url} cannot be fetched: {cause}; {FILE_REMEDY}")]
    Fetch {
        /// As it was typed.
        url: String,
        /// Why.
        cause: FetchError,
    },
    /// The document names no keys.
    #[error("{0} is neither an issuer's metadata (issuer, jwks_uri) nor a JWK set (keys)")]
    Document(String),
    /// A file or a JWK set does not say whose it is.
    #[error(
        "the issuer is not known from this source; say it with --name, byte for byte as the tokens have it in iss"
    )]
    NameMissing,
    /// Fields are wrong.
    #[error("{}", .0.iter().map(|e| format!("{} {}", e.field, e.detail)).collect::<Vec<_>>().join("\n"))]
    Fields(Vec<FieldError>),
    /// It is trusted already.
    #[error("{0}")]
    Conflict(String),
    /// The settings do not allow fetching.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The database cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Something else of ours failed.
    #[error("{0}")]
    Fault(String),
}

impl From<FlowError> for CommandError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Fields(errors) => Self::Fields(errors),
            FlowError::Conflict(sentence) => Self::Conflict(sentence),
            FlowError::Storage(error) => Self::Storage(error),
            other => Self::Fault(format!("{other:?}")),
        }
    }
}

/// Trusts an identity provider.
///
/// # Errors
/// [`CommandError`], with what to do.
pub async fn trust_add(
    settings: &Settings,
    clock: &Clock,
    asked: TrustAdd,
) -> Result<IdentityProvider, CommandError> {
    let now = clock.now();
    let is_url = asked.source.starts_with("https://") || asked.source.starts_with("http://");
    let draft = if is_url { from_url(settings, asked).await? } else { from_file(asked)? };
    let terms = draft.check(settings.allow_http_jwks, now).map_err(CommandError::Fields)?;

    let Foundation { database, .. } = Foundation::lay(settings).await?;
    let actor = Actor { name: BY.to_owned(), scopes: None };
    Ok(trust::add_to(&database, &actor, terms, now).await?)
}

fn from_file(asked: TrustAdd) -> Result<Draft, CommandError> {
    let pem = settings::read_text(Path::new(&asked.source));
    let pem = pem.map_err(|error| CommandError::File(asked.source.clone(), error))?;
    let name = asked.name.ok_or(CommandError::NameMissing)?;
    Ok(Draft { name, alias: asked.alias, certificates: vec![pem], ..Draft::default() })
}

async fn from_url(settings: &Settings, asked: TrustAdd) -> Result<Draft, CommandError> {
    let issuers = Issuers::new(settings)?;
    let mut failure = None;
    for url in places(&asked.source) {
        let document = match issuers.fetch(&url).await {
            Ok(body) => serde_json::from_slice::<Value>(&body).unwrap_or_default(),
            Err(cause) => {
                failure.get_or_insert(cause);
                continue;
            }
        };
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(issuer), Some(jwks_uri)) = (text("issuer"), text("jwks_uri")) {
            let name = asked.name.unwrap_or_else(|| issuer.clone());
            let (issuer, jwks_uri) = (Some(issuer), Some(jwks_uri));
            return Ok(Draft { name, issuer, alias: asked.alias, jwks_uri, ..Draft::default() });
        }
        if document.get("keys").is_some_and(Value::is_array) {
            let name = asked.name.ok_or(CommandError::NameMissing)?;
            return Ok(Draft { name, alias: asked.alias, jwks_uri: Some(url), ..Draft::default() });
        }
    }
    Err(match failure {
        Some(cause) => CommandError::Fetch { url: asked.source, cause },
        None => CommandError::Document(asked.source),
    })
}

/// Where the metadata or the key set may be: at the URL itself where it looks like one of them, else where OpenID
/// Connect Discovery (section 4) and RFC 8414 (section 3.1) put it for an issuer.
fn places(source: &str) -> Vec<String> {
    let trimmed = source.trim_end_matches('/');
    if source.contains("/.well-known/") {
        return vec![source.to_owned()];
    }
    let mut places = vec![format!("{trimmed}/.well-known/openid-configuration")];
    if let Ok(mut url) = Url::parse(trimmed) {
        let path = format!("/.well-known/oauth-authorization-server{}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        places.push(url.to_string());
    }
    places.push(source.to_owned());
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_looked_up_where_both_standards_put_its_metadata() {
        assert_eq!(
            places("https://idp.example/realms/a/"),
            [
                "https://idp.example/realms/a/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server/realms/a",
                "https://idp.example/realms/a/",
            ]
        );
        let metadata = "https://idp.example/.well-known/openid-configuration";
        assert_eq!(places(metadata), [metadata]);
    }

    #[test]
    fn a_certificate_needs_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("idp.pem");
        std::fs::write(&file, "x").unwrap();
        let asked = TrustAdd { source: file.display().to_string(), alias: "a".to_owned(), name: None };

        assert!(matches!(from_file(asked.clone()), Err(CommandError::NameMissing)));
        assert!(from_file(TrustAdd { name: Some("n".to_owned()), ..asked.clone() }).is_ok());
        let missing = TrustAdd { source: "/nowhere".to_owned(), ..asked };
        assert!(matches!(from_file(missing), Err(CommandError::File(..))));
    }
}
