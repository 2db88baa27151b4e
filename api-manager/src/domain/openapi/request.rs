//! Requests judged by what a document says of an operation's parameters and body.

use serde_json::Value;
use shared_claims::field_error::FieldError;
use shared_claims::jose::{Malformed, strict_object};

use super::schema::Judge;
use super::{Document, step};

/// What a document asks of an operation's requests.
#[derive(Debug, Default)]
pub struct Rules {
    parameters: Vec<Parameter>,
    /// Whether there has to be a body.
    needs_body: bool,
    /// Media types and the pointers of their schemas, where they have one; none judges no body.
    content: Vec<(String, Option<String>)>,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    place: Place,
    required: bool,
    /// The pointer of its schema; none where it is written in another way than plain text.
    schema: Option<String>,
    /// Whether a list repeats the parameter rather than writing commas.
    explode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// By the number of the path's segment.
    Path(usize),
    Query,
    Header,
}

/// A request before its body.
pub struct Head<'a> {
    /// The segments of the path below the API, as the text they stand for.
    pub segments: &'a [String],
    /// The names and values of the query.
    pub query: &'a [(String, String)],
    /// Finds a header.
    pub header: &'a dyn Fn(&str) -> Option<String>,
}

/// What becomes of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyIs {
    /// Nothing is said of it that could be judged.
    Free,
    /// It is JSON that has to fit the schema at this pointer.
    Json(String),
    /// Its media type is none of the document's.
    Foreign,
    /// It has to be there and is not.
    Missing,
}

impl Rules {
    /// Reads what the document says of the operation at `pointer`, which stands in the path item at `item`.
    #[must_use]
    pub fn read(document: &Document, item: &str, pointer: &str, path: &str) -> Self {
        let mut rules = Self::default();
        for list in [pointer, item] {
            let list = step(list, "parameters");
            let count = document.root().pointer(&list).and_then(Value::as_array).map_or(0, Vec::len);
            for place in 0..count {
                if let Some(parameter) = parameter(document, &format!("{list}/{place}"), path)
                    // The operation's own outrank the path item's.
                    && !rules.parameters.iter().any(|p| p.name == parameter.name && p.place == parameter.place)
                {
                    rules.parameters.push(parameter);
                }
            }
        }
        let body = step(pointer, "requestBody");
        let body = document.root().pointer(&body).and_then(|value| document.resolve(value, body.clone()));
        let Some((body, pointer)) = body else { return rules };
        rules.needs_body = body.get("required") == Some(&Value::Bool(true));
        for (media, described) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
            let schema = step(&step(&step(&pointer, "content"), media), "schema");
            let is_json = media.split(';').next().is_some_and(|bare| bare.trim().ends_with("json"));
            let schema = Some(schema).filter(|_| is_json && described.get("schema").is_some());
            rules
                .content
                .push((media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(), schema));
        }
        rules
    }

    /// What is wrong with the request before its body.
    #[must_use]
    pub fn faults(&self, judge: &Judge, head: &Head<'_>) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for parameter in &self.parameters {
            let (place, values) = parameter.find(head);
            if values.is_empty() {
                if parameter.required {
                    faults.push(FieldError::new(place, "is required"));
                }
                continue;
            }
            let pointer = parameter.schema.as_deref();
            let Some(schema) = pointer.and_then(|pointer| judge.document().root().pointer(pointer)) else {
                continue;
            };
            if let Some(value) = parameter.value(judge.document(), schema, &values) {
                faults.extend(judge.faults(schema, &value, &place));
            }
        }
        faults
    }

    /// What becomes of a body of this media type.
    #[must_use]
    pub fn body(&self, media: Option<&str>, is_empty: bool) -> BodyIs {
        if is_empty {
            return if self.needs_body { BodyIs::Missing } else { BodyIs::Free };
        }
        if self.content.is_empty() {
            return BodyIs::Free;
        }
        let bare =
            media.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let range = format!("{}/*", bare.split('/').next().unwrap_or_default());
        let find = |wanted: &str| self.content.iter().find(|(media, _)| media == wanted);
        match find(&bare).or_else(|| find(&range)).or_else(|| find("*/*")) {
            None => BodyIs::Foreign,
            Some((_, Some(schema))) => BodyIs::Json(schema.clone()),
            Some((_, None)) => BodyIs::Free,
        }
    }
}

