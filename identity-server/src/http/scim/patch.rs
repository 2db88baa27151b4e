//! PATCH (RFC 7644, section 3.5.2): operations on the JSON of a user, which is then read like a replacement.

use serde_json::{Map, Value};

use super::filter::{Comparison, strip_schema};
use super::read::member;
use super::{PATCH_SCHEMA, ScimError};

/// The most operations of one request.
const MOST_OPERATIONS: usize = 100;
/// Attributes with several values.
const SEVERAL: [&str; 5] = ["emails", "phoneNumbers", "addresses", "groups", "roles"];
/// Attributes that are ours.
const READ_ONLY: [&str; 3] = ["id", "meta", "schemas"];

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Add,
    Replace,
    Remove,
}

/// `attribute[filter].sub`, as far as it is there.
struct Path {
    attribute: String,
    filter: Option<Comparison>,
    sub: Option<String>,
}

/// Applies a PATCH message to a user's JSON.
///
/// # Errors
/// 400 `invalidSyntax`, `invalidPath`, `invalidValue`, `noTarget` or `mutability`; nothing is then saved.
pub(super) fn apply(message: &Map<String, Value>, user: &mut Map<String, Value>) -> Result<(), ScimError> {
    let syntax = |detail: &str| ScimError::bad_request("invalidSyntax", detail);
    let schemas = member(message, "schemas").and_then(Value::as_array);
    if !schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == PATCH_SCHEMA)) {
        return Err(syntax("schemas must name urn:ietf:params:scim:api:messages:2.0:PatchOp"));
    }
    let operations = member(message, "Operations").and_then(Value::as_array);
    let operations = operations.filter(|list| (1..=MOST_OPERATIONS).contains(&list.len()));
    for operation in operations.ok_or_else(|| syntax("Operations must be a list of 1 to 100 operations"))? {
        let operation = operation.as_object().ok_or_else(|| syntax("each operation must be an object"))?;
        let operator = match member(operation, "op").and_then(Value::as_str).map(str::to_lowercase).as_deref()
        {
            Some("add") => Operator::Add,
            Some("replace") => Operator::Replace,
            Some("remove") => Operator::Remove,
            _ => return Err(syntax("op must be add, replace or remove")),
        };
        let path = match member(operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(path.as_str()),
            Some(_) => return Err(ScimError::bad_request("invalidPath", "path must be a string")),
        };
        apply_one(operator, path, member(operation, "value"), user)?;
    }
    Ok(())
}

fn apply_one(
    operator: Operator,
    path: Option<&str>,
    value: Option<&Value>,
    user: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let missing = || ScimError::bad_request("invalidValue", "value is required");
    match (operator, path) {
        (Operator::Remove, None) => Err(ScimError::bad_request("noTarget", "remove needs a path")),
        (Operator::Remove, Some(path)) => remove(&Path::parse(path)?, user),
        (_, Some(path)) => set(operator, &Path::parse(path)?, value.ok_or_else(missing)?, user),
        (_, None) => {
            let detail = "without a path, value must be an object";
            let members = value.and_then(Value::as_object);
            for (path, value) in members.ok_or_else(|| ScimError::bad_request("invalidValue", detail))? {
                // Reading a resource and sending it back changes nothing that is ours.
                if !is_one_of(path, &READ_ONLY) {
                    set(operator, &Path::parse(path)?, value, user)?;
                }
            }
            Ok(())
        }
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, ScimError> {
        let invalid = || {
            ScimError::bad_request(
                "invalidPath",
                "path must be attribute, attribute.sub or attribute[filter].sub",
            )
        };
        let text = strip_schema(text.trim());
        let (attribute, filter, sub) = match text.split_once('[') {
            Some((attribute, rest)) => {
                let (filter, after) = rest.rsplit_once(']').ok_or_else(invalid)?;
                let sub = match after {
                    "" => None,
                    after => Some(after.strip_prefix('.').ok_or_else(invalid)?),
                };
                (attribute, Some(Comparison::parse(filter)?), sub)
            }
            None => match text.split_once('.') {
                Some((attribute, sub)) => (attribute, None, Some(sub)),
                None => (text, None, None),
            },
        };
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-$".contains(c))
        };
        if !is_name(attribute) || sub.is_some_and(|sub| !is_name(sub)) {
            return Err(invalid());
        }
        if is_one_of(attribute, &READ_ONLY) {
            return Err(ScimError::bad_request("mutability", format!("{attribute} cannot be changed")));
        }
        Ok(Self { attribute: attribute.to_owned(), filter, sub: sub.map(str::to_owned) })
    }
}

