//! What an administrator says about a provider, checked field by field so that every fault is named at once.

use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_claims::scope::ScopeSet;
use shared_claims::signature::{ALGORITHMS, Algorithm, KeyKind};
use url::Url;

use super::Replay;
use crate::domain::certificate::{self, BadCertificate};

/// The bounds of `max_assertion_lifetime`, in seconds: a minute to a year.
pub const LONGEST_LIFETIME: std::ops::RangeInclusive<i64> = 60..=31_536_000;
const DEFAULT_LIFETIME: i64 = 86_400;
const LONGEST_TEXT: usize = 255;
const LONGEST_URL: usize = 2_048;

/// A provider as it was described; absent members take their defaults.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// See [`super::IdentityProvider::name`].
    pub name: String,
    /// The name where absent.
    pub issuer: Option<String>,
    /// See [`super::IdentityProvider::alias`].
    pub alias: String,
    /// PEM texts, each of which may hold several certificates.
    pub certificates: Vec<String>,
    /// See [`super::IdentityProvider::jwks_uri`].
    pub jwks_uri: Option<String>,
    /// True where absent.
    pub enabled: Option<bool>,
    /// All that fit the registered keys where absent.
    pub algorithms: Option<Vec<String>>,
    /// Single use where absent.
    pub replay: Option<Replay>,
    /// A day where absent.
    pub max_assertion_lifetime: Option<i64>,
    /// No limit where absent.
    pub scopes: Option<Vec<String>>,
    /// False where absent.
    pub outlive_assertion: Option<bool>,
    /// False where absent.
    pub management: Option<bool>,
}

/// A draft that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the members are those of IdentityProvider")]
pub struct Terms {
    pub name: String,
    pub issuer: String,
    pub alias: String,
    pub certificates: Vec<String>,
    pub jwks_uri: Option<String>,
    pub enabled: bool,
    pub algorithms: Vec<Algorithm>,
    pub replay: Replay,
    pub max_assertion_lifetime: i64,
    pub scopes: Option<ScopeSet>,
    pub outlive_assertion: bool,
    pub management: bool,
}

impl Draft {
    /// Checks every field. A `jwks_uri` may be plain http only where `plain_http` says so.
    ///
    /// # Errors
    /// Every bad field with its remedy.
    pub fn check(self, plain_http: bool, now: UnixTime) -> Result<Terms, Vec<FieldError>> {
        let mut errors = Vec::new();
        check_text("name", &self.name, &mut errors);
        if let Some(issuer) = &self.issuer {
            check_text("issuer", issuer, &mut errors);
        }
        check_text("alias", &self.alias, &mut errors);

        let (certificates, kinds) = read_certificates(&self.certificates, now, &mut errors);
        if let Some(fault) = self.jwks_uri.as_deref().and_then(|uri| url_fault(uri, plain_http)) {
            errors.push(FieldError::new("jwks_uri", fault));
        }
        if self.certificates.is_empty() && self.jwks_uri.is_none() {
            let detail = "is required unless jwks_uri is given: without a key no assertion can be verified";
            errors.push(FieldError::new("certificates", detail));
        }

        // A JWK set may hold keys of every kind, tomorrow if not today.
        let kinds = self.jwks_uri.is_none().then_some(kinds);
        let algorithms = read_algorithms(self.algorithms, kinds.as_deref(), &mut errors);
        let max_assertion_lifetime = self.max_assertion_lifetime.unwrap_or(DEFAULT_LIFETIME);
        if !LONGEST_LIFETIME.contains(&max_assertion_lifetime) {
            let (least, most) = (LONGEST_LIFETIME.start(), LONGEST_LIFETIME.end());
            let detail = format!("must be a whole number of seconds from {least} to {most}");
            errors.push(FieldError::new("max_assertion_lifetime", detail));
        }
        let scopes = self.scopes.map(ScopeSet::from_tokens).transpose().unwrap_or_else(|fault| {
            errors
                .push(FieldError::new("scopes", format!("{fault}; send each scope as an item of the list")));
            None
        });

        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Terms {
            issuer: self.issuer.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            alias: self.alias,
            certificates,
            jwks_uri: self.jwks_uri,
            enabled: self.enabled.unwrap_or(true),
            algorithms,
            replay: self.replay.unwrap_or(Replay::SingleUse),
            max_assertion_lifetime,
            scopes,
            outlive_assertion: self.outlive_assertion.unwrap_or(false),
            management: self.management.unwrap_or(false),
        })
    }
}

