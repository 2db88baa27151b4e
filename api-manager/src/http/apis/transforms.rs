//! What is changed of messages, as a publisher sends it and as it is shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use shared_server::fields::Fields;
use utoipa::ToSchema;

use crate::domain::api::Definition;
use crate::domain::api::transform::{self, Edits, Transforms};

/// Says what is wrong with a name or a value.
type Check = fn(&str) -> Result<(), &'static str>;

/// What is changed, in the order remove, set, add; all of it literal text.
#[derive(Serialize, ToSchema)]
#[schema(as = Transforms)]
pub(super) struct TransformsView {
    request: RequestView,
    response: ResponseView,
}

/// Of requests.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestTransforms)]
struct RequestView {
    headers: EditsView,
    /// Names and values are the text that they stand for; the gateway escapes them.
    query: EditsView,
}

/// Of answers.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseTransforms)]
struct ResponseView {
    headers: EditsView,
}

/// At most 20 of each.
#[derive(Serialize, ToSchema)]
#[schema(as = Edits)]
struct EditsView {
    /// Takes the place of whatever has the name.
    set: BTreeMap<String, String>,
    /// Comes after whatever has the name.
    add: BTreeMap<String, String>,
    /// Is taken away.
    remove: Vec<String>,
}

impl TransformsView {
    /// `None` where nothing is changed.
    pub(super) fn of(transforms: Transforms) -> Option<Self> {
        if transforms.is_empty() {
            return None;
        }
        let Transforms { request_headers, query, response_headers } = transforms;
        Some(Self {
            request: RequestView { headers: EditsView::of(request_headers), query: EditsView::of(query) },
            response: ResponseView { headers: EditsView::of(response_headers) },
        })
    }
}

impl EditsView {
    fn of(edits: Edits) -> Self {
        Self {
            set: edits.set.into_iter().collect(),
            add: edits.add.into_iter().collect(),
            remove: edits.remove,
        }
    }
}

/// Reads the member `transforms`.
pub(super) fn read(fields: &mut Fields) -> Transforms {
    let mut transforms = Transforms::default();
    fields.object("transforms", |fields| {
        fields.object("request", |fields| {
            let header = (transform::parse_request_header as Check, transform::parse_header_value as Check);
            let parameter = (transform::parse_parameter as Check, transform::parse_parameter_value as Check);
            transforms.request_headers = edits(fields, "headers", header, str::to_ascii_lowercase);
            transforms.query = edits(fields, "query", parameter, str::to_owned);
        });
        fields.object("response", |fields| {
            let header = (transform::parse_response_header as Check, transform::parse_header_value as Check);
            transforms.response_headers = edits(fields, "headers", header, str::to_ascii_lowercase);
        });
    });
    transforms
}

/// `one` is the one spelling by which names are told apart.
fn edits(
    fields: &mut Fields,
    name: &'static str,
    (check_name, check_value): (Check, Check),
    one: fn(&str) -> String,
) -> Edits {
    let read = fields.object(name, |fields| {
        let set = pairs(fields, "set", check_name, check_value, one);
        let add = pairs(fields, "add", check_name, check_value, one);
        let remove =
            fields.texts("remove", transform::MOST, transform::LONGEST_NAME, false).unwrap_or_default();
        for (place, item) in remove.iter().enumerate() {
            if let Err(fault) = check_name(item) {
                fields.blame(&format!("remove[{place}]"), fault);
            }
        }
        Edits { set, add, remove }
    });
    read.unwrap_or_default()
}

fn pairs(
    fields: &mut Fields,
    list: &'static str,
    check_name: Check,
    check_value: Check,
    one: fn(&str) -> String,
) -> Vec<(String, String)> {
    let members = match fields.value(list) {
        None => return Vec::new(),
        Some(Value::Object(members)) => members,
        Some(_) => {
            fields.blame(list, "must be an object of names and their values");
            return Vec::new();
        }
    };
    if members.len() > transform::MOST {
        fields.blame(list, format!("has too many members; at most {} are accepted", transform::MOST));
        return Vec::new();
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in members {
        let place = format!("{list}.{}", shared_claims::oauth::printable(&name));
        let fault = match &value {
            Value::String(text) => check_name(&name).and_then(|()| check_value(text)).err(),
            _ => Some("must be a string"),
        };
        let is_repeated = pairs.iter().any(|(other, _)| one(other) == one(&name));
        match (fault, value) {
            (Some(fault), _) => fields.blame(&place, fault),
            (None, _) if is_repeated => fields.blame(&place, "is there twice"),
            (None, Value::String(text)) => pairs.push((name, text)),
            (None, _) => {}
        }
    }
    pairs
}

/// Reads the member `rewrite` of the operation at `path`.
pub(super) fn rewrite(fields: &mut Fields, path: &str) -> Option<String> {
    let text = fields.text("rewrite", 1_000)?;
    // What the names of a bad path are nobody can say.
    if fields.is_blamed("path") {
        return None;
    }
    transform::parse_rewrite(&text, path).map_err(|fault| fields.blame("rewrite", fault)).ok()
}

/// Reads the member `backend_jwt_header`.
pub(super) fn assertion_header(fields: &mut Fields) -> Option<String> {
    let name = fields.text("backend_jwt_header", transform::LONGEST_NAME)?;
    let parsed = transform::parse_assertion_header(&name);
    parsed.map_err(|fault| fields.blame("backend_jwt_header", fault)).ok()
}

/// Another header than the usual one for the caller is the gateway's own too.
pub(super) fn blame_taken(fields: &mut Fields, definition: &Definition) {
    let Some(taken) = &definition.backend_jwt_header else { return };
    let operations = definition.operations.iter().enumerate();
    let of_operations =
        operations.map(|(place, operation)| (format!("operations[{place}]."), &operation.transforms));
    for (place, transforms) in of_operations.chain([(String::new(), &definition.transforms)]) {
        for (list, name) in transforms.request_headers.names() {
            if name.eq_ignore_ascii_case(taken) {
                let field = format!("{place}transforms.request.headers.{list}");
                fields.blame(&field, "names the header of backend_jwt_header, which is the gateway's own");
            }
        }
    }
}
