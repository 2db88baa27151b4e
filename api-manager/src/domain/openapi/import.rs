//! A document read as the form that makes an API, with the pointer of every member.

use serde_json::{Map, Value, json};
use shared_claims::field_error::FieldError;
use url::Url;

use super::{Document, EXTENSION, Problems, operations, references, rules, step};

/// What the caller says besides the document.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Where an operation asks for several scopes at once, any of them will do.
    pub any_scope: bool,
    /// Members of the form that win over what the document says.
    pub members: Map<String, Value>,
}

/// A document as the body that would make its API.
#[derive(Debug)]
pub struct Reading {
    /// The members of the body.
    pub form: Map<String, Value>,
    /// What is wrong with the document itself.
    pub problems: Vec<FieldError>,
    places: Places,
}

/// Where the members of the form were said.
#[derive(Debug, Default)]
struct Places {
    chosen: Vec<String>,
    servers: Vec<usize>,
    operations: Vec<(String, String)>,
}

/// Reads and judges a document.
#[must_use]
pub fn read(document: &Document, choices: &Choices) -> Reading {
    let mut problems = Problems::default();
    rules::root(document, &mut problems);
    references::check(document, &mut problems);
    let mut form = Map::new();
    let mut places = Places { chosen: choices.members.keys().cloned().collect(), ..Places::default() };
    let found = operations::read(document, choices.any_scope, &mut problems);
    let root = document.root();
    form.insert("tiers".to_owned(), json!(["Unlimited"]));
    form.insert("tags".to_owned(), tags(root));
    form.insert("context".to_owned(), context(root));
    form.insert("backends".to_owned(), backends(root, &mut places));
    if let Some(own) = extension(root, &mut problems) {
        if own.contains_key("backends") {
            places.servers.clear();
        }
        form.extend(own.clone());
    }
    for (member, pointer) in
        [("name", "/info/title"), ("version", "/info/version"), ("description", "/info/description")]
    {
        if let Some(value) = root.pointer(pointer) {
            form.insert(member.to_owned(), shortened(member, value));
        }
    }
    let mut listed = Vec::new();
    for operation in found {
        places.operations.push((operation.path, operation.operation));
        listed.push(Value::Object(operation.form));
    }
    form.insert("operations".to_owned(), listed.into());
    form.extend(choices.members.clone());
    Reading { form, problems: problems.into_list(), places }
}

impl Reading {
    /// What is wrong with the form, said of the document: pointers take the place of the form's fields. What was said
    /// already of the same place is left out.
    #[must_use]
    pub fn with_form_errors(&self, errors: &[FieldError]) -> Vec<FieldError> {
        let mut all = self.problems.clone();
        for error in errors {
            let pointer = self.places.pointer(&error.field);
            if !self.problems.iter().any(|problem| problem.field == pointer) {
                all.push(FieldError::new(pointer, error.detail.clone()));
            }
        }
        all
    }
}

impl Places {
    fn pointer(&self, field: &str) -> String {
        let (first, rest) = field.split_at(field.find(['.', '[']).unwrap_or(field.len()));
        if self.chosen.iter().any(|chosen| chosen == first) {
            return field.to_owned();
        }
        match first {
            "name" => "/info/title".to_owned(),
            "version" | "description" => format!("/info/{first}"),
            "operations" => self.operation(rest),
            "backends" if !self.servers.is_empty() => {
                let place = place(rest.strip_prefix(".production").unwrap_or_default());
                let server = place.and_then(|(place, _)| self.servers.get(place));
                server.map_or("/servers".to_owned(), |server| format!("/servers/{server}/url"))
            }
            _ => format!("/{EXTENSION}/{}", slashes(field)),
        }
    }

    fn operation(&self, rest: &str) -> String {
        let found = place(rest).and_then(|(place, rest)| Some((self.operations.get(place)?, rest)));
        let Some(((path, operation), rest)) = found else { return "/paths".to_owned() };
        match rest.strip_prefix('.').unwrap_or_default() {
            "path" => path.clone(),
            "" | "method" => operation.clone(),
            member if member.starts_with("scopes") => step(operation, "security"),
            member => format!("{operation}/{EXTENSION}/{}", slashes(member)),
        }
    }
}

/// The number in brackets that `text` begins with, and what follows it.
fn place(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

fn slashes(field: &str) -> String {
    field.replace(['.', '['], "/").replace(']', "")
}

fn extension<'a>(root: &'a Value, problems: &mut Problems) -> Option<&'a Map<String, Value>> {
    let own = root.get(EXTENSION)?;
    if own.as_object().is_none() {
        problems.note(&format!("/{EXTENSION}"), "must be an object");
    }
    let own = own.as_object()?;
    for member in ["name", "version", "description", "operations"] {
        if own.contains_key(member) {
            let detail = "is said elsewhere in the document: in info and paths; remove it";
            problems.note(&format!("/{EXTENSION}/{member}"), detail);
        }
    }
    Some(own)
}

/// What a document says about itself may be longer than what an API does; the document keeps it all.
fn shortened(member: &str, value: &Value) -> Value {
    match value.as_str() {
        Some(text) if member == "description" => text.chars().take(4_000).collect::<String>().into(),
        _ => value.clone(),
    }
}

fn tags(root: &Value) -> Value {
    let names = root["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str());
    let mut tags: Vec<&str> = Vec::new();
    for name in names.filter(|name| !name.trim().is_empty() && name.chars().count() <= 60) {
        if tags.len() < 20 && !tags.contains(&name) {
            tags.push(name);
        }
    }
    json!(tags)
}

/// The first server's path, without the version at its end.
fn context(root: &Value) -> Value {
    let Some(url) = root.pointer("/servers/0").and_then(server_url) else { return Value::Null };
    let path = match Url::parse(&url) {
        Ok(url) => url.path().to_owned(),
        Err(_) if url.starts_with('/') => url,
        Err(_) => return Value::Null,
    };
    let bare = path.trim_matches('/');
    let version = root.pointer("/info/version").and_then(Value::as_str).unwrap_or_default();
    let without = bare.strip_suffix(version).filter(|rest| rest.is_empty() || rest.ends_with('/'));
    let context = if version.is_empty() { bare } else { without.unwrap_or(bare).trim_matches('/') };
    if context.is_empty() { Value::Null } else { context.into() }
}

/// Servers over TLS. Others are not what a publisher means without saying so: plain http shows the traffic to whoever
/// carries it, and what is relative is relative to where the document was found.
fn backends(root: &Value, places: &mut Places) -> Value {
    let mut production = Vec::new();
    for (place, server) in root["servers"].as_array().into_iter().flatten().enumerate() {
        if let Some(url) = server_url(server).filter(|url| url.starts_with("https://")) {
            production.push(url);
            places.servers.push(place);
        }
    }
    json!({ "production": production })
}

/// A server's URL with its variables at their defaults.
fn server_url(server: &Value) -> Option<String> {
    let mut url = server["url"].as_str()?.to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten().take(20) {
        let default = variable["default"].as_str().filter(|text| text.len() <= 200)?;
        url = url.replace(&format!("{{{name}}}"), default);
    }
    (url.len() <= 2_000).then_some(url)
}