fn set(
    operator: Operator,
    path: &Path,
    value: &Value,
    user: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let several = is_one_of(&path.attribute, &SEVERAL);
    let key = spelled(user, &path.attribute);
    if let Some(filter) = &path.filter {
        let mut changed = false;
        for item in elements(user, &key) {
            if let Value::Object(members) = item
                && matches(filter, members)
            {
                changed = true;
                match (&path.sub, value) {
                    (Some(sub), value) => put(members, sub, value.clone()),
                    (None, Value::Object(new)) => {
                        new.iter().for_each(|(name, value)| put(members, name, value.clone()))
                    }
                    (None, _) => {
                        return Err(ScimError::bad_request("invalidValue", "value must be an object"));
                    }
                }
            }
        }
        let detail = "no value fits the path's filter";
        return if changed { Ok(()) } else { Err(ScimError::bad_request("noTarget", detail)) };
    }
    if let Some(sub) = &path.sub {
        if several {
            for item in elements(user, &key) {
                if let Value::Object(members) = item {
                    put(members, sub, value.clone());
                }
            }
            return Ok(());
        }
        let object = user.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = object {
            put(members, sub, value.clone());
            return Ok(());
        }
        return Err(ScimError::bad_request("invalidPath", "the attribute has no parts"));
    }
    match (operator, user.get_mut(&key), value) {
        (Operator::Add, Some(Value::Array(present)), value) => append(present, value),
        (Operator::Add, Some(Value::Object(present)), Value::Object(new)) => {
            new.iter().for_each(|(name, value)| put(present, name, value.clone()));
        }
        (_, _, Value::Object(_) | Value::String(_)) if several => {
            user.insert(key, Value::Array(vec![value.clone()]));
        }
        _ => {
            user.insert(key, value.clone());
        }
    }
    Ok(())
}

fn remove(path: &Path, user: &mut Map<String, Value>) -> Result<(), ScimError> {
    let key = spelled(user, &path.attribute);
    if key.eq_ignore_ascii_case("userName") {
        return Err(ScimError::bad_request("mutability", "userName is required"));
    }
    match (&path.filter, &path.sub) {
        (None, None) => {
            user.remove(&key);
        }
        (None, Some(sub)) => {
            if let Some(Value::Object(members)) = user.get_mut(&key) {
                members.retain(|name, _| !name.eq_ignore_ascii_case(sub));
            }
        }
        (Some(filter), sub) => {
            let fits = |item: &Value| item.as_object().is_some_and(|members| matches(filter, members));
            if let (Some(Value::Array(items)), None) = (user.get_mut(&key), sub) {
                items.retain(|item| !fits(item));
            }
            for item in elements(user, &key).filter(|item| fits(item)) {
                if let (Value::Object(members), Some(sub)) = (item, sub) {
                    members.retain(|name, _| !name.eq_ignore_ascii_case(sub));
                }
            }
        }
    }
    Ok(())
}

/// Adds one value or many, and leaves at most one primary: the last that says so (RFC 7644, section 3.5.2.1).
fn append(present: &mut Vec<Value>, value: &Value) {
    let new = match value {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    };
    for item in new {
        if is_primary(&item) {
            for other in present.iter_mut().filter_map(Value::as_object_mut) {
                put(other, "primary", Value::Bool(false));
            }
        }
        if !present.contains(&item) {
            present.push(item);
        }
    }
}

