//! References: few enough, inside the document, and to something that is there.

use serde_json::Value;

use super::{Document, Problems, pointer_of, step};

/// The most references of one document.
const MOST: usize = 5_000;

/// Members whose own members are names that somebody chose, not words of OpenAPI.
const NAMING: [&str; 20] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "paths",
    "webhooks",
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "links",
    "callbacks",
    "pathItems",
    "content",
    "encoding",
    "variables",
];
/// Members that hold data; a `$ref` in them is text like any other.
const DATA: [&str; 5] = ["example", "default", "enum", "const", "value"];

/// Judges every reference.
pub(super) fn check(document: &Document, problems: &mut Problems) {
    let mut walk = Walk { document, problems, count: 0 };
    walk.visit(document.root(), "", false);
    if walk.count > MOST {
        problems.note("", format!("holds more than {MOST} references; split the API"));
    }
}

struct Walk<'a> {
    document: &'a Document,
    problems: &'a mut Problems,
    count: usize,
}

impl Walk<'_> {
    /// `names` says that the members of `value` are names rather than words.
    fn visit(&mut self, value: &Value, pointer: &str, names: bool) {
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.visit(item, &format!("{pointer}/{place}"), false);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let below = step(pointer, name);
                    let is_data = DATA.contains(&name.as_str())
                        || name.starts_with("x-")
                        || (name == "examples" && member.is_array());
                    if names {
                        self.visit(member, &below, false);
                    } else if name == "$ref" {
                        self.judge(member, &below);
                    } else if !is_data {
                        self.visit(member, &below, NAMING.contains(&name.as_str()));
                    }
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, reference: &Value, pointer: &str) {
        self.count += 1;
        if self.count > MOST {
            return;
        }
        let Some(reference) = reference.as_str() else {
            return self.problems.note(pointer, "must be a string such as #/components/schemas/Pet");
        };
        let Some(target) = pointer_of(reference) else {
            let detail = "points outside of the document; nothing is fetched, so put what it names under components \
                          and write #/components/...";
            return self.problems.note(pointer, detail);
        };
        let found = self.document.root().pointer(&target);
        match found.map(|value| self.document.resolve(value, target)) {
            None => self.problems.note(pointer, "points to nothing in this document"),
            Some(None) => self.problems.note(pointer, "goes in a circle, or through more than 16 references"),
            Some(Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(root: Value) -> Vec<String> {
        let mut problems = Problems::default();
        check(&Document { root }, &mut problems);
        problems.into_list().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn remote_missing_and_circular_references_are_named_by_their_pointers() {
        let root = json!({"components": {"schemas": {
            "a": {"$ref": "https://example.com/x.json"},
            "b": {"items": {"$ref": "other.yaml#/x"}},
            "c": {"$ref": "#/components/schemas/nothing"},
            "d": {"$ref": "#/components/schemas/d"},
            "e": {"$ref": 5},
            "f": {"$ref": "#/components/schemas/g"},
            "g": {"properties": {"$ref": {"type": "string"}, "self": {"$ref": "#/components/schemas/g"}}},
            "h": {"example": {"$ref": "https://example.com"}, "enum": [{"$ref": 1}], "x-y": {"$ref": 1}},
            "i": {"examples": [{"$ref": 1}], "$ref": "#anchor"},
        }}});
        let expected = ["a/$ref", "b/items/$ref", "c/$ref", "d/$ref", "e/$ref", "i/$ref"]
            .map(|name| format!("/components/schemas/{name}"));
        assert_eq!(pointers(root), expected);
    }

    #[test]
    fn too_many_references_are_refused() {
        let many = vec![json!({"$ref": "#/a"}); MOST + 1];
        assert_eq!(pointers(json!({"a": {}, "b": many})), [""]);
    }
}
