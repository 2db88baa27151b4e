//! Reads a user from SCIM's JSON: names without regard to case, unknown attributes ignored, every fault named.

use serde_json::{Map, Value};
use shared_claims::secret::Secret;

use super::{ScimError, USER_SCHEMA};
use crate::domain::password;
use crate::domain::profile::{Contact, LONGEST_VALUE, MOST_VALUES, PostalAddress, Profile};
use crate::domain::user::UserName;
use crate::flows::users::UserChange;

/// Attributes under reading.
struct Attributes<'a> {
    members: &'a Map<String, Value>,
    prefix: String,
    faults: &'a mut Vec<String>,
}

/// Finds a member without regard to case.
pub(super) fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Reads a user that is made or replaced.
///
/// # Errors
/// 400 `invalidValue` with every fault.
pub(super) fn user(members: &Map<String, Value>) -> Result<UserChange, ScimError> {
    let mut faults = Vec::new();
    let mut attributes = Attributes { members, prefix: String::new(), faults: &mut faults };

    attributes.schemas();
    let typed = attributes.text("userName").unwrap_or_default();
    let name = UserName::parse(&typed);
    let active = attributes.flag("active").unwrap_or(true);
    let password = attributes.password(&typed);
    let profile = attributes.profile();
    if let Err(bad) = &name {
        faults.push(format!("userName {bad}"));
    }
    faults.extend(profile.faults().into_iter().map(|fault| format!("{} {}", fault.field, fault.detail)));

    match name {
        Ok(name) if faults.is_empty() => Ok(UserChange { name, password, active, profile }),
        _ => Err(ScimError::bad_request("invalidValue", faults.join("; "))),
    }
}

impl Attributes<'_> {
    /// RFC 7643, section 3: a list that names the core schema. Clients that leave it out are understood.
    fn schemas(&mut self) {
        let Some(schemas) = member(self.members, "schemas") else { return };
        let names_ours = |names: &Vec<Value>| names.iter().any(|name| name == USER_SCHEMA);
        if !schemas.as_array().is_some_and(names_ours) {
            self.blame("schemas", &format!("must be a list that holds {USER_SCHEMA}"));
        }
    }

    fn blame(&mut self, name: &str, what: &str) {
        self.faults.push(format!("{}{name} {what}", self.prefix));
    }

    fn value(&self, name: &str) -> Option<Value> {
        member(self.members, name).filter(|value| !value.is_null()).cloned()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.chars().count() > LONGEST_VALUE => {
                self.blame(name, "is too long; at most 255 characters are accepted")
            }
            Value::String(text) if text.chars().any(char::is_control) => {
                self.blame(name, "must not hold control characters")
            }
            // RFC 7643 section 2.5: an empty value is the same as none.
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => return Some(text),
            _ => self.blame(name, "must be a string"),
        }
        None
    }

    /// Some provisioning clients send truth values as text.
    fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.blame(name, "must be true or false");
                None
            }
        }
    }

    fn password(&mut self, user_name: &str) -> Option<Secret> {
        let Value::String(text) = self.value("password")? else {
            self.blame("password", "must be a string");
            return None;
        };
        if let Err(bad) = password::accept(&text, user_name) {
            self.blame("password", &bad.to_string());
        }
        Some(Secret::new(text))
    }

    fn profile(&mut self) -> Profile {
        let mut profile = Profile {
            external_id: self.text("externalId"),
            display_name: self.text("displayName"),
            nick_name: self.text("nickName"),
            profile_url: self.text("profileUrl"),
            title: self.text("title"),
            preferred_language: self.text("preferredLanguage"),
            locale: self.text("locale"),
            timezone: self.text("timezone"),
            emails: self.several("emails", |item| item.contact()),
            phone_numbers: self.several("phoneNumbers", |item| item.contact()),
            addresses: self.several("addresses", |item| item.address()),
            groups: distinct(self.several("groups", |item| item.plain())),
            roles: distinct(self.several("roles", |item| item.plain())),
            ..Profile::default()
        };
        match self.value("name") {
            None => {}
            Some(Value::Object(members)) => {
                let mut name =
                    Attributes { members: &members, prefix: "name.".to_owned(), faults: self.faults };
                profile.formatted_name = name.text("formatted");
                profile.given_name = name.text("givenName");
                profile.middle_name = name.text("middleName");
                profile.family_name = name.text("familyName");
            }
            Some(_) => self.blame("name", "must be an object"),
        }
        profile
    }

    /// The values of an attribute that may have several; a bare string stands for its `value`.
    fn several<T>(&mut self, name: &str, read: fn(&mut Attributes<'_>) -> Option<T>) -> Vec<T> {
        let items = match self.value(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) if items.len() > MOST_VALUES => {
                self.blame(name, "has too many values; at most 50 are accepted");
                return Vec::new();
            }
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.blame(name, "must be a list");
                return Vec::new();
            }
        };
        let mut values = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let members = match item {
                Value::Object(members) => members,
                Value::String(text) => Map::from_iter([("value".to_owned(), Value::String(text))]),
                _ => {
                    self.blame(&format!("{name}[{place}]"), "must be an object");
                    continue;
                }
            };
            let prefix = format!("{name}[{place}].");
            values.extend(read(&mut Attributes { members: &members, prefix, faults: self.faults }));
        }
        values
    }

    fn required_value(&mut self) -> Option<String> {
        let before = self.faults.len();
        let value = self.text("value");
        if value.is_none() && self.faults.len() == before {
            self.blame("value", "is required");
        }
        value
    }

    fn contact(&mut self) -> Option<Contact> {
        let (kind, primary) = (self.text("type"), self.flag("primary").unwrap_or(false));
        Some(Contact { value: self.required_value()?, kind, primary })
    }

    fn plain(&mut self) -> Option<String> {
        self.required_value()
    }

    #[expect(clippy::unnecessary_wraps, reason = "of one shape with the other readers")]
    fn address(&mut self) -> Option<PostalAddress> {
        Some(PostalAddress {
            formatted: self.text("formatted"),
            street_address: self.text("streetAddress"),
            locality: self.text("locality"),
            region: self.text("region"),
            postal_code: self.text("postalCode"),
            country: self.text("country"),
            kind: self.text("type"),
        })
    }
}

fn distinct(mut values: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use serde_json::json;

    fn read(value: Value) -> Result<UserChange, ScimError> {
        user(value.as_object().unwrap())
    }

    #[test]
    fn names_are_read_without_regard_to_case_and_strangers_ignored() {
        let change = read(json!({
            "USERNAME": "alice", "Name": {"GIVENNAME": "Alice"}, "active": "False", "x": 1,
            "roles": ["r", {"value": "r"}], "emails": [{"value": "a@example.com", "type": "work"}],
        }))
        .unwrap();
        assert_eq!((change.name.as_str(), change.active), ("alice", false));
        assert_eq!(change.profile.given_name.as_deref(), Some("Alice"));
        assert_eq!(change.profile.roles, ["r"]);
        assert_eq!(change.profile.emails[0].kind.as_deref(), Some("work"));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let bad = json!({
            "userName": "", "password": "short", "active": 1, "name": "x", "title": 7,
            "emails": [{"type": "work"}, {"value": "nobody"}, 5], "phoneNumbers": {}, "roles": ["a,b"],
        });
        let refused = read(bad).map(drop).unwrap_err();
        assert_eq!(refused.status_code(), 400);
        let text = refused.to_string();
        for name in [
            "userName",
            "password",
            "active",
            "name",
            "title",
            "emails[0].value",
            "emails[2]",
            "phoneNumbers",
            "roles[0]",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
}
