//! What a document becomes: exports.

use shared_claims::scope::ScopeSet;

use super::super::import::{Choices, read};
use super::*;
use crate::domain::api::tests::api_at;

fn nowhere() -> Surroundings<'static> {
    let (gateway, token_url) = ("https://gw.example:8244", "https://am.example/oauth2/token");
    Surroundings { gateway, token_url, settings: Map::new(), operations: Vec::new() }
}

fn operation(method: &str, path: &str, scopes: &str, auth: OperationAuth) -> Operation {
    let scopes = ScopeSet::parse(scopes).unwrap();
    let mut operation = Operation::new(method, path);
    (operation.scopes, operation.auth) = (scopes, auth);
    operation
}

/// As the form has it.
fn forms(api: &Api) -> Vec<Value> {
    let form = |operation: &Operation| {
        let scopes: Vec<&str> = operation.scopes.iter().collect();
        json!({"method": operation.method, "path": operation.path, "scopes": scopes, "auth": operation.auth.as_str()})
    };
    api.definition.operations.iter().map(form).collect()
}

#[test]
fn operations_become_paths_with_parameters_and_alternative_scopes() {
    let mut api = api_at("pets", "1.0");
    api.definition.operations = vec![
        operation("GET", "/cats/{id}", "read write", OperationAuth::Token),
        operation("*", "/open/*", "", OperationAuth::None),
    ];

    let document = export(&api, None, &nowhere());

    assert_eq!(document["servers"][0]["url"], "https://gw.example:8244/pets/1.0");
    let cats = &document["paths"]["/cats/{id}"]["get"];
    assert_eq!(cats["security"], json!([{"token": ["read"]}, {"token": ["write"]}]));
    assert_eq!(cats["parameters"][0]["name"], "id");
    let open = document["paths"]["/open/{rest}"].as_object().unwrap();
    assert_eq!(open.len(), METHODS.len());
    assert_eq!(open["post"]["security"], json!([]));
}

#[test]
fn a_named_method_wins_over_any_method() {
    let mut api = api_at("pets", "1.0");
    let named = Operation {
        method: "GET".to_owned(),
        auth: OperationAuth::None,
        ..api.definition.operations[0].clone()
    };
    api.definition.operations.push(named.clone());
    let after = export(&api, None, &nowhere())["paths"]["/{rest}"]["get"]["security"].clone();
    api.definition.operations.reverse();
    let before = export(&api, None, &nowhere())["paths"]["/{rest}"]["get"]["security"].clone();

    assert_eq!((after, before), (json!([]), json!([])));
}

#[test]
fn operations_of_every_kind_come_back_as_they_went() {
    let mut api = api_at("pets", "1.0");
    api.definition.operations = vec![
        operation("GET", "/cats/{id}", "read write", OperationAuth::Token),
        operation("*", "/open/*", "", OperationAuth::None),
        operation("GET", "/open/*", "see", OperationAuth::Application),
        operation("POST", "/", "", OperationAuth::Token),
        operation("DELETE", "/a/{rest}/*", "", OperationAuth::Application),
    ];
    let around = Surroundings { operations: forms(&api), ..nowhere() };

    let document = Document { root: export(&api, None, &around) };
    let reading = read(&document, &Choices::default());

    assert_eq!(reading.problems, []);
    let mut back = reading.form["operations"].as_array().unwrap().clone();
    let mut sent = forms(&api);
    back.sort_by_key(Value::to_string);
    sent.sort_by_key(Value::to_string);
    assert_eq!(back, sent);
    assert_eq!(export(&api, Some(&document), &around), document.root, "a second export changes nothing");
}

#[test]
fn what_was_imported_is_kept_and_what_the_gateway_enforces_is_written_into_it() {
    let root = json!({
        "openapi": "3.0.3",
        "info": {"title": "Old", "version": "0.1", "license": {"name": "MIT"}},
        "servers": [{"url": "https://secret-backend.example"}],
        "security": [{"old": []}],
        "paths": {
            "/cats/{catId}": {
                "parameters": [{"name": "catId", "in": "path", "required": true, "schema": {"type": "integer"}}],
                "servers": [{"url": "https://secret-backend.example"}],
                "get": {"summary": "One cat", "responses": {"200": {"description": "a cat"}}, "servers": []},
                "delete": {"responses": {}},
            },
            "/gone": {"get": {"responses": {}}},
        },
        "components": {
            "schemas": {"Cat": {"type": "object"}},
            "securitySchemes": {"old": {"type": "oauth2", "flows": {"implicit": {"scopes": {"read": "Look"}}}}},
        },
    });
    let mut api = api_at("pets", "1.0");
    api.definition.operations = vec![
        operation("GET", "/cats/{id}", "read", OperationAuth::Token),
        operation("PUT", "/cats/{id}", "", OperationAuth::Token),
    ];

    let document = export(&api, Some(&Document { root }), &nowhere());

    assert!(!document.to_string().contains("secret-backend"), "{document}");
    assert_eq!(document["openapi"], "3.0.3");
    assert_eq!(document["info"], json!({"title": "Pets", "version": "1.0", "license": {"name": "MIT"}}));
    let item = &document["paths"]["/cats/{catId}"];
    assert_eq!(item["get"]["summary"], "One cat");
    assert_eq!(item["get"]["security"], json!([{"token": ["read"]}]));
    assert!(item["put"]["responses"]["default"].is_object());
    assert!(item.get("delete").is_none() && document["paths"].get("/gone").is_none());
    assert_eq!(item["parameters"][0]["schema"]["type"], "integer");
    assert_eq!(document["components"]["schemas"]["Cat"]["type"], "object");
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["token"]);
    assert_eq!(schemes["token"]["flows"]["clientCredentials"]["scopes"]["read"], "Look");
}
