//! Client and administrator credentials as they come in an `Authorization: Basic` header (RFC 7617, RFC 6749 2.3.1).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::secret::Secret;

/// A name and its secret, as presented.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The client identifier or the user name.
    pub name: String,
    /// The secret or password that came with it.
    pub secret: Secret,
}

/// The content of one Basic header, in the two readings that are in use.
///
/// RFC 6749 asks clients to form-encode both parts before they are joined; half of the libraries in the field do
/// not. Both readings are kept, the encoded one first; callers try each and take the same time over it.
#[derive(Clone, Debug)]
pub struct Basic {
    /// As RFC 6749 section 2.3.1 asks: both parts form-decoded. `None` where that gives no valid text.
    pub form_decoded: Option<Pair>,
    /// As it stands, for clients that send the parts raw (RFC 7617).
    pub raw: Pair,
}

/// A Basic header that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Basic credentials are not base64 of name:secret")]
pub struct BadBasic;

/// The longest Basic header that is looked at, in bytes.
const LONGEST: usize = 8_192;

impl Basic {
    /// Reads what follows the `Basic ` of the header. The first colon separates, before any decoding.
    ///
    /// # Errors
    /// [`BadBasic`]: too long, not base64, without a colon, or with control characters.
    pub fn parse(encoded: &str) -> Result<Self, BadBasic> {
        let encoded = encoded.trim_matches(' ');
        if encoded.len() > LONGEST {
            return Err(BadBasic);
        }
        let bytes =
            STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).map_err(|_| BadBasic)?;
        // Some clients send ISO-8859-1 (RFC 7617 leaves the charset open); each of its bytes is the same code point.
        let text =
            String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect());
        let (name, secret) = text.split_once(':').ok_or(BadBasic)?;
        if text.chars().any(char::is_control) {
            return Err(BadBasic);
        }

        let form_decoded = match (form_decode(name), form_decode(secret)) {
            (Some(name), Some(secret)) => Some(Pair { name, secret: Secret::new(secret) }),
            _ => None,
        };
        Ok(Self { form_decoded, raw: Pair { name: name.to_owned(), secret: Secret::new(secret) } })
    }

    /// Every distinct reading, the form-decoded one first.
    #[must_use]
    pub fn readings(&self) -> Vec<&Pair> {
        let mut readings: Vec<&Pair> = self.form_decoded.iter().collect();
        let same = self
            .form_decoded
            .as_ref()
            .is_some_and(|d| d.name == self.raw.name && d.secret.expose() == self.raw.secret.expose());
        if !same {
            readings.push(&self.raw);
        }
        readings
    }
}

/// Decodes `+` and `%XX`; `None` where an escape is broken or the result is not UTF-8.
fn form_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => bytes.push(other),
        }
    }
    let decoded = String::from_utf8(bytes).ok()?;
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn basic(content: &[u8]) -> Basic {
        Basic::parse(&STANDARD.encode(content)).unwrap()
    }

    #[test]
    fn both_spellings_of_a_difficult_pair_are_read() {
        let encoded = basic("a+b%3Ac%2B%C3%A9:p%40ss%3Aw%2F%2B+%25".as_bytes());
        let pair = encoded.form_decoded.unwrap();
        assert_eq!((pair.name.as_str(), pair.secret.expose()), ("a b:c+é", "p@ss:w/+ %"));

        let raw = basic("id:p@ss:w/+ %".as_bytes());
        assert!(raw.form_decoded.is_none());
        assert_eq!(raw.raw.secret.expose(), "p@ss:w/+ %");
    }

    #[test]
    fn latin_1_is_read_as_such() {
        assert_eq!(basic(b"c+\xe9:s").raw.name, "c+é");
    }

    #[test]
    fn a_plain_pair_has_one_reading() {
        assert_eq!(basic(b"id:secret").readings().len(), 1);
    }

    #[test]
    fn unreadable_headers_are_refused() {
        for bad in ["%%%", "bm9jb2xvbg==", "aTpzCg==", &"QUJD".repeat(30_000)] {
            assert!(Basic::parse(bad).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
    }

    proptest! {
        #[test]
        fn any_pair_without_controls_survives_form_encoding(name in "[^\\p{Cc}]{0,20}", secret in "[^\\p{Cc}]{0,20}") {
            let encode = |s: &str| form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>();
            let read = basic(format!("{}:{}", encode(&name), encode(&secret)).as_bytes());
            let pair = read.form_decoded.unwrap();
            prop_assert_eq!(pair.name, name);
            prop_assert_eq!(pair.secret.expose(), secret);
        }

        #[test]
        fn no_header_content_panics(content in "\\PC{0,200}") {
            let _ = Basic::parse(&content);
        }
    }
}
