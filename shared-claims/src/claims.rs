//! Claims: what the identity server writes into an access token (RFC 9068), and how any issuer's are read.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// What kind of caller a token stands for (the original's `aut` claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AuthorizedKind {
    /// A person, through a client.
    #[serde(rename = "APPLICATION_USER")]
    User,
    /// The client itself.
    #[serde(rename = "APPLICATION")]
    Application,
}

/// The claims of a JWT access token that we issue (RFC 9068, section 2.2).
#[derive(Clone, Debug, Serialize)]
pub struct AccessTokenClaims {
    /// The issuer, byte for byte as the metadata says it.
    pub iss: String,
    /// The user name, or the client identifier where no person is involved.
    pub sub: String,
    /// The client identifier first, then the audiences of the client or else of the server.
    pub aud: Vec<String>,
    /// The client identifier.
    pub azp: String,
    /// The client identifier.
    pub client_id: String,
    /// When the token ends.
    pub exp: UnixTime,
    /// When it was made.
    pub iat: UnixTime,
    /// When it begins to hold: the same moment as `iat`.
    pub nbf: UnixTime,
    /// Unique among all of this issuer's tokens.
    pub jti: String,
    /// The granted scopes, space-separated; left out where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether a person or an application is behind the token.
    pub aut: AuthorizedKind,
    /// User attributes that the client's scopes allow, such as `preferred_username` and `email`.
    #[serde(flatten)]
    pub attributes: Map<String, Value>,
}

/// A claim that is there but not of the type that RFC 7519 gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim {0} is not of the type that RFC 7519 gives it")]
pub struct WrongType(pub &'static str);

/// The claims of a JWT, read by name and with the types of RFC 7519, section 4.1.
#[derive(Clone, Debug, Default)]
pub struct ClaimSet(Map<String, Value>);

impl From<Map<String, Value>> for ClaimSet {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl ClaimSet {
    /// A string claim; `null` and an empty string count as absent.
    ///
    /// # Errors
    /// [`WrongType`] for anything but a string.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, WrongType> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|t| !t.is_empty())),
            Some(_) => Err(WrongType(name)),
        }
    }

    /// A `NumericDate`: a JSON number of seconds, with or without a fraction, which is dropped. Values beyond the
    /// range of 64 bits read as its end, so that the bounds checks see them as very far away.
    ///
    /// # Errors
    /// [`WrongType`] for anything but a number that is zero or more.
    pub fn numeric_date(&self, name: &'static str) -> Result<Option<UnixTime>, WrongType> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(_) => return Err(WrongType(name)),
        };
        if let Some(seconds) = number.as_i64() {
            return if seconds < 0 { Err(WrongType(name)) } else { Ok(Some(UnixTime(seconds))) };
        }
        if number.is_u64() {
            return Ok(Some(UnixTime(i64::MAX)));
        }
        match number.as_f64() {
            // A float's cast saturates, which is what the bounds checks need.
            #[expect(clippy::cast_possible_truncation, reason = "dropping the fraction is the point")]
            Some(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Some(UnixTime(seconds as i64))),
            _ => Err(WrongType(name)),
        }
    }

    /// `aud`: one string or an array of strings (RFC 7519, section 4.1.3); empty where it is absent.
    ///
    /// # Errors
    /// [`WrongType`] for other types, also inside the array.
    pub fn audience(&self) -> Result<Vec<&str>, WrongType> {
        match self.0.get("aud") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.as_str()]),
            Some(Value::Array(many)) => many.iter().map(|v| v.as_str().ok_or(WrongType("aud"))).collect(),
            Some(_) => Err(WrongType("aud")),
        }
    }

    /// `scope` (RFC 8693, section 4.2) or `scp`, as a string or an array of strings, joined by spaces.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        match self.0.get("scope").or_else(|| self.0.get("scp"))? {
            Value::String(text) => Some(text.clone()),
            Value::Array(many) => Some(many.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
            _ => None,
        }
    }

    /// Any claim, as sent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn claims(value: Value) -> ClaimSet {
        ClaimSet::from(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_date_may_be_whole_or_broken_but_not_text_negative_or_nan() {
        let date = |value: Value| claims(json!({ "exp": value })).numeric_date("exp");
        assert_eq!(date(json!(100)), Ok(Some(UnixTime(100))));
        assert_eq!(date(json!(100.9)), Ok(Some(UnixTime(100))));
        assert_eq!(date(json!(1e300)), Ok(Some(UnixTime(i64::MAX))));
        assert_eq!(date(json!(u64::MAX)), Ok(Some(UnixTime(i64::MAX))));
        assert_eq!(date(Value::Null), Ok(None));
        for bad in [json!("100"), json!(-1), json!(-0.5), json!([100]), json!({}), json!(true)] {
            assert_eq!(date(bad.clone()), Err(WrongType("exp")), "{bad}");
        }
    }

    #[test]
    fn an_audience_is_one_string_or_many() {
        assert_eq!(claims(json!({"aud": "a"})).audience(), Ok(vec!["a"]));
        assert_eq!(claims(json!({"aud": ["a", "b"]})).audience(), Ok(vec!["a", "b"]));
        assert_eq!(claims(json!({})).audience(), Ok(vec![]));
        for bad in [json!(1), json!([["a"]]), json!(["a", 1]), json!({"a": 1})] {
            assert_eq!(claims(json!({ "aud": bad })).audience(), Err(WrongType("aud")));
        }
    }

    #[test]
    fn an_issuer_that_is_an_array_is_not_a_string() {
        assert_eq!(claims(json!({"iss": ["evil", "good"]})).text("iss"), Err(WrongType("iss")));
        assert_eq!(claims(json!({"iss": ""})).text("iss"), Ok(None));
    }

    proptest! {
        #[test]
        fn no_number_panics(value in any::<f64>()) {
            let _ = claims(json!({ "exp": value })).numeric_date("exp");
        }
    }
}
