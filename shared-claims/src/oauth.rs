//! OAuth 2.0 as spoken on the wire: forms in, token and error answers out (RFC 6749, 7662, 8693).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// `grant_type` of RFC 7523, section 2.1.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// `grant_type` of RFC 6749, section 4.3.
pub const PASSWORD: &str = "password";
/// `grant_type` of RFC 6749, section 4.4.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `grant_type` of RFC 6749, section 6.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// The most parameters that a form may have.
const MOST_PARAMETERS: usize = 64;

/// A form body, decoded once: every name occurs once, and empty values count as omitted (RFC 6749, section 3.2).
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, Secret)>);

/// Why a form body is not looked at any further. All of them are `invalid_request`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// The named parameter occurs more than once (RFC 6749, section 3.2).
    #[error("Invalid request with repeated parameters: {0}.")]
    Repeated(String),
    /// A `%` escape is broken, or the text is not UTF-8.
    #[error("The body is not form-urlencoded UTF-8.")]
    Encoding,
    /// More than 64 parameters.
    #[error("The body has too many parameters; at most 64 are read.")]
    TooMany,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded` strictly: lossy decoding would let two spellings meet in one value.
    ///
    /// # Errors
    /// [`BadForm`]: a repeated name, a broken escape, or too many parameters.
    pub fn parse(body: &[u8]) -> Result<Self, BadForm> {
        let mut pairs: Vec<(String, Secret)> = Vec::new();
        for piece in body.split(|b| *b == b'&').filter(|p| !p.is_empty()) {
            let mut halves = piece.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if pairs.len() >= MOST_PARAMETERS {
                return Err(BadForm::TooMany);
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(BadForm::Repeated(printable(&name)));
            }
            pairs.push((name, Secret::new(value)));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter; an empty value counts as omitted.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.expose())
            .filter(|v| !v.is_empty())
    }

    /// The names present, in the order sent.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

fn decode(bytes: &[u8]) -> Result<String, BadForm> {
    // Tokens are long and need no escapes.
    if !bytes.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| BadForm::Encoding);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or(BadForm::Encoding);
                let value = digit()? * 16 + digit()?;
                decoded.push(u8::try_from(value).map_err(|_| BadForm::Encoding)?);
            }
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).map_err(|_| BadForm::Encoding)
}

/// Something that a caller sent, made fit for an answer: at most 64 characters, and only those that RFC 6749
/// section 5.2 allows in `error_description`.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .take(64)
        .map(|c| if matches!(c, ' '..='!' | '#'..='[' | ']'..='~') { c } else { '?' })
        .collect()
}

/// `error` of RFC 6749 section 5.2, RFC 6750 section 3.1 and our 5xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request lacks, repeats or misspells something.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The grant — password, assertion, refresh token — is invalid, expired, revoked or spent.
    InvalidGrant,
    /// This client may not use this grant type.
    UnauthorizedClient,
    /// The server does not know this grant type.
    UnsupportedGrantType,
    /// The scope is unknown, malformed or more than may be granted.
    InvalidScope,
    /// The bearer token is unknown, expired or revoked.
    InvalidToken,
    /// The bearer token lacks a scope.
    InsufficientScope,
    /// Our fault.
    ServerError,
    /// Not now; see `Retry-After`.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The code as RFC 6749 and RFC 6750 spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// The error answer of a token endpoint (RFC 6749, section 5.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// One of [`ErrorCode`]'s spellings.
    pub error: Cow<'static, str>,
    /// What went wrong, in ASCII without quotes and backslashes.
    pub error_description: Cow<'static, str>,
}

/// The answer to a successful token request (RFC 6749, section 5.1). Absent members are left out, never null.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The token: a JWT from the identity server, an opaque UUID from the API manager.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: Cow<'static, str>,
    /// Seconds until the token ends, counted from the answer.
    pub expires_in: i64,
    /// Present where the client may refresh.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refresh_token: Option<String>,
    /// The granted scopes, space-separated; left out where there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repeated_parameter_is_refused_by_name_even_with_equal_values() {
        assert_eq!(Form::parse(b"scope=a&scope=a").unwrap_err(), BadForm::Repeated("scope".into()));
        assert_eq!(Form::parse(b"a=1&%61=2").unwrap_err(), BadForm::Repeated("a".into()));
    }

    #[test]
    fn an_empty_value_counts_as_omitted() {
        let form = Form::parse(b"scope=&grant_type=password").unwrap();
        assert_eq!(form.get("scope"), None);
        assert_eq!(form.get("grant_type"), Some("password"));
    }

    #[test]
    fn plus_and_percent_20_are_a_space_and_percent_2b_is_a_plus() {
        let form = Form::parse(b"a=x+y&b=x%20y&c=x%2By").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("x y"), Some("x y"), Some("x+y")));
    }

    #[test]
    fn broken_escapes_and_foreign_charsets_are_refused() {
        for bad in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=\xe9", b"a=%e9"] {
            assert_eq!(Form::parse(bad).unwrap_err(), BadForm::Encoding);
        }
    }

    #[test]
    fn a_flood_of_parameters_is_refused() {
        let body: Vec<String> = (0..65).map(|n| format!("p{n}=1")).collect();
        assert_eq!(Form::parse(body.join("&").as_bytes()).unwrap_err(), BadForm::TooMany);
    }

    #[test]
    fn what_a_caller_sent_is_echoed_without_quotes_and_controls() {
        assert_eq!(printable("a\"b\\c\r\nd"), "a?b?c??d");
        assert_eq!(printable(&"x".repeat(100)).len(), 64);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn what_a_client_encodes_is_what_we_read(value in "\\PC{1,60}") {
            let body = form_urlencoded::Serializer::new(String::new()).append_pair("v", &value).finish();
            let form = Form::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(form.get("v"), Some(value.as_str()));
        }
    }
}
