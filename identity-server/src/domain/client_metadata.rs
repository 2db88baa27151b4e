//! What is wrong with a client's settings, all of it at once (RFC 7591, section 2).

use shared_claims::field_error::FieldError;
use shared_claims::signature::Algorithm;

use crate::domain::client::{ClientSettings, GrantType};
use crate::domain::profile::is_email;

/// The most items of a list.
pub const MOST_ITEMS: usize = 50;
/// The longest URI, in characters.
pub const LONGEST_URI: usize = 2_048;
/// Seconds: a day is the longest life of an access token, because a JWT is hard to call back.
pub const ACCESS_LIFETIMES: std::ops::RangeInclusive<i64> = 1..=86_400;
/// Seconds that a refresh token may lie unused; the family ends after thirty days all the same.
pub const REFRESH_LIFETIMES: std::ops::RangeInclusive<i64> = 1..=2_592_000;
/// Seconds, where a client does not say.
pub const DEFAULT_ACCESS_LIFETIME: i64 = 3_600;
/// Seconds, where a client does not say.
pub const DEFAULT_REFRESH_LIFETIME: i64 = 86_400;
/// Seconds for which a replaced secret may stay good: a week.
pub const SECRET_OVERLAPS: std::ops::RangeInclusive<i64> = 0..=604_800;
/// What access tokens can be signed with.
pub const SIGNING_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// Every rule that a well-typed client breaks, by RFC 7591's names.
#[must_use]
pub fn faults(client: &ClientSettings) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if client.grant_types.is_empty() {
        faults.push(FieldError::new("grant_types", "must name at least one grant"));
    }
    if client.grant_types == [GrantType::RefreshToken] {
        let detail = "refresh_token alone buys nothing; add the grant that yields the first token";
        faults.push(FieldError::new("grant_types", detail));
    }
    for (place, uri) in client.redirect_uris.iter().enumerate() {
        if let Some(detail) = redirect_fault(uri) {
            faults.push(FieldError::new(format!("redirect_uris[{place}]"), detail));
        }
    }
    if client.client_uri.as_deref().is_some_and(|uri| !is_http(uri)) {
        faults.push(FieldError::new("client_uri", "must be an http or https URL"));
    }
    for place in
        client.contacts.iter().enumerate().filter(|(_, mail)| !is_email(mail)).map(|(place, _)| place)
    {
        faults.push(FieldError::new(format!("contacts[{place}]"), "is not a mail address"));
    }
    faults
}

fn is_http(uri: &str) -> bool {
    let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"));
    rest.is_some_and(|rest| !host(rest).is_empty()) && uri.chars().all(|c| c.is_ascii_graphic())
}

/// The host of what follows `://`, without user and port.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return "";
    }
    match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// RFC 6749 section 3.1.2 and RFC 8252 section 7: absolute, no fragment, and plain http on loopback only.
fn redirect_fault(uri: &str) -> Option<&'static str> {
    if !uri.chars().all(|c| c.is_ascii_graphic()) {
        return Some("must be an absolute URI in ASCII");
    }
    if uri.contains('#') {
        return Some("must not hold a fragment");
    }
    let Some((scheme, rest)) = uri.split_once(':') else { return Some("must be an absolute URI") };
    let is_loopback = |rest: &str| matches!(host(rest), "localhost" | "127.0.0.1" | "::1");
    match (scheme.to_ascii_lowercase().as_str(), rest.strip_prefix("//")) {
        ("https", Some(rest)) if !host(rest).is_empty() => None,
        ("http", Some(rest)) if is_loopback(rest) => None,
        ("http", Some(_)) => Some("may use http for localhost only; use https"),
        ("https" | "http", _) => Some("must name a host"),
        // Private-use schemes of native apps are reversed domain names, which hold a dot (RFC 8252, section 7.1).
        (scheme, _) if scheme.contains('.') && !rest.is_empty() => None,
        _ => Some("must use https, http on localhost, or a private scheme such as com.example.app"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::tests::client;
    use proptest::prelude::*;

    #[test]
    fn redirect_uris_that_would_leak_a_code_are_refused() {
        for bad in [
            "",
            "/callback",
            "https://",
            "https://u@h/",
            "http://example.com/cb",
            "https://x/#f",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a b/",
        ] {
            assert!(redirect_fault(bad).is_some(), "{bad:?}");
        }
        for good in ["https://x/cb?a=1", "http://localhost:1234/", "http://[::1]/cb", "com.example.app:/cb"] {
            assert_eq!(redirect_fault(good), None, "{good:?}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut settings = client("").settings;
        settings.grant_types = vec![];
        settings.redirect_uris = vec!["nope".into()];
        settings.client_uri = Some("ftp://x".into());
        settings.contacts = vec!["nobody".into()];
        let named: Vec<_> = faults(&settings).into_iter().map(|fault| fault.field).collect();
        assert_eq!(named, ["grant_types", "redirect_uris[0]", "client_uri", "contacts[0]"]);
        settings.grant_types = vec![GrantType::RefreshToken];
        assert_eq!(faults(&settings)[0].field, "grant_types");
        assert!(faults(&client("").settings).is_empty());
    }

    proptest! {
        #[test]
        fn no_text_confuses_the_uri_reader(uri in "\\PC{0,60}") {
            let _ = redirect_fault(&uri);
            let _ = is_http(&uri);
        }
    }
}
