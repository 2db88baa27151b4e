//! What OpenAPI asks of the parts of a document that an API is made of.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Document, Problems, step};

/// Judges version, title and other members of the root.
pub(super) fn root(document: &Document, problems: &mut Problems) {
    let root = document.root();
    let version = root["openapi"].as_str();
    if !version.is_some_and(|version| ["3.0.", "3.1."].iter().any(|known| version.starts_with(known))) {
        let detail = if root.get("swagger").is_some() {
            "is missing: this is a document of Swagger 2; convert it to OpenAPI 3 first"
        } else {
            "must be the text 3.0.x or 3.1.x"
        };
        problems.note("/openapi", detail);
    }
    for name in ["title", "version"] {
        match root["info"].get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => {}
            None => problems.note(&format!("/info/{name}"), "is required"),
            Some(_) => problems.note(&format!("/info/{name}"), "must be a text; in YAML, put it in quotes"),
        }
    }
    match root.get("paths") {
        Some(Value::Object(_)) => {}
        None => problems.note("/paths", "is required; without paths there is nothing to call"),
        Some(_) => problems.note("/paths", "must be an object whose names are paths"),
    }
    for name in ["components", "info"] {
        if root.get(name).is_some_and(|value| !value.is_object()) {
            problems.note(&format!("/{name}"), "must be an object");
        }
    }
}

/// Judges the parameters at `pointer`, a path item's or an operation's, and gives the names of those in the path.
pub(super) fn parameters(
    document: &Document,
    (list, pointer): (Option<&Value>, String),
    problems: &mut Problems,
) -> BTreeSet<String> {
    let mut in_path = BTreeSet::new();
    let Some(list) = list else { return in_path };
    let Some(list) = list.as_array() else {
        problems.note(&pointer, "must be a list of parameters");
        return in_path;
    };
    let mut seen = BTreeSet::new();
    for (place, parameter) in list.iter().enumerate() {
        // References that lead nowhere are reported as such.
        let resolved = document.resolve(parameter, format!("{pointer}/{place}"));
        let Some((parameter, pointer)) = resolved else { continue };
        let name = parameter["name"].as_str().unwrap_or_default();
        let place = parameter["in"].as_str().unwrap_or_default();
        if name.is_empty() {
            problems.note(&step(&pointer, "name"), "is required");
        }
        if !["path", "query", "header", "cookie"].contains(&place) {
            problems.note(&step(&pointer, "in"), "must be one of: path, query, header, cookie");
        }
        if !seen.insert((name.to_owned(), place.to_owned())) {
            problems.note(&pointer, "repeats a parameter of this list: name and in are the same");
        }
        if place == "path" {
            if parameter["required"] != true {
                problems.note(&step(&pointer, "required"), "must be true for a parameter in the path");
            }
            in_path.insert(name.to_owned());
        }
    }
    in_path
}

/// Judges that a path's parameters and its template name the same.
pub(super) fn template(path: &str, pointer: &str, declared: &BTreeSet<String>, problems: &mut Problems) {
    let named = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
    let template: BTreeSet<String> = path.split('/').filter_map(named).collect();
    for name in template.difference(declared) {
        problems.note(&step(pointer, "parameters"), format!("does not describe {{{name}}} of the path"));
    }
    for name in declared.difference(&template) {
        let detail = format!("describes a parameter {name} in the path, which the path does not hold");
        problems.note(&step(pointer, "parameters"), detail);
    }
}

/// Judges the answers of an operation.
pub(super) fn responses(
    responses: Option<&Value>,
    pointer: &str,
    is_required: bool,
    problems: &mut Problems,
) {
    let pointer = step(pointer, "responses");
    let Some(responses) = responses else {
        if is_required {
            problems.note(&pointer, "is required in OpenAPI 3.0");
        }
        return;
    };
    let Some(responses) = responses.as_object() else {
        return problems.note(&pointer, "must be an object whose names are statuses");
    };
    for name in responses.keys().filter(|name| !name.starts_with("x-")) {
        let bytes = name.as_bytes();
        let is_status = bytes.len() == 3
            && matches!(bytes.first(), Some(b'1'..=b'5'))
            && (name.ends_with("XX") || bytes.iter().all(u8::is_ascii_digit));
        if !is_status && name != "default" {
            problems.note(&step(&pointer, name), "must be a status such as 200 or 4XX, or default");
        }
    }
}