/// What is wrong with a JSON body by the schema at `pointer`.
#[must_use]
pub fn body_faults(judge: &Judge, pointer: &str, body: &[u8]) -> Vec<FieldError> {
    // As a member of an object, so that names that occur twice are found at any depth of any value.
    let wrapped = [b"{\"body\":", body, b"}"].concat();
    let value = match strict_object(&wrapped) {
        Ok(mut members) if members.len() == 1 => members.remove("body"),
        Err(Malformed::DuplicateName) => return vec![FieldError::new("/body", "names a member twice")],
        _ => None,
    };
    let Some(value) = value else { return vec![FieldError::new("/body", "is no JSON")] };
    let schema = judge.document().root().pointer(pointer);
    schema.map_or_else(Vec::new, |schema| judge.faults(schema, &value, "/body"))
}

fn parameter(document: &Document, pointer: &str, path: &str) -> Option<Parameter> {
    let value = document.root().pointer(pointer)?;
    let (value, pointer) = document.resolve(value, pointer.to_owned())?;
    let name = value.get("name")?.as_str()?.to_owned();
    let place = match value.get("in")?.as_str()? {
        "path" => Place::Path(path.split('/').position(|segment| segment == format!("{{{name}}}"))?),
        "query" => Place::Query,
        // These three are described elsewhere in a document (OpenAPI 3.1, section 4.8.12.2.1).
        "header"
            if !["accept", "content-type", "authorization"].contains(&name.to_ascii_lowercase().as_str()) =>
        {
            Place::Header
        }
        _ => return None,
    };
    let is_plain =
        value.get("style").and_then(Value::as_str).is_none_or(|style| ["form", "simple"].contains(&style));
    Some(Parameter {
        required: value.get("required") == Some(&Value::Bool(true)),
        schema: Some(step(&pointer, "schema")).filter(|_| is_plain && value.get("schema").is_some()),
        explode: value.get("explode").and_then(Value::as_bool).unwrap_or(place == Place::Query),
        name,
        place,
    })
}

impl Parameter {
    fn find(&self, head: &Head<'_>) -> (String, Vec<String>) {
        match self.place {
            Place::Path(segment) => {
                let found = head.segments.get(segment).filter(|text| !text.is_empty());
                (step("/path", &self.name), found.cloned().into_iter().collect())
            }
            Place::Query => {
                let of_name = head.query.iter().filter(|(name, _)| *name == self.name);
                (step("/query", &self.name), of_name.map(|(_, value)| value.clone()).collect())
            }
            Place::Header => (step("/header", &self.name), (head.header)(&self.name).into_iter().collect()),
        }
    }

    /// The value that the texts stand for by their schema; none for objects, which have many spellings.
    fn value(&self, document: &Document, schema: &Value, texts: &[String]) -> Option<Value> {
        let (schema, _) = document.resolve(schema, String::new())?;
        if is_type(schema, "object") {
            return None;
        }
        if !is_type(schema, "array") {
            // Of one that is repeated, backends differ in which they take.
            return match texts {
                [only] => Some(read(schema, only)),
                several => Some(several.iter().map(|text| Value::from(text.as_str())).collect()),
            };
        }
        let items = schema.get("items").and_then(|items| document.resolve(items, String::new()));
        let item = |text: &str| items.as_ref().map_or_else(|| text.into(), |(items, _)| read(items, text));
        if self.explode && self.place == Place::Query {
            return Some(texts.iter().map(|text| item(text)).collect());
        }
        Some(texts.iter().flat_map(|text| text.split(',')).map(|text| item(text.trim())).collect())
    }
}

fn is_type(schema: &Value, wanted: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(several)) => several.iter().any(|one| one == wanted),
        _ => false,
    }
}

/// Text as the schema's type has it; text that is none of that type stays text, and is then of the wrong type.
fn read(schema: &Value, text: &str) -> Value {
    let is_number = is_type(schema, "integer") || is_type(schema, "number");
    if is_number && let Ok(number) = serde_json::from_str::<serde_json::Number>(text) {
        return Value::Number(number);
    }
    match text {
        "true" if is_type(schema, "boolean") => true.into(),
        "false" if is_type(schema, "boolean") => false.into(),
        _ => text.into(),
    }
}
