//! The operations of a document, as members of the form that makes an API.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::export::template;
use super::{Document, EXTENSION, METHODS, Problems, rules, security, step};

/// What a path item may hold besides operations.
const BESIDES: [&str; 5] = ["summary", "description", "servers", "parameters", "$ref"];

/// An operation of the form, and where the document says it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) form: Map<String, Value>,
    pub(super) path: String,
    pub(super) operation: String,
}

/// Reads every operation; what is wrong is noted.
pub(super) fn read(document: &Document, any_scope: bool, problems: &mut Problems) -> Vec<Found> {
    let mut reader = Reader { document, any_scope, problems, ids: BTreeSet::new(), found: Vec::new() };
    for (path, item) in document.object("/paths").into_iter().flatten() {
        if !path.starts_with("x-") {
            reader.item(path, item);
        }
    }
    reader.found
}

struct Reader<'a> {
    document: &'a Document,
    any_scope: bool,
    problems: &'a mut Problems,
    ids: BTreeSet<String>,
    found: Vec<Found>,
}

impl Reader<'_> {
    fn item(&mut self, path: &str, item: &Value) {
        let place = step("/paths", path);
        if !path.starts_with('/') {
            return self.problems.note(&place, "must begin with a slash");
        }
        let document = self.document;
        let Some((item, pointer)) = document.resolve(item, place.clone()) else { return };
        let Some(members) = item.as_object() else {
            return self.problems.note(&pointer, "must be an object whose names are methods");
        };
        let shared = rules::parameters(
            document,
            (item.get("parameters"), step(&pointer, "parameters")),
            self.problems,
        );
        self.refuse_servers(item, &pointer);
        for (name, member) in members {
            if METHODS.contains(&name.as_str()) {
                self.operation((path, &place), (name, member, step(&pointer, name)), &shared);
            } else if name == "trace" {
                let detail = "is a method that the gateway passes to nobody; remove it";
                self.problems.note(&step(&pointer, name), detail);
            } else if !BESIDES.contains(&name.as_str()) && !name.starts_with("x-") {
                let detail = format!("is no member of a path item; the methods are: {}", METHODS.join(", "));
                self.problems.note(&step(&pointer, name), detail);
            }
        }
    }

    fn refuse_servers(&mut self, value: &Value, pointer: &str) {
        if value.get("servers").is_some() {
            let detail = "is not followed: all operations of an API have the same backends; remove it";
            self.problems.note(&step(pointer, "servers"), detail);
        }
    }

    fn operation(
        &mut self,
        (path, place): (&str, &str),
        (method, operation, pointer): (&str, &Value, String),
        shared: &BTreeSet<String>,
    ) {
        if !operation.is_object() {
            return self.problems.note(&pointer, "must be an object");
        }
        let document = self.document;
        self.refuse_servers(operation, &pointer);
        if let Some(id) = operation["operationId"].as_str()
            && !self.ids.insert(id.to_owned())
        {
            self.problems.note(&step(&pointer, "operationId"), "is the id of another operation too");
        }
        let own = (operation.get("parameters"), step(&pointer, "parameters"));
        let mut declared = rules::parameters(document, own, self.problems);
        declared.extend(shared.iter().cloned());
        rules::template(path, &pointer, &declared, self.problems);
        rules::responses(operation.get("responses"), &pointer, document.is_3_0(), self.problems);
        let form = self.form(path, method, operation, &pointer);
        // An operation of any method was written once for each method.
        let is_any = form.get("method").is_some_and(|method| method == "*");
        let is_there = is_any && self.found.iter().any(|found| found.form == form);
        if !is_there {
            self.found.push(Found { form, path: place.to_owned(), operation: pointer });
        }
    }

    fn form(&mut self, path: &str, method: &str, operation: &Value, pointer: &str) -> Map<String, Value> {
        let document = self.document;
        let requirements = match operation.get("security") {
            Some(own) => Some((own, step(pointer, "security"))),
            None => document.root().get("security").map(|all| (all, "/security".to_owned())),
        };
        let access = requirements.map_or_else(security::Access::default, |(requirements, pointer)| {
            security::read(document, (requirements, &pointer), self.any_scope, self.problems)
        });
        let auth = if access.is_open { "none" } else { auth_type(operation) };
        let mut form = Map::new();
        form.insert("method".to_owned(), method.to_ascii_uppercase().into());
        form.insert("path".to_owned(), path.into());
        form.insert("scopes".to_owned(), json!(access.scopes));
        form.insert("auth".to_owned(), auth.into());
        match operation.get(EXTENSION) {
            None => {}
            Some(Value::Object(own)) => self.extend(&mut form, own, &step(pointer, EXTENSION)),
            Some(_) => self.problems.note(&step(pointer, EXTENSION), "must be an object"),
        }
        form
    }

    /// What OpenAPI has no word for: any method, the rest of a path, who may call.
    fn extend(&mut self, form: &mut Map<String, Value>, own: &Map<String, Value>, pointer: &str) {
        for (name, value) in own {
            let is_fit = match name.as_str() {
                "scopes" => false,
                "method" => value == "*",
                "path" => value.as_str().is_some_and(|path| form["path"] == template(path).0.as_str()),
                _ => true,
            };
            if is_fit {
                form.insert(name.clone(), value.clone());
            } else {
                self.problems.note(
                    &step(pointer, name),
                    "does not fit the operation: scopes are written in security, method may be * only, and path the \
                     operation's own with /* for a {rest} at its end",
                );
            }
        }
    }
}

/// WSO2's word for who may call. Every other value of it asks for a token.
fn auth_type(operation: &Value) -> &'static str {
    match operation["x-auth-type"].as_str() {
        Some("None") => "none",
        Some("Application") => "application",
        _ => "token",
    }
}
