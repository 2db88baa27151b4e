//! Writes a JSON value as YAML that people like to read and every YAML reader reads alike.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The value as a YAML document.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// Writes `value` at the beginning of a line.
fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => members(object, indent, false, text),
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(indent, text);
                text.push_str("- ");
                match item {
                    Value::Object(object) if !object.is_empty() => members(object, indent + 2, true, text),
                    other => after(other, indent, text),
                }
            }
        }
        leaf => {
            pad(indent, text);
            scalar(leaf, text);
        }
    }
}

fn members(object: &Map<String, Value>, indent: usize, first_is_placed: bool, text: &mut String) {
    for (place, (name, value)) in object.iter().enumerate() {
        if place > 0 || !first_is_placed {
            pad(indent, text);
        }
        plain_or_quoted(name, text);
        text.push(':');
        let is_leaf = !matches!(value, Value::Object(o) if !o.is_empty())
            && !matches!(value, Value::Array(a) if !a.is_empty());
        if is_leaf {
            text.push(' ');
            scalar(value, text);
        } else {
            text.push('\n');
            block(value, indent + 2, text);
        }
    }
}

/// Writes an item of a list behind its dash.
fn after(item: &Value, indent: usize, text: &mut String) {
    match item {
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(item, indent + 2, text);
        }
        leaf => scalar(leaf, text),
    }
}

fn scalar(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => plain_or_quoted(string, text),
        // Empty lists and objects, numbers and words are spelt alike in both.
        other => {
            let _ = write!(text, "{other}");
        }
    }
    text.push('\n');
}

/// Text that no reader of any YAML version takes for something else stands bare; all else is quoted as in JSON, which
/// is YAML too.
fn plain_or_quoted(string: &str, text: &mut String) {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_plain = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '$')
        && string.chars().all(|c| c.is_ascii_alphanumeric() || "_-./${}()+; ".contains(c))
        && !string.ends_with(' ')
        && !WORDS.contains(&string.to_ascii_lowercase().as_str());
    if is_plain {
        text.push_str(string);
    } else {
        let _ = write!(text, "{}", Value::from(string));
    }
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::yaml::read;
    use super::*;

    #[test]
    fn lists_and_objects_stand_in_blocks() {
        let value = json!({"paths": {"/a/{id}": {"tags": ["x", {"a": 1, "b": [[1], []]}]}}, "z": "on"});
        let expected = "paths:\n  /a/{id}:\n    tags:\n      - x\n      - a: 1\n        b:\n          -\n            - 1\n          - []\nz: \"on\"\n";
        assert_eq!(yaml(&value).replace("- \n", "-\n"), expected);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~\\n\\tä]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[ -~\\nä]{0,8}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            prop_assume!(!value.to_string().contains("\"<<\""));
            prop_assert_eq!(read(&yaml(&value)), Ok(value));
        }
    }
}
