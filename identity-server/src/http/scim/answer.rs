//! A user as SCIM shows it (RFC 7643, section 4.1). Never with a password.

use serde::Serialize;
use shared_server::etag::etag;
use utoipa::ToSchema;

use super::{LIST_SCHEMA, USER_SCHEMA};
use crate::domain::profile::{Contact, PostalAddress};
use crate::domain::user::User;

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ScimUser {
    schemas: Vec<String>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    user_name: String,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<ScimName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emails: Vec<ScimContact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phone_numbers: Vec<ScimContact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<ScimAddress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<ScimValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<ScimValue>,
    meta: ScimMeta,
}

/// The parts of a name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScimName {
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
}

/// A mail address or a telephone number.
#[derive(Serialize, ToSchema)]
struct ScimContact {
    value: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    primary: bool,
}

/// A postal address.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScimAddress {
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// A group or a role.
#[derive(Serialize, ToSchema)]
struct ScimValue {
    value: String,
}

/// What we know about the resource itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScimMeta {
    resource_type: &'static str,
    created: String,
    last_modified: String,
    location: String,
    version: String,
}

/// A page of users (RFC 7644, section 3.4.2).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ScimList {
    schemas: [&'static str; 1],
    total_results: i64,
    start_index: i64,
    items_per_page: usize,
    #[serde(rename = "Resources")]
    resources: Vec<ScimUser>,
}

impl ScimList {
    /// A page that begins at the place `start`, counted from 1.
    pub(super) fn new(users: Vec<User>, total: i64, start: i64, public_url: &str) -> Self {
        Self {
            schemas: [LIST_SCHEMA],
            total_results: total,
            start_index: start,
            items_per_page: users.len(),
            resources: users.into_iter().map(|user| ScimUser::new(user, public_url)).collect(),
        }
    }
}

/// Where a user is found.
pub(super) fn location(user: &User, public_url: &str) -> String {
    format!("{public_url}/scim/v2/Users/{}", user.id)
}

impl ScimUser {
    /// Shows a user.
    pub(super) fn new(user: User, public_url: &str) -> Self {
        let meta = ScimMeta {
            resource_type: "User",
            created: user.created_at.rfc3339(),
            last_modified: user.updated_at.rfc3339(),
            location: location(&user, public_url),
            version: etag(user.revision),
        };
        let profile = user.profile;
        let parts =
            [&profile.formatted_name, &profile.given_name, &profile.middle_name, &profile.family_name];
        let has_name = parts.into_iter().any(Option::is_some);
        let name = ScimName {
            formatted: profile.formatted_name,
            given_name: profile.given_name,
            middle_name: profile.middle_name,
            family_name: profile.family_name,
        };
        Self {
            schemas: vec![USER_SCHEMA.to_owned()],
            id: user.id.to_string(),
            external_id: profile.external_id,
            user_name: user.name.as_str().to_owned(),
            active: user.active,
            name: has_name.then_some(name),
            display_name: profile.display_name,
            nick_name: profile.nick_name,
            profile_url: profile.profile_url,
            title: profile.title,
            preferred_language: profile.preferred_language,
            locale: profile.locale,
            timezone: profile.timezone,
            emails: profile.emails.into_iter().map(ScimContact::from).collect(),
            phone_numbers: profile.phone_numbers.into_iter().map(ScimContact::from).collect(),
            addresses: profile.addresses.into_iter().map(ScimAddress::from).collect(),
            groups: profile.groups.into_iter().map(|value| ScimValue { value }).collect(),
            roles: profile.roles.into_iter().map(|value| ScimValue { value }).collect(),
            meta,
        }
    }
}

impl From<Contact> for ScimContact {
    fn from(contact: Contact) -> Self {
        Self { value: contact.value, kind: contact.kind, primary: contact.primary }
    }
}

impl From<PostalAddress> for ScimAddress {
    fn from(address: PostalAddress) -> Self {
        Self {
            formatted: address.formatted,
            street_address: address.street_address,
            locality: address.locality,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
            kind: address.kind,
        }
    }
}
