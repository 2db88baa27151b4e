//! The filters that are understood: one comparison by `eq` (RFC 7644, section 3.4.2.2).

use serde_json::Value;

use super::{ScimError, USER_SCHEMA};

/// `attribute eq value`.
#[derive(Debug, PartialEq)]
pub(super) struct Comparison {
    /// The attribute's name as sent, without the schema's.
    pub attribute: String,
    /// A string, a number, a truth value or null.
    pub value: Value,
}

impl Comparison {
    /// Reads a comparison.
    ///
    /// # Errors
    /// 400 `invalidFilter` for everything else.
    pub(super) fn parse(text: &str) -> Result<Self, ScimError> {
        let invalid = || {
            let detail = "this server filters by one comparison such as: userName eq \"alice\"";
            ScimError::bad_request("invalidFilter", detail)
        };
        let (attribute, rest) = text.trim().split_once(' ').ok_or_else(invalid)?;
        let (operator, value) = rest.trim_start().split_once(' ').ok_or_else(invalid)?;
        if !operator.eq_ignore_ascii_case("eq") {
            return Err(invalid());
        }
        let attribute = strip_schema(attribute);
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
        if attribute.is_empty() || !attribute.chars().all(is_name) {
            return Err(invalid());
        }
        let value: Value = serde_json::from_str(value.trim()).map_err(|_| invalid())?;
        if value.is_array() || value.is_object() {
            return Err(invalid());
        }
        Ok(Self { attribute: attribute.to_owned(), value })
    }

    /// Whether an attribute's value equals; text without regard to case, as all but identifiers are in SCIM.
    pub(super) fn equals(&self, value: &Value) -> bool {
        match (&self.value, value) {
            (Value::String(wanted), Value::String(found)) => wanted.to_lowercase() == found.to_lowercase(),
            (wanted, found) => wanted == found,
        }
    }
}

/// The attribute without the schema's name in front of it.
pub(super) fn strip_schema(attribute: &str) -> &str {
    let rest = attribute.get(USER_SCHEMA.len()..).and_then(|rest| rest.strip_prefix(':'));
    match (rest, attribute.get(..USER_SCHEMA.len())) {
        (Some(rest), Some(schema)) if schema.eq_ignore_ascii_case(USER_SCHEMA) => rest,
        _ => attribute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_comparison_is_read_with_its_json_value() {
        let comparison = Comparison::parse(r#"userName EQ "a \"b\" c""#).unwrap();
        assert_eq!(
            (comparison.attribute.as_str(), &comparison.value),
            ("userName", &Value::from("a \"b\" c"))
        );
        let long = format!("{USER_SCHEMA}:userName eq \"x\"");
        assert_eq!(Comparison::parse(&long).unwrap().attribute, "userName");
    }

    #[test]
    fn other_filters_are_refused() {
        for bad in [
            "",
            "userName",
            "userName eq",
            "userName co \"a\"",
            "userName eq alice",
            "(userName eq \"a\")",
            "userName eq \"a\" and active eq true",
            "userName eq [1]",
            "userName eq \"a",
            "a b eq \"c\"",
        ] {
            assert!(Comparison::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_confuses_the_reader(text in "\\PC{0,80}") {
            let _ = Comparison::parse(&text);
            let _ = Comparison::parse(&format!("userName eq {text}"));
            let _ = strip_schema(&text);
        }
    }
}
