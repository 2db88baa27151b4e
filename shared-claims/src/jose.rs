//! Compact JWS (RFC 7515) taken apart, strictly: what libraries let through is refused here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The longest assertion that is taken apart, in bytes.
pub const LONGEST: usize = 32 * 1024;

/// A signed JWT in compact form, decoded but **not verified**.
#[derive(Debug)]
pub struct Compact<'a> {
    /// The protected header.
    pub header: Header,
    /// The claims as sent. Nothing here may be believed before the signature was verified.
    pub unverified_claims: Map<String, Value>,
    /// What the signature covers: `header.payload` as presented.
    pub signing_input: &'a [u8],
    /// The third part, still base64url.
    pub signature: &'a str,
}

/// The members of a JOSE header that we act on. Key material in the header (`jku`, `x5u`, `jwk`, `x5c`) is never
/// read: the key comes from the registry (RFC 8725, section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm as spelled by the sender.
    pub alg: String,
    /// The media type, if any.
    pub typ: Option<String>,
    /// A hint which key was used.
    pub kid: Option<String>,
    /// SHA-256 thumbprint of the certificate, base64url: another hint.
    pub x5t_s256: Option<String>,
}

/// Why a string is no signed JWT that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than [`LONGEST`].
    #[error("the JWT is longer than 32 KiB")]
    TooLong,
    /// Five parts: a JWE. It may carry claims that nobody signed.
    #[error("the JWT is encrypted (five parts)")]
    Encrypted,
    /// Not three parts separated by dots.
    #[error("a signed JWT has three parts separated by dots")]
    NotThreeParts,
    /// A part is not base64url without padding.
    #[error("a part is not base64url")]
    NotBase64Url,
    /// A part is not a JSON object, or nested deeper than 128.
    #[error("a part is not a JSON object, or is nested too deep")]
    NotAnObject,
    /// A member name occurs twice, so two readers could see two values.
    #[error("a member name occurs twice")]
    DuplicateName,
    /// `alg`, `typ`, `kid` or `x5t#S256` is missing or not a string.
    #[error("a header member is missing or of the wrong type")]
    BadHeader,
    /// The header asks for something that we do not do: `crit`, `zip`, `enc`, `b64`.
    #[error("the header holds crit, zip, enc or b64, which are not supported")]
    UnsupportedHeader,
    /// `typ` names something other than a JWT: another kind of token must not pass for one (RFC 8725, section 3.11).
    #[error("the header's typ is not JWT or at+jwt")]
    ForeignType,
}

impl<'a> Compact<'a> {
    /// Takes a compact JWS apart.
    ///
    /// # Errors
    /// [`Malformed`], before any claim is looked at.
    pub fn parse(token: &'a str) -> Result<Self, Malformed> {
        if token.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let parts: Vec<&str> = token.splitn(6, '.').collect();
        let (header, payload, signature) = match parts.as_slice() {
            [header, payload, signature] => (*header, *payload, *signature),
            [_, _, _, _, _] => return Err(Malformed::Encrypted),
            _ => return Err(Malformed::NotThreeParts),
        };
        let signing_input =
            token.as_bytes().get(..header.len() + 1 + payload.len()).ok_or(Malformed::NotThreeParts)?;
        if signature.is_empty() || !is_base64url(signature) {
            return Err(Malformed::NotBase64Url);
        }

        let header = Header::read(object(header)?)?;
        let unverified_claims = object(payload)?;
        Ok(Self { header, unverified_claims, signing_input, signature })
    }
}

impl Header {
    fn read(members: Map<String, Value>) -> Result<Self, Malformed> {
        if ["crit", "zip", "enc", "b64"].iter().any(|name| members.contains_key(*name)) {
            return Err(Malformed::UnsupportedHeader);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Malformed::BadHeader),
        };
        let typ = text("typ")?;
        if !typ.as_deref().is_none_or(is_jwt_type) {
            return Err(Malformed::ForeignType);
        }
        let alg = text("alg")?.filter(|a| !a.is_empty()).ok_or(Malformed::BadHeader)?;
        Ok(Self { alg, typ, kid: text("kid")?, x5t_s256: text("x5t#S256")? })
    }
}

fn is_jwt_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

fn is_base64url(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok()
}

fn object(part: &str) -> Result<Map<String, Value>, Malformed> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::NotBase64Url)?;
    strict_object(&bytes)
}

/// Reads a JSON object in which no name occurs twice at any depth, and nothing follows.
///
/// # Errors
/// [`Malformed::DuplicateName`] or [`Malformed::NotAnObject`]; nesting beyond 128 is the latter.
pub fn strict_object(bytes: &[u8]) -> Result<Map<String, Value>, Malformed> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = StrictValue.deserialize(&mut reader).map_err(|e| {
        if e.to_string().starts_with(DUPLICATE) { Malformed::DuplicateName } else { Malformed::NotAnObject }
    })?;
    reader.end().map_err(|_| Malformed::NotAnObject)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Malformed::NotAnObject),
    }
}

