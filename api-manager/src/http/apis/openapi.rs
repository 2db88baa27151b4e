//! An API's own OpenAPI 3.1 document, made of its operations.

use serde_json::{Map, Value, json};

use crate::domain::api::{Api, Operation, OperationAuth};

/// The methods that OpenAPI has, for an operation of any method.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// The document. `gateway` is the gateway's URL, `token_url` where tokens are to be had.
pub(super) fn describe(api: &Api, gateway: &str, token_url: &str) -> Value {
    let mut paths = Map::new();
    let mut scopes = Map::new();
    for operation in &api.definition.operations {
        scopes.extend(operation.scopes.iter().map(|scope| (scope.to_owned(), Value::from(""))));
        let (path, parameters) = template(&operation.path);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        for method in METHODS {
            let is_meant = operation.method == "*" || operation.method.eq_ignore_ascii_case(method);
            // What names its method says more than what takes any.
            if is_meant
                && (operation.method != "*" || item.get(method).is_none())
                && let Some(item) = item.as_object_mut()
            {
                item.insert(method.to_owned(), describe_operation(operation, &parameters));
            }
        }
    }
    let scheme = json!({
        "type": "oauth2",
        "description": "An opaque access token of the API manager",
        "flows": {"clientCredentials": {"tokenUrl": token_url, "scopes": scopes}},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": api.name, "version": api.version, "description": api.definition.description},
        "servers": [{"url": format!("{gateway}/{}/{}", api.context, api.version)}],
        "tags": api.definition.tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {"securitySchemes": {"token": scheme}},
    })
}

fn describe_operation(operation: &Operation, parameters: &[String]) -> Value {
    // Each entry is an alternative, as each scope is.
    let alternatives: Vec<Value> = match operation.auth {
        OperationAuth::None => Vec::new(),
        _ if operation.scopes.is_empty() => vec![json!({"token": []})],
        _ => operation.scopes.iter().map(|scope| json!({"token": [scope]})).collect(),
    };
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    json!({
        "parameters": parameters,
        "security": alternatives,
        "responses": {"default": {"description": "The backend's answer, or a refusal of the gateway"}},
    })
}

/// OpenAPI has no `/*`: it becomes a parameter that stands for the rest.
fn template(path: &str) -> (String, Vec<String>) {
    let mut parameters = Vec::new();
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            if segment == "*" {
                parameters.push("rest".to_owned());
                return "{rest}".to_owned();
            }
            if let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                parameters.push(name.to_owned());
            }
            segment.to_owned()
        })
        .collect();
    (segments.join("/"), parameters)
}

#[cfg(test)]
mod tests {
    use shared_claims::scope::ScopeSet;

    use super::*;
    use crate::domain::api::tests::api_at;

    #[test]
    fn operations_become_paths_with_parameters_and_alternative_scopes() {
        let mut api = api_at("pets", "1.0");
        let operation = |method: &str, path: &str, scopes: &str, auth| Operation {
            method: method.to_owned(),
            path: path.to_owned(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            auth,
        };
        api.definition.operations = vec![
            operation("GET", "/cats/{id}", "read write", OperationAuth::Token),
            operation("*", "/open/*", "", OperationAuth::None),
        ];

        let document = describe(&api, "https://gw.example:8244", "https://am.example/oauth2/token");

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
        let after = describe(&api, "", "")["paths"]["/{rest}"]["get"]["security"].clone();
        api.definition.operations.reverse();
        let before = describe(&api, "", "")["paths"]["/{rest}"]["get"]["security"].clone();

        assert_eq!((after, before), (json!([]), json!([])));
    }
}