fn check_text(field: &str, text: &str, errors: &mut Vec<FieldError>) {
    let fault = if text.trim().is_empty() {
        "must not be empty".to_owned()
    } else if text.chars().any(char::is_control) {
        "must not hold control characters".to_owned()
    } else if text.chars().count() > LONGEST_TEXT {
        format!("is too long; at most {LONGEST_TEXT} characters are accepted")
    } else {
        return;
    };
    errors.push(FieldError::new(field, fault));
}

/// Each certificate as PEM of its own, and the kinds of their keys.
fn read_certificates(
    texts: &[String],
    now: UnixTime,
    errors: &mut Vec<FieldError>,
) -> (Vec<String>, Vec<KeyKind>) {
    let (mut certificates, mut kinds) = (Vec::new(), Vec::new());
    for (place, text) in texts.iter().enumerate() {
        match certificate::inspect(text, now) {
            Ok(found) => {
                for certificate in found {
                    kinds.push(certificate.key.kind());
                    if !certificates.contains(&certificate.pem) {
                        certificates.push(certificate.pem);
                    }
                }
            }
            Err(fault) => errors.push(FieldError::new(format!("certificates[{place}]"), fault.to_string())),
        }
    }
    if certificates.len() > certificate::MOST {
        errors.push(FieldError::new("certificates", BadCertificate::TooMany.to_string()));
    }
    (certificates, kinds)
}

fn url_fault(text: &str, plain_http: bool) -> Option<String> {
    if text.len() > LONGEST_URL {
        return Some(format!("is too long; at most {LONGEST_URL} characters are accepted"));
    }
    let Ok(url) = Url::parse(text) else {
        return Some("is not a URL; send one such as https://idp.example/oauth2/jwks".to_owned());
    };
    match url.scheme() {
        "https" => {}
        "http" if plain_http => {}
        "http" => {
            return Some("must begin with https://: keys fetched in the clear could be anybody's".to_owned());
        }
        _ => return Some("must begin with https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not hold a user name or password".to_owned());
    }
    if url.fragment().is_some() || url.host_str().is_none_or(str::is_empty) {
        return Some("must name a host and hold no fragment".to_owned());
    }
    None
}

/// The algorithms asked for, or all that fit the registered keys. `kinds` is `None` where any kind may turn up.
fn read_algorithms(
    names: Option<Vec<String>>,
    kinds: Option<&[KeyKind]>,
    errors: &mut Vec<FieldError>,
) -> Vec<Algorithm> {
    let fits = |algorithm: &Algorithm| kinds.is_none_or(|kinds| kinds.contains(&algorithm.key_kind()));
    let Some(names) = names else { return ALGORITHMS.into_iter().filter(fits).collect() };

    let mut algorithms = Vec::new();
    for (place, name) in names.iter().enumerate() {
        match name.parse::<Algorithm>() {
            Ok(algorithm) if algorithms.contains(&algorithm) => {}
            Ok(algorithm) => algorithms.push(algorithm),
            Err(_) => {
                let known = ALGORITHMS.map(Algorithm::as_str).join(", ");
                errors.push(FieldError::new(
                    format!("algorithms[{place}]"),
                    format!("must be one of: {known}"),
                ));
            }
        }
    }
    if names.is_empty() {
        errors
            .push(FieldError::new("algorithms", "must not be empty; leave it out for all that fit the keys"));
    } else if kinds.is_some_and(|kinds| !kinds.is_empty())
        && !algorithms.is_empty()
        && !algorithms.iter().any(fits)
    {
        let detail = "fits none of the certificates' keys; leave it out for all that fit";
        errors.push(FieldError::new("algorithms", detail));
    }
    algorithms
}

#[cfg(test)]
mod tests;
