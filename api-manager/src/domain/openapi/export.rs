//! An API's document: the one that was imported where there is one, with what the gateway enforces written into it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Document, EXTENSION, METHODS, security};
use crate::domain::api::operation::shape;
use crate::domain::api::{Api, Operation, OperationAuth};

/// What an API's document says about where it stands.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The gateway's URL.
    pub gateway: &'a str,
    /// Where tokens are to be had.
    pub token_url: &'a str,
    /// The API's other settings, as its form has them.
    pub settings: Map<String, Value>,
    /// Each operation, as the form has it.
    pub operations: Vec<Value>,
}

/// The document. Imported again it makes the same API.
#[must_use]
pub fn export(api: &Api, imported: Option<&Document>, around: &Surroundings<'_>) -> Value {
    let skeleton = Document { root: json!({"openapi": "3.1.0", "info": {}}) };
    let source = imported.unwrap_or(&skeleton);
    let Value::Object(mut root) = source.root().clone() else { return Value::Null };
    root.insert("info".to_owned(), info(api, source));
    let server = format!("{}/{}/{}", around.gateway, api.context, api.version);
    root.insert("servers".to_owned(), json!([{ "url": server }]));
    if imported.is_none() {
        let tags: Vec<Value> = api.definition.tags.iter().map(|tag| json!({"name": tag})).collect();
        root.insert("tags".to_owned(), tags.into());
    }
    // Each operation says what it asks for.
    root.remove("security");
    root.insert("paths".to_owned(), paths(api, source, &around.operations));
    let components = root.entry("components").or_insert_with(|| json!({}));
    if let Some(components) = components.as_object_mut() {
        components
            .insert("securitySchemes".to_owned(), json!({"token": scheme(api, source, around.token_url)}));
    }
    root.insert(EXTENSION.to_owned(), Value::Object(around.settings.clone()));
    Value::Object(root)
}

fn info(api: &Api, source: &Document) -> Value {
    let mut info = source.object("/info").cloned().unwrap_or_default();
    info.insert("title".to_owned(), api.name.clone().into());
    info.insert("version".to_owned(), api.version.clone().into());
    let described = info.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = &api.definition.description;
    // The API keeps the beginning of a long description only.
    if !described.starts_with(description.as_str()) || (description.is_empty() && !described.is_empty()) {
        info.insert("description".to_owned(), description.clone().into());
    }
    Value::Object(info)
}

fn scheme(api: &Api, source: &Document, token_url: &str) -> Value {
    let described = security::descriptions(source);
    let names = api.definition.operations.iter().flat_map(|operation| operation.scopes.iter());
    let describe = |name: &str| described.get(name).cloned().unwrap_or_default();
    let scopes: BTreeMap<&str, String> = names.map(|name| (name, describe(name))).collect();
    json!({
        "type": "oauth2",
        "description": "An opaque access token of the API manager",
        "flows": {"clientCredentials": {"tokenUrl": token_url, "scopes": scopes}},
    })
}

fn paths(api: &Api, source: &Document, forms: &[Value]) -> Value {
    let described = source.object("/paths").cloned().unwrap_or_default();
    let by_shape: BTreeMap<String, &String> = described.keys().map(|path| (shape(path), path)).collect();
    let mut paths = Map::new();
    for (place, operation) in api.definition.operations.iter().enumerate() {
        let (path, parameters) = template(&operation.path);
        // A parameter may have got another name since; what ends in /* has no namesake but its own.
        let namesake = by_shape.get(&shape(&operation.path)).filter(|_| !described.contains_key(&path));
        let path = namesake.map_or(path, |described| (*described).clone());
        let before = described.get(&path).and_then(|item| source.resolve(item, String::new()));
        let before = before.and_then(|(item, _)| item.as_object()).cloned().unwrap_or_default();
        let item = paths.entry(path.clone()).or_insert_with(|| Value::Object(without_operations(&before)));
        let Some(item) = item.as_object_mut() else { continue };
        for method in METHODS {
            let is_meant = operation.method == "*" || operation.method.eq_ignore_ascii_case(method);
            // What names its method says more than what takes any.
            if !is_meant || (operation.method == "*" && item.contains_key(method)) {
                continue;
            }
            let described = before.get(method).and_then(Value::as_object).cloned();
            let mut written = described.unwrap_or_else(|| undescribed(&parameters));
            written.remove("servers");
            written.remove("x-auth-type");
            written.insert("security".to_owned(), requirements(operation));
            let form = forms.get(place).and_then(Value::as_object);
            match extension(form, (method, &path)) {
                own if own.is_empty() => written.remove(EXTENSION),
                own => written.insert(EXTENSION.to_owned(), Value::Object(own)),
            };
            item.insert(method.to_owned(), Value::Object(written));
        }
    }
    Value::Object(paths)
}

/// What a path item says of all its operations.
fn without_operations(item: &Map<String, Value>) -> Map<String, Value> {
    let is_kept = |name: &str| !METHODS.contains(&name) && !["servers", "trace", "$ref"].contains(&name);
    item.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Each entry is an alternative, as each scope is.
fn requirements(operation: &Operation) -> Value {
    match operation.auth {
        OperationAuth::None => json!([]),
        _ if operation.scopes.is_empty() => json!([{"token": []}]),
        _ => operation.scopes.iter().map(|scope| json!({"token": [scope]})).collect(),
    }
}

fn undescribed(parameters: &[String]) -> Map<String, Value> {
    let parameter =
        |name: &String| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let mut operation = Map::new();
    operation.insert("parameters".to_owned(), parameters.iter().map(parameter).collect());
    let answer = json!({"default": {"description": "The backend's answer, or a refusal of the gateway"}});
    operation.insert("responses".to_owned(), answer);
    operation
}

/// The members of an operation's form that OpenAPI has no word for, and that are not as they would be unsaid.
fn extension(form: Option<&Map<String, Value>>, (method, path): (&str, &str)) -> Map<String, Value> {
    let is_said = |name: &str, value: &Value| match name {
        "scopes" => true,
        "method" => value.as_str().is_some_and(|word| word.eq_ignore_ascii_case(method)),
        "path" => value.as_str().is_some_and(|own| shape(own) == shape(path)),
        "auth" => value != "application",
        _ => value.is_null() || value == &json!(false) || value == &json!([]) || value == &json!({}),
    };
    let members = form.into_iter().flatten().filter(|(name, value)| !is_said(name, value));
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The path as OpenAPI can say it, and its parameters: it has no `/*`, which becomes a parameter that stands for the
/// rest.
pub(super) fn template(path: &str) -> (String, Vec<String>) {
    let mut parameters = Vec::new();
    let mut segments = Vec::new();
    for segment in path.split('/') {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        parameters.extend(name.map(str::to_owned));
        segments.push(segment.to_owned());
    }
    if segments.last().is_some_and(|last| last == "*") {
        let name = if parameters.iter().any(|name| name == "rest") { "rest_of_path" } else { "rest" };
        segments.pop();
        segments.push(format!("{{{name}}}"));
        parameters.push(name.to_owned());
    }
    (segments.join("/"), parameters)
}

#[cfg(test)]
mod tests;