fn is_primary(item: &Value) -> bool {
    item.as_object().and_then(|members| member(members, "primary")) == Some(&Value::Bool(true))
}

fn matches(filter: &Comparison, members: &Map<String, Value>) -> bool {
    member(members, &filter.attribute).is_some_and(|value| filter.equals(value))
}

fn elements<'a>(user: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    user.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    let key = spelled(members, name);
    members.insert(key, value);
}

/// The name as the object spells it already, so that no attribute is there twice.
fn spelled(members: &Map<String, Value>, name: &str) -> String {
    members
        .keys()
        .find(|known| known.eq_ignore_ascii_case(name))
        .map_or_else(|| name.to_owned(), Clone::clone)
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(strip_schema(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn alice() -> Value {
        json!({"id": "1", "userName": "alice", "active": true, "name": {"givenName": "Alice"},
            "emails": [{"value": "a@work", "type": "work", "primary": true}, {"value": "a@home", "type": "home"}]})
    }

    fn patched(operations: Value) -> Result<Value, String> {
        let message = json!({"schemas": [PATCH_SCHEMA], "Operations": operations});
        let mut user = alice();
        apply(message.as_object().unwrap(), user.as_object_mut().unwrap()).map_err(|e| e.to_string())?;
        Ok(user)
    }

    #[test]
    fn attributes_are_set_with_and_without_a_path() {
        let user = patched(json!([
            {"op": "Replace", "path": "active", "value": false},
            {"op": "add", "path": "name.familyName", "value": "A"},
            {"op": "replace", "value": {"name.givenName": "Al", "TITLE": "Dr", "id": "2"}},
        ]))
        .unwrap();
        assert_eq!(
            (&user["active"], &user["TITLE"], &user["id"]),
            (&json!(false), &json!("Dr"), &json!("1"))
        );
        assert_eq!(user["name"], json!({"givenName": "Al", "familyName": "A"}));
    }

    #[test]
    fn values_are_chosen_by_a_filter() {
        let user = patched(json!([
            {"op": "replace", "path": "emails[type eq \"WORK\"].value", "value": "new@work"},
            {"op": "remove", "path": "emails[type eq \"home\"]"},
            {"op": "add", "path": "emails", "value": [{"value": "x@x", "primary": true}]},
        ]))
        .unwrap();
        let emails = json!([{"value": "new@work", "type": "work", "primary": false}, {"value": "x@x", "primary": true}]);
        assert_eq!(user["emails"], emails);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for bad in [
            json!([]),
            json!("x"),
            json!([{"op": "move", "path": "title"}]),
            json!([{"op": "remove"}]),
            json!([{"op": "remove", "path": "userName"}]),
            json!([{"op": "replace", "path": "id", "value": "2"}]),
            json!([{"op": "replace", "path": "meta.version", "value": "2"}]),
            json!([{"op": "replace", "path": "emails[", "value": "2"}]),
            json!([{"op": "replace", "path": "a b", "value": "2"}]),
            json!([{"op": "replace", "path": 5, "value": "2"}]),
            json!([{"op": "replace", "path": "title"}]),
            json!([{"op": "replace", "value": "text"}]),
            json!([{"op": "replace", "path": "emails[type eq \"none\"].value", "value": "x"}]),
            json!([{"op": "replace", "path": "emails[type co \"w\"].value", "value": "x"}]),
        ] {
            assert!(patched(bad.clone()).is_err(), "{bad}");
        }
        let without_schema = json!({"Operations": [{"op": "remove", "path": "title"}]});
        assert!(apply(without_schema.as_object().unwrap(), alice().as_object_mut().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn no_path_confuses_the_reader(path in "\\PC{0,60}", op in "add|replace|remove") {
            let _ = patched(json!([{"op": op, "path": path, "value": {"value": "x"}}]));
        }
    }
}
