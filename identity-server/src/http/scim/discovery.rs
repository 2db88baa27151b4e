//! What this server can do, for provisioning clients (RFC 7644, section 4). Nobody has to sign in to read it.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{LIST_SCHEMA, MEDIA, USER_SCHEMA};

/// What is supported.
#[utoipa::path(get, path = "/scim/v2/ServiceProviderConfig", tag = "scim",
    responses((status = 200, description = "The configuration", body = Object, content_type = "application/scim+json")))]
pub(in crate::http) async fn service_provider_config() -> HttpResponse {
    scim(&json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "/docs/",
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": 100},
        "changePassword": {"supported": true},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "authenticationSchemes": [
            {"type": "oauthbearertoken", "name": "Bearer", "description": "A JWT of this server with the scope identity:users"},
            {"type": "httpbasic", "name": "Basic", "description": "The bootstrap administrator"},
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": "/scim/v2/ServiceProviderConfig"},
    }))
}

/// Which resources there are.
#[utoipa::path(get, path = "/scim/v2/ResourceTypes", tag = "scim",
    responses((status = 200, description = "One type: User", body = Object, content_type = "application/scim+json")))]
pub(in crate::http) async fn resource_types() -> HttpResponse {
    scim(&list(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "schema": USER_SCHEMA,
        "meta": {"resourceType": "ResourceType", "location": "/scim/v2/ResourceTypes/User"},
    })))
}

/// Which attributes a user has.
#[utoipa::path(get, path = "/scim/v2/Schemas", tag = "scim",
    responses((status = 200, description = "The schema of User", body = Object, content_type = "application/scim+json")))]
pub(in crate::http) async fn schemas() -> HttpResponse {
    let text = |name: &str| attribute(name, "string");
    let complex = |name: &str, several: bool, parts: &[&str]| {
        let parts: Vec<Value> = parts.iter().map(|part| attribute(part, kind_of(part))).collect();
        with(attribute(name, "complex"), json!({"multiValued": several, "subAttributes": parts}))
    };
    let several = |name: &str, parts: &[&str]| complex(name, true, parts);
    let user_name =
        with(text("userName"), json!({"required": true, "uniqueness": "server", "mutability": "immutable"}));
    let password =
        with(text("password"), json!({"mutability": "writeOnly", "returned": "never", "caseExact": true}));
    let name = complex("name", false, &["formatted", "givenName", "middleName", "familyName"]);
    let contact = ["value", "type", "primary"];
    let address = ["formatted", "streetAddress", "locality", "region", "postalCode", "country", "type"];
    scim(&list(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": USER_SCHEMA,
        "name": "User",
        "attributes": [
            user_name, name, text("displayName"), text("nickName"), text("profileUrl"), text("title"),
            text("preferredLanguage"), text("locale"), text("timezone"), attribute("active", "boolean"), password,
            several("emails", &contact), several("phoneNumbers", &contact), several("addresses", &address),
            several("groups", &["value"]), several("roles", &["value"]),
        ],
        "meta": {"resourceType": "Schema", "location": format!("/scim/v2/Schemas/{USER_SCHEMA}")},
    })))
}

fn kind_of(part: &str) -> &'static str {
    if part == "primary" { "boolean" } else { "string" }
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({
        "name": name, "type": kind, "multiValued": false, "required": false, "caseExact": false,
        "mutability": "readWrite", "returned": "default", "uniqueness": "none",
    })
}

/// The attribute with some of its characteristics changed.
fn with(mut attribute: Value, changes: Value) -> Value {
    if let (Value::Object(members), Value::Object(changes)) = (&mut attribute, changes) {
        members.extend(changes);
    }
    attribute
}

fn list(resource: Value) -> Value {
    json!({"schemas": [LIST_SCHEMA], "totalResults": 1, "startIndex": 1, "itemsPerPage": 1, "Resources": [resource]})
}

fn scim(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, MEDIA)).body(body.to_string())
}
