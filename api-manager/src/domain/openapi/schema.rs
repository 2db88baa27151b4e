//! Values judged by JSON Schema as OpenAPI uses it, in a bounded number of steps and with patterns that never backtrack.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde_json::Value;
use shared_claims::field_error::FieldError;

use super::{Document, Problems, step};

/// The most steps that one request is judged in: schemas that refer to others twice would double them at each level.
const MOST_STEPS: usize = 200_000;
/// How deep schemas lead into one another.
const DEEPEST: usize = 100;
/// The most faults that one request is told.
const MOST_FAULTS: usize = 20;
/// The most patterns of a document, and how large each may become.
const MOST_PATTERNS: usize = 500;
const LARGEST_PATTERN: usize = 256 * 1024;
/// Words that would have to be understood to judge rightly, and are not.
const UNKNOWN: [&str; 5] =
    ["$dynamicRef", "$recursiveRef", "$id", "unevaluatedProperties", "unevaluatedItems"];

/// A document whose schemas can be asked about values.
#[derive(Debug)]
pub struct Judge {
    document: Document,
    patterns: HashMap<String, Regex>,
}

/// One request under judgement.
struct Run {
    steps: usize,
    faults: Vec<FieldError>,
}

impl Judge {
    /// Compiles every pattern; what cannot be judged by is noted.
    #[must_use]
    pub fn compile(document: &Document, problems: &mut Problems) -> Self {
        let mut judge = Self { document: document.clone(), patterns: HashMap::new() };
        judge.visit(document.root(), "", problems);
        judge
    }

    /// The document that is judged by.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    fn visit(&mut self, value: &Value, pointer: &str, problems: &mut Problems) {
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.visit(item, &format!("{pointer}/{place}"), problems);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let below = step(pointer, name);
                    match (name.as_str(), member) {
                        ("example" | "examples" | "default" | "enum" | "const" | "value", _) => {}
                        ("pattern", Value::String(pattern)) => self.pattern(pattern, &below, problems),
                        (word, _) if UNKNOWN.contains(&word) => {
                            problems
                                .note(&below, "is not understood by validate_requests; say it another way");
                        }
                        _ => self.visit(member, &below, problems),
                    }
                    if let ("patternProperties", Value::Object(patterns)) = (name.as_str(), member) {
                        patterns.keys().for_each(|pattern| self.pattern(pattern, &below, problems));
                    }
                }
            }
            _ => {}
        }
    }

    fn pattern(&mut self, pattern: &str, pointer: &str, problems: &mut Problems) {
        if self.patterns.contains_key(pattern) {
            return;
        }
        let compiled =
            RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN).build();
        match compiled {
            Ok(regex) if self.patterns.len() < MOST_PATTERNS => {
                self.patterns.insert(pattern.to_owned(), regex);
            }
            _ => problems.note(
                pointer,
                "is no regular expression without look-around and references back, or one too many",
            ),
        }
    }

    /// What is wrong with `value` by `schema`; `place` names the value. Never holds the value itself.
    #[must_use]
    pub fn faults(&self, schema: &Value, value: &Value, place: &str) -> Vec<FieldError> {
        let mut run = Run { steps: MOST_STEPS, faults: Vec::new() };
        self.check(schema, value, place, DEEPEST, &mut run);
        run.faults
    }

    fn holds(&self, schema: &Value, value: &Value, depth: usize, run: &mut Run) -> bool {
        let mut quiet = Run { steps: run.steps, faults: Vec::new() };
        self.check(schema, value, "", depth, &mut quiet);
        run.steps = quiet.steps;
        quiet.faults.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, depth: usize, run: &mut Run) {
        run.steps = run.steps.saturating_sub(1);
        let Some(depth) = depth.checked_sub(1).filter(|_| run.steps > 0) else {
            return run.fault(at, "takes too long to judge");
        };
        match schema {
            Value::Bool(false) => return run.fault(at, "must not be there"),
            Value::Bool(true) => return,
            _ => {}
        }
        let is_3_0 = self.document.is_3_0();
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target =
                super::pointer_of(reference).and_then(|pointer| self.document.root().pointer(&pointer));
            match target {
                Some(target) => self.check(target, value, at, depth, run),
                None => run.fault(at, "cannot be judged"),
            }
            // Beside a reference nothing else counted before JSON Schema 2019-09.
            if is_3_0 {
                return;
            }
        }
        if is_3_0 && value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return;
        }
        let mut types = match schema.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        types.truncate(7);
        if !types.is_empty() && !types.iter().any(|wanted| is_of(value, wanted)) {
            return run.fault(at, format!("must be of type {}", types.join(" or ")));
        }
        if schema
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|all| !all.iter().any(|one| same(one, value)))
        {
            run.fault(at, "must be one of the values that the document lists");
        }
        if schema.get("const").is_some_and(|only| !same(only, value)) {
            run.fault(at, "must be the value that the document names");
        }
        match value {
            Value::Number(_) => numbers(schema, value, at, run),
            Value::String(text) => self.texts(schema, text, at, run),
            Value::Array(items) => self.items(schema, items, at, depth, run),
            Value::Object(_) => self.members(schema, value, at, depth, run),
            _ => {}
        }
        self.combined(schema, value, at, depth, run);
    }

    fn texts(&self, schema: &Value, text: &str, at: &str, run: &mut Run) {
        let length = text.chars().count() as u64;
        bounds(schema, ("minLength", "maxLength"), length, "characters", at, run);
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !self.patterns.get(pattern).is_some_and(|regex| regex.is_match(text))
        {
            run.fault(at, "must match the pattern of the document");
        }
    }

    fn items(&self, schema: &Value, items: &[Value], at: &str, depth: usize, run: &mut Run) {
        bounds(schema, ("minItems", "maxItems"), items.len() as u64, "items", at, run);
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            // Sorted text finds repetition without comparing each with each.
            let mut texts: Vec<String> = items.iter().map(Value::to_string).collect();
            texts.sort_unstable();
            if texts.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
                run.fault(at, "must not hold an item twice");
            }
        }
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (place, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(place).or_else(|| schema.get("items")) {
                self.check(schema, item, &format!("{at}/{place}"), depth, run);
            }
        }
        if let Some(wanted) = schema.get("contains") {
            let count = items.iter().filter(|item| self.holds(wanted, item, depth, run)).count() as u64;
            let least = schema.get("minContains").and_then(Value::as_u64).unwrap_or(1);
            if count < least
                || schema.get("maxContains").and_then(Value::as_u64).is_some_and(|most| count > most)
            {
                run.fault(at, "does not hold as many of certain items as the document asks for");
            }
        }
    }

    fn members(&self, schema: &Value, value: &Value, at: &str, depth: usize, run: &mut Run) {
        let Some(members) = value.as_object() else { return };
        bounds(schema, ("minProperties", "maxProperties"), members.len() as u64, "members", at, run);
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            // What only the server writes is not asked of a request (OpenAPI 3.0, readOnly).
            let is_servers = schema.pointer(&format!("{}/readOnly", step("/properties", name)))
                == Some(&Value::Bool(true));
            if !members.contains_key(name) && !is_servers {
                run.fault(&step(at, name), "is required");
            }
        }
        for (name, wanted) in schema.get("dependentRequired").and_then(Value::as_object).into_iter().flatten()
        {
            let wanted = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
            for missing in wanted.filter(|other| members.contains_key(name) && !members.contains_key(*other))
            {
                run.fault(&step(at, missing), "is required by another member");
            }
        }
        for (name, dependent) in
            schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten()
        {
            if members.contains_key(name) {
                self.check(dependent, value, at, depth, run);
            }
        }
        let described = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (name, member) in members {
            let below = step(at, name);
            let own = described.and_then(|described| described.get(name));
            let mut is_described = own.is_some();
            if let Some(schema) = own {
                self.check(schema, member, &below, depth, run);
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                if self.patterns.get(pattern).is_some_and(|regex| regex.is_match(name)) {
                    is_described = true;
                    self.check(schema, member, &below, depth, run);
                }
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !is_described => {
                    run.fault(&below, "is no member that the document describes")
                }
                Some(other) if !is_described => self.check(other, member, &below, depth, run),
                _ => {}
            }
            if let Some(names) = schema.get("propertyNames") {
                self.check(names, &Value::from(name.as_str()), &below, depth, run);
            }
        }
    }

    fn combined(&self, schema: &Value, value: &Value, at: &str, depth: usize, run: &mut Run) {
        let list = |word: &str| schema.get(word).and_then(Value::as_array);
        for part in list("allOf").into_iter().flatten() {
            self.check(part, value, at, depth, run);
        }
        if let Some(parts) = list("anyOf")
            && !parts.iter().any(|part| self.holds(part, value, depth, run))
        {
            run.fault(at, "fits none of the alternatives of the document");
        }
        if let Some(parts) = list("oneOf")
            && parts.iter().filter(|part| self.holds(part, value, depth, run)).count() != 1
        {
            run.fault(at, "must fit exactly one of the alternatives of the document");
        }
        if schema.get("not").is_some_and(|not| self.holds(not, value, depth, run)) {
            run.fault(at, "is what the document rules out");
        }
        if let Some(condition) = schema.get("if") {
            let word = if self.holds(condition, value, depth, run) { "then" } else { "else" };
            if let Some(consequence) = schema.get(word) {
                self.check(consequence, value, at, depth, run);
            }
        }
    }
}

