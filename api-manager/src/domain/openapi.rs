//! OpenAPI documents (3.0 and 3.1): read within bounds, judged in one go, turned into an API's operations and back.

pub mod contract;
pub mod emit;
mod example;
pub mod export;
pub mod import;
mod operations;
mod problems;
mod references;
pub mod request;
mod rules;
pub mod schema;
mod security;
mod yaml;

use serde_json::{Map, Value};
use shared_claims::field_error::FieldError;
use shared_claims::jose::{Malformed, strict_object};

pub use problems::Problems;

/// The longest document, in bytes.
pub const LONGEST: usize = 1024 * 1024;
/// The deepest nesting of lists and objects.
pub const DEEPEST: usize = 64;
/// The extension that carries what OpenAPI has no word for.
pub const EXTENSION: &str = "x-countersign";
/// The methods of a path item that the gateway passes on.
pub const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// What a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// RFC 8259.
    Json,
    /// YAML 1.2, as far as it says what JSON can.
    Yaml,
}

/// A document that was read. What it says has been judged only where [`import::read`] found no problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    root: Value,
}

impl Document {
    /// Reads a document within the bounds of length, depth and size.
    ///
    /// # Errors
    /// What is wrong with the syntax; its `field` is the empty pointer, the whole document.
    pub fn read(bytes: &[u8], syntax: Syntax) -> Result<Self, FieldError> {
        let whole = |detail: String| FieldError::new("", detail);
        if bytes.len() > LONGEST {
            return Err(whole(format!("is too long; at most {LONGEST} bytes are read")));
        }
        let root = match syntax {
            Syntax::Json => json(bytes).map_err(whole)?,
            Syntax::Yaml => {
                let text = std::str::from_utf8(bytes).map_err(|_| whole("is not UTF-8".to_owned()))?;
                yaml::read(text).map_err(whole)?
            }
        };
        if !root.is_object() {
            return Err(whole("must be one object, as every OpenAPI document is".to_owned()));
        }
        if depth_exceeds(&root, DEEPEST) {
            return Err(whole(format!("nests deeper than {DEEPEST} levels")));
        }
        Ok(Self { root })
    }

    /// Reads what [`Document::to_text`] wrote.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let root: Value = serde_json::from_str(text).ok()?;
        root.is_object().then_some(Self { root })
    }

    /// The document as JSON, for storage.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.root.to_string()
    }

    /// The whole.
    #[must_use]
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Whether it is of OpenAPI 3.0, whose schemas are not yet those of JSON Schema.
    #[must_use]
    pub fn is_3_0(&self) -> bool {
        self.root.get("openapi").and_then(Value::as_str).is_some_and(|version| version.starts_with("3.0."))
    }

    /// Follows references from `value`, which stands at `pointer`, to something that is none.
    #[must_use]
    pub fn resolve<'a>(&'a self, value: &'a Value, pointer: String) -> Option<(&'a Value, String)> {
        /// More than any document needs, and an end to references that go in circles.
        const MOST_STEPS: usize = 16;
        let (mut value, mut pointer) = (value, pointer);
        for _ in 0..MOST_STEPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Some((value, pointer));
            };
            pointer = pointer_of(reference)?;
            value = self.root.pointer(&pointer)?;
        }
        None
    }

    /// The members of the object at `pointer`, where there is one.
    fn object(&self, pointer: &str) -> Option<&Map<String, Value>> {
        self.root.pointer(pointer).and_then(Value::as_object)
    }
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    strict_object(bytes).map(Value::Object).map_err(|malformed| match malformed {
        Malformed::DuplicateName => "names a member twice".to_owned(),
        _ => match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Err(error) => format!("is no JSON: line {}, column {}", error.line(), error.column()),
            Ok(_) => "must be one JSON object, not nested too deeply".to_owned(),
        },
    })
}

fn depth_exceeds(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left == 0 || items.iter().any(|item| depth_exceeds(item, left - 1)),
        Value::Object(members) => left == 0 || members.values().any(|member| depth_exceeds(member, left - 1)),
        _ => false,
    }
}

/// The JSON pointer that a local reference holds, its percent-encoding undone (RFC 6901, section 6).
fn pointer_of(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#').filter(|pointer| pointer.starts_with('/'))?;
    if !fragment.contains('%') {
        return Some(fragment.to_owned());
    }
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// `pointer` with one more step, escaped as RFC 6901 asks.
#[must_use]
pub fn step(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str, syntax: Syntax) -> String {
        Document::read(text.as_bytes(), syntax).unwrap_err().detail
    }

    #[test]
    fn what_is_too_long_too_deep_or_no_object_is_refused() {
        assert!(refusal(&" ".repeat(LONGEST + 1), Syntax::Json).contains("too long"));
        assert!(refusal("[]", Syntax::Json).contains("object"));
        assert!(refusal("- a", Syntax::Yaml).contains("object"));
        assert!(refusal("{\"a\":1,\"a\":2}", Syntax::Json).contains("twice"));
        assert!(refusal("{\"a\":\n!}", Syntax::Json).contains("line 2"));
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(Document::read(nested(63).as_bytes(), Syntax::Json).is_ok());
        assert!(refusal(&nested(64), Syntax::Json).contains("deeper"));
        assert!(refusal(&nested(100_000), Syntax::Json).contains("deep"));
    }

    #[test]
    fn references_are_followed_and_those_in_circles_are_not() {
        let text =
            r##"{"a": {"$ref": "#/b%7e1c"}, "b/c": {"x": 1}, "d": {"$ref": "#/e"}, "e": {"$ref": "#/d"}}"##;
        let document = Document::read(text.as_bytes(), Syntax::Json).unwrap();

        let (value, pointer) = document.resolve(&document.root["a"], "/a".to_owned()).unwrap();
        assert_eq!((value["x"].as_i64(), pointer.as_str()), (Some(1), "/b~1c"));
        assert!(document.resolve(&document.root["d"], "/d".to_owned()).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Document::read(&bytes, Syntax::Json);
            let _ = Document::read(&bytes, Syntax::Yaml);
        }

        #[test]
        fn a_step_is_found_again(name in "\\PC{0,12}") {
            let root = serde_json::json!({ &name: 1 });
            prop_assert_eq!(root.pointer(&step("", &name)), Some(&Value::from(1)));
        }
    }
}
