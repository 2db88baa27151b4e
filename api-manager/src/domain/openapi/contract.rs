//! What a document promises of an API's operations, made ready for the gateway: the answers that a mock gives.

use std::collections::HashMap;

use serde_json::Value;

use super::example::Examples;
use super::export::template;
use super::request::Rules;
use super::schema::Judge;
use super::{Document, METHODS, Problems, step};
use crate::domain::api::Operation;
use crate::domain::api::operation::shape;

/// The promises of one API.
#[derive(Debug, Default)]
pub struct Contract {
    /// By the operation's path and a method in upper case.
    described: HashMap<String, HashMap<String, Described>>,
    /// Where requests are judged.
    judge: Option<Judge>,
}

/// What a document says of one operation.
#[derive(Debug, Default)]
pub struct Described {
    answers: Vec<Answer>,
    rules: Rules,
}

/// One status that a mock can answer with.
#[derive(Debug)]
pub struct Answer {
    /// As the document writes it: 200, 4XX or default.
    key: String,
    /// No bodies at all: the answer has none. Otherwise one of them has to be sent.
    bodies: Option<Vec<Body>>,
}

/// A body that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its media type.
    pub media: String,
    /// The example's name, where it has one.
    name: Option<String>,
    /// The body.
    pub text: String,
}

/// What a client would rather have (RFC 7240, section 2, and RFC 9110, section 12.5.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preference {
    /// `Prefer: status=404`.
    pub status: Option<u16>,
    /// `Prefer: example=name`.
    pub example: Option<String>,
    /// The ranges of `Accept` with their weights; empty takes anything.
    pub accept: Vec<(String, f32)>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// The document has no example for it.
    NoExample,
    /// There are examples, of media types that the client does not take.
    NotAcceptable,
}

impl Contract {
    /// Reads the promises about `operations`, and what is wrong with them; `judges` says that requests are judged too.
    #[must_use]
    pub fn compile(document: &Document, operations: &[Operation], judges: bool) -> (Self, Problems) {
        let mut problems = Problems::default();
        let judge = judges.then(|| Judge::compile(document, &mut problems));
        let mut contract = Self { judge, ..Self::default() };
        let mut examples = Examples::new(document);
        for operation in operations {
            let Some((path, item)) = described_item(document, &operation.path) else { continue };
            let Some((item, pointer)) = document.resolve(item, step("/paths", path)) else { continue };
            let of_path = contract.described.entry(operation.path.clone()).or_default();
            for method in METHODS {
                let upper = method.to_ascii_uppercase();
                let is_meant = operation.method == "*" || operation.method == upper;
                let Some(described) = item.get(method).filter(|_| is_meant && !of_path.contains_key(&upper))
                else {
                    continue;
                };
                let answers = answers(document, described, &mut examples);
                if examples.is_spent() {
                    let detail =
                        "is where the examples together grow past 4 MiB; shorten them, or turn mock off";
                    problems.note(&step(&pointer, method), detail);
                }
                of_path.insert(
                    upper,
                    Described {
                        answers,
                        rules: Rules::read(document, &pointer, &step(&pointer, method), path),
                    },
                );
            }
        }
        (contract, problems)
    }

    /// What requests are judged by, where they are.
    #[must_use]
    pub fn judge(&self) -> Option<&Judge> {
        self.judge.as_ref()
    }

    /// What is asked of requests for `operation`; `None` where the document does not describe it.
    #[must_use]
    pub fn rules(&self, operation: &Operation, method: &str) -> Option<&Rules> {
        self.find(operation, method).map(|described| &described.rules)
    }

    /// What is said of `operation` for `method`.
    #[must_use]
    pub fn find(&self, operation: &Operation, method: &str) -> Option<&Described> {
        let of_path = self.described.get(&operation.path)?;
        // What answers GET answers HEAD, if the document does not say otherwise (RFC 9110, section 9.3.2).
        of_path.get(method).or_else(|| of_path.get("GET").filter(|_| method == "HEAD"))
    }
}

/// The path item of an operation: of its very path, or of one that differs in its parameters' names.
fn described_item<'a>(document: &'a Document, path: &str) -> Option<(&'a String, &'a Value)> {
    let paths = document.object("/paths")?;
    let (own, _) = template(path);
    paths.get_key_value(&own).or_else(|| paths.iter().find(|(other, _)| shape(other) == shape(path)))
}