const DUPLICATE: &str = "duplicate member name";

/// Builds a [`Value`], refusing an object that names a member twice (serde_json alone keeps the last).
struct StrictValue;

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(Self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Self)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn refusal(header: &str, payload: &str) -> Malformed {
        Compact::parse(&token(header, payload)).unwrap_err()
    }

    #[test]
    fn a_plain_jwt_comes_apart() {
        let token = token(r#"{"alg":"RS256","typ":"JWT","kid":"k"}"#, r#"{"iss":"i"}"#);
        let jwt = Compact::parse(&token).unwrap();
        assert_eq!((jwt.header.alg.as_str(), jwt.header.kid.as_deref()), ("RS256", Some("k")));
        assert_eq!(jwt.unverified_claims["iss"], "i");
        assert_eq!(jwt.signature, "c2ln");
        assert!(token.as_bytes().starts_with(jwt.signing_input));
    }

    #[test]
    fn five_parts_are_an_encrypted_jwt_and_other_counts_are_none() {
        assert_eq!(Compact::parse("a.b.c.d.e").unwrap_err(), Malformed::Encrypted);
        for text in ["", "junk", "a.b", "a.b.c.d", "a.b.c.d.e.f"] {
            assert_eq!(Compact::parse(text).unwrap_err(), Malformed::NotThreeParts, "{text}");
        }
    }

    #[test]
    fn an_empty_signature_is_refused() {
        let text = token(r#"{"alg":"none"}"#, "{}");
        let unsigned = text.strip_suffix("c2ln").unwrap();
        assert_eq!(Compact::parse(unsigned).unwrap_err(), Malformed::NotBase64Url);
    }

    #[test]
    fn padding_and_white_space_are_not_base64url() {
        let good = token(r#"{"alg":"RS256"}"#, "{}");
        for bad in [format!("{good}\n"), format!("{good}="), format!(" {good}"), good.replace('.', "=.")] {
            assert_eq!(Compact::parse(&bad).unwrap_err(), Malformed::NotBase64Url);
        }
    }

    #[test]
    fn a_repeated_claim_is_refused_at_any_depth() {
        assert_eq!(refusal(r#"{"alg":"RS256"}"#, r#"{"jti":"a","jti":"b"}"#), Malformed::DuplicateName);
        assert_eq!(refusal(r#"{"alg":"RS256"}"#, r#"{"a":[{"b":1,"b":1}]}"#), Malformed::DuplicateName);
        assert_eq!(refusal(r#"{"alg":"RS256","alg":"none"}"#, "{}"), Malformed::DuplicateName);
    }

    #[test]
    fn three_hundred_levels_are_too_deep() {
        let payload = format!(r#"{{"a":{}{}}}"#, "[".repeat(300), "]".repeat(300));
        assert_eq!(refusal(r#"{"alg":"RS256"}"#, &payload), Malformed::NotAnObject);
    }

    #[test]
    fn bytes_after_the_object_are_refused() {
        assert_eq!(refusal(r#"{"alg":"RS256"}"#, "{}{}"), Malformed::NotAnObject);
        assert_eq!(refusal(r#"{"alg":"RS256"}"#, "[]"), Malformed::NotAnObject);
    }

    #[test]
    fn crit_zip_enc_and_b64_are_refused() {
        for member in
            [r#""crit":["x"]"#, r#""crit":[]"#, r#""zip":"DEF""#, r#""enc":"A128GCM""#, r#""b64":false"#]
        {
            assert_eq!(
                refusal(&format!(r#"{{"alg":"RS256",{member}}}"#), "{}"),
                Malformed::UnsupportedHeader
            );
        }
    }

    #[test]
    fn only_jwt_types_are_read() {
        for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/jwt", "application/at+jwt"] {
            assert!(
                Compact::parse(&token(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#), "{}")).is_ok(),
                "{typ}"
            );
        }
        for typ in ["dpop+jwt", "", "logout+jwt"] {
            assert_eq!(refusal(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#), "{}"), Malformed::ForeignType);
        }
    }

    #[test]
    fn an_algorithm_that_is_missing_empty_or_no_text_is_refused() {
        for header in ["{}", r#"{"alg":""}"#, r#"{"alg":null}"#, r#"{"alg":5}"#, r#"{"alg":"RS256","kid":5}"#]
        {
            assert_eq!(refusal(header, "{}"), Malformed::BadHeader, "{header}");
        }
    }

    #[test]
    fn a_megabyte_is_refused_unread() {
        assert_eq!(Compact::parse(&"a".repeat(1 << 20)).unwrap_err(), Malformed::TooLong);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = Compact::parse(&text);
        }

        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = strict_object(&payload);
        }
    }
}