impl Run {
    fn fault(&mut self, at: &str, detail: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(FieldError::new(at, detail));
        }
    }
}

fn is_of(value: &Value, wanted: &str) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        // 1.0 is an integer in JSON Schema.
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}

fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

fn numbers(schema: &Value, value: &Value, at: &str, run: &mut Run) {
    let Some(number) = value.as_f64() else { return };
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    // In OpenAPI 3.0 the exclusive words are flags of the others.
    let is_flagged = |word: &str| schema.get(word) == Some(&Value::Bool(true));
    let (least, most) = (bound("minimum"), bound("maximum"));
    if least.is_some_and(|least| number < least || (number <= least && is_flagged("exclusiveMinimum")))
        || bound("exclusiveMinimum").is_some_and(|least| number <= least)
    {
        run.fault(at, "is smaller than the document allows");
    }
    if most.is_some_and(|most| number > most || (number >= most && is_flagged("exclusiveMaximum")))
        || bound("exclusiveMaximum").is_some_and(|most| number >= most)
    {
        run.fault(at, "is greater than the document allows");
    }
    if let Some(of) = bound("multipleOf").filter(|of| *of > 0.0) {
        let quotient = number / of;
        if (quotient - quotient.round()).abs() > 1e-9 * quotient.abs().max(1.0) {
            run.fault(at, "is no multiple of what the document names");
        }
    }
}

fn bounds(schema: &Value, (least, most): (&str, &str), count: u64, what: &str, at: &str, run: &mut Run) {
    let bound = |word: &str| schema.get(word).and_then(Value::as_u64);
    if let Some(least) = bound(least).filter(|least| count < *least) {
        run.fault(at, format!("must have at least {least} {what}"));
    }
    if let Some(most) = bound(most).filter(|most| count > *most) {
        run.fault(at, format!("must have at most {most} {what}"));
    }
}

#[cfg(test)]
mod tests;
