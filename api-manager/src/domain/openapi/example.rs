//! Examples of bodies: those that a document gives, and those that can be made of its schemas.

use serde_json::{Map, Value};

use super::Document;

/// What all examples of one document may weigh together, in bytes of JSON: references let a few lines name the same
/// long example thousands of times.
const MOST: usize = 4 * 1024 * 1024;
/// How deep a schema is followed into those that it refers to.
const DEEPEST: usize = 12;
/// The most examples of one body.
const MOST_NAMED: usize = 50;

/// A search for examples, within its budget.
pub(super) struct Examples<'a> {
    document: &'a Document,
    left: Option<usize>,
}

impl<'a> Examples<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self { document, left: Some(MOST) }
    }

    /// Whether something was left out because the budget ran out.
    pub(super) fn is_spent(&self) -> bool {
        self.left.is_none()
    }

    /// The examples of a media type, with their names where they have any.
    pub(super) fn of(&mut self, media: &Value) -> Vec<(Option<String>, Value)> {
        if let Some(example) = media.get("example") {
            return self.taken(example).map(|value| (None, value)).into_iter().collect();
        }
        let document = self.document;
        let mut found = Vec::new();
        let named = media.get("examples").and_then(Value::as_object);
        for (name, example) in named.into_iter().flatten().take(MOST_NAMED) {
            let resolved = document.resolve(example, String::new());
            let value = resolved.and_then(|(example, _)| example.get("value"));
            if let Some(value) = value.and_then(|value| self.taken(value)) {
                found.push((Some(name.clone()), value));
            }
        }
        if found.is_empty() {
            let made = media.get("schema").and_then(|schema| self.made(schema, DEEPEST));
            found.extend(made.map(|value| (None, value)));
        }
        found
    }

    fn taken(&mut self, value: &Value) -> Option<Value> {
        let cost = value.to_string().len() + 1;
        self.left = self.left.and_then(|left| left.checked_sub(cost));
        self.left.map(|_| value.clone())
    }

    /// An example of a schema, from what it says of itself or of its parts.
    fn made(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        // Each step costs, or schemas that refer to others twice would double the work at each level.
        self.left = self.left.and_then(|left| left.checked_sub(16));
        self.left?;
        let document = self.document;
        let (schema, _) = document.resolve(schema, String::new())?;
        let said = ["example", "const", "default"].into_iter().find_map(|word| schema.get(word));
        let first = ["/examples/0", "/enum/0"].into_iter().find_map(|pointer| schema.pointer(pointer));
        if let Some(value) = said.or(first) {
            return self.taken(value);
        }
        let depth = depth.checked_sub(1)?;
        let list = |word: &str| schema.get(word).and_then(Value::as_array).into_iter().flatten();
        let mut members = Map::new();
        for part in list("allOf") {
            match self.made(part, depth) {
                Some(Value::Object(more)) => members.extend(more),
                Some(other) => return Some(other),
                None => {}
            }
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if let Some(value) = self.made(property, depth) {
                members.insert(name.clone(), value);
            }
        }
        if !members.is_empty() {
            return Some(Value::Object(members));
        }
        for alternative in list("oneOf").chain(list("anyOf")) {
            if let Some(value) = self.made(alternative, depth) {
                return Some(value);
            }
        }
        schema.get("items").and_then(|items| self.made(items, depth)).map(|item| Value::Array(vec![item]))
    }
}