fn answers(document: &Document, operation: &Value, examples: &mut Examples<'_>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (key, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
        let Some((response, _)) = document.resolve(response, String::new()) else { continue };
        let content =
            response.get("content").and_then(Value::as_object).filter(|content| !content.is_empty());
        let bodies = content.map(|content| {
            let of_media = content.iter().flat_map(|(media, described)| {
                let found = examples.of(described);
                found.into_iter().map(|(name, value)| body(media, name, value)).collect::<Vec<_>>()
            });
            of_media.collect()
        });
        answers.push(Answer { key: key.clone(), bodies });
    }
    answers
}

fn body(media: &str, name: Option<String>, value: Value) -> Body {
    let is_json = media.split(';').next().is_some_and(|media| media.trim().ends_with("json"));
    let text = match value {
        // An example of XML or plain text is written as a string.
        Value::String(text) if !is_json => text,
        other => other.to_string(),
    };
    // A range is no type to send.
    let media = if media.contains('*') { "application/json" } else { media };
    Body { media: media.to_owned(), name, text }
}

impl Described {
    /// The answer that fits best: the status that is preferred, or the first of success that has an example.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn answer(&self, preference: &Preference) -> Result<(u16, Option<&Body>), Unanswerable> {
        let mut why = Unanswerable::NoExample;
        for (answer, status) in self.candidates(preference.status) {
            match answer.pick(preference) {
                Ok(body) => return Ok((status, body)),
                Err(Unanswerable::NotAcceptable) => why = Unanswerable::NotAcceptable,
                Err(Unanswerable::NoExample) => {}
            }
        }
        Err(why)
    }

    /// In the order in which they are tried, with the status to send.
    fn candidates(&self, preferred: Option<u16>) -> Vec<(&Answer, u16)> {
        let mut found: Vec<(&Answer, u16)> = Vec::new();
        let mut add = |key: &str, status| {
            let fits = |answer: &&Answer| answer.key.eq_ignore_ascii_case(key);
            found.extend(self.answers.iter().filter(fits).map(|answer| (answer, status)));
        };
        if let Some(status) = preferred {
            let (exact, range) = (status.to_string(), format!("{}XX", status / 100));
            [exact.as_str(), &range, "default"].into_iter().for_each(|key| add(key, status));
            return found;
        }
        // In the document's order, which is by status.
        let statuses = self.answers.iter().filter_map(|answer| answer.key.parse::<u16>().ok());
        for status in statuses.filter(|status| (200..300).contains(status)) {
            add(&status.to_string(), status);
        }
        add("2XX", 200);
        add("default", 200);
        found
    }
}

impl Answer {
    fn pick(&self, preference: &Preference) -> Result<Option<&Body>, Unanswerable> {
        let Some(bodies) = &self.bodies else {
            // Who asks for an example by name is not helped by an answer that has none.
            return if preference.example.is_none() { Ok(None) } else { Err(Unanswerable::NoExample) };
        };
        let named = |body: &&Body| preference.example.is_none() || body.name == preference.example;
        let mut best: Option<(&Body, f32)> = None;
        let mut fitting = bodies.iter().filter(named).peekable();
        if fitting.peek().is_none() {
            return Err(Unanswerable::NoExample);
        }
        for body in fitting {
            let weight = weight(&body.media, &preference.accept);
            if weight > 0.0 && best.is_none_or(|(_, other)| weight > other) {
                best = Some((body, weight));
            }
        }
        best.map(|(body, _)| Some(body)).ok_or(Unanswerable::NotAcceptable)
    }
}

/// How much a client likes a media type: by the most specific range that covers it.
fn weight(media: &str, accept: &[(String, f32)]) -> f32 {
    let bare = media.split(';').next().unwrap_or_default().trim();
    let kind = bare.split('/').next().unwrap_or_default();
    let find = |wanted: &str| accept.iter().find(|(range, _)| range.eq_ignore_ascii_case(wanted));
    let found = find(bare).or_else(|| find(&format!("{kind}/*"))).or_else(|| find("*/*"));
    found.map_or(if accept.is_empty() { 1.0 } else { 0.0 }, |(_, weight)| *weight)
}

#[cfg(test)]
mod tests;
