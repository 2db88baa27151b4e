//! What a document becomes: contracts.

use serde_json::json;

use super::*;

fn contract(operation: Value) -> (Contract, Operation) {
    let root = json!({
        "openapi": "3.0.0",
        "paths": {"/pets/{id}": {"get": operation}},
        "components": {
            "examples": {"rex": {"value": {"name": "Rex"}}},
            "schemas": {"Pet": {"type": "object", "properties": {
                "name": {"type": "string", "example": "Mia"}, "age": {"type": "integer", "default": 3},
                "kind": {"enum": ["cat", "dog"]}, "friends": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
                "secret": {"type": "string"},
            }}},
        },
    });
    let operation = Operation::new("GET", "/pets/{name}");
    let (contract, problems) = Contract::compile(&Document { root }, std::slice::from_ref(&operation), false);
    assert_eq!(problems.into_list(), []);
    (contract, operation)
}

fn answered(operation: Value, preference: &Preference) -> Result<(u16, Option<String>), Unanswerable> {
    let (contract, operation) = contract(operation);
    let answer = contract.find(&operation, "GET").unwrap().answer(preference);
    answer.map(|(status, body)| (status, body.map(|body| format!("{} {}", body.media, body.text))))
}

fn json_content(media: Value) -> Value {
    json!({"responses": {"200": {"content": {"application/json": media}}}})
}

#[test]
fn the_first_success_with_an_example_answers() {
    let operation = json!({"responses": {
        "404": {"content": {"application/json": {"example": {"no": 1}}}},
        "200": {"content": {"application/json": {}}},
        "201": {"content": {"application/json": {"example": [1, "two"]}}},
    }});
    let some = |status, text: &str| Ok((status, Some(format!("application/json {text}"))));

    assert_eq!(answered(operation.clone(), &Preference::default()), some(201, "[1,\"two\"]"));
    let status = |status| Preference { status: Some(status), ..Preference::default() };
    assert_eq!(answered(operation.clone(), &status(404)), some(404, "{\"no\":1}"));
    for missing in [200, 500] {
        assert_eq!(answered(operation.clone(), &status(missing)), Err(Unanswerable::NoExample));
    }
    let wide = json!({"responses": {"4XX": {}, "default": {"content": {"text/plain": {"example": "hi"}}}}});
    assert_eq!(answered(wide.clone(), &status(418)), Ok((418, None)));
    assert_eq!(answered(wide, &Preference::default()), Ok((200, Some("text/plain hi".to_owned()))));
    assert_eq!(answered(json!({"responses": {"204": {}}}), &Preference::default()), Ok((204, None)));
    assert_eq!(answered(json!({}), &Preference::default()), Err(Unanswerable::NoExample));
}

#[test]
fn an_example_is_found_in_the_answer_or_made_of_its_schema() {
    let cases = [
        (json!({"examples": {"rex": {"$ref": "#/components/examples/rex"}}}), "{\"name\":\"Rex\"}"),
        (json!({"schema": {"example": 5}}), "5"),
        (json!({"schema": {"examples": [6, 7]}}), "6"),
        (json!({"schema": {"type": "array", "items": {"default": "x"}}}), "[\"x\"]"),
        (
            json!({"schema": {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"default": 2}}}]}}),
            "{\"a\":1,\"b\":2}",
        ),
        (json!({"schema": {"oneOf": [{}, {"example": true}]}}), "true"),
    ];
    for (media, expected) in cases {
        let answer = answered(json_content(media.clone()), &Preference::default());
        assert_eq!(answer, Ok((200, Some(format!("application/json {expected}")))), "{media}");
    }
    let made = answered(
        json_content(json!({"schema": {"$ref": "#/components/schemas/Pet"}})),
        &Preference::default(),
    );
    let made = made.unwrap().1.unwrap();
    assert!(
        made.contains("\"name\":\"Mia\"") && made.contains("\"kind\":\"cat\"") && !made.contains("secret"),
        "{made}"
    );
    let nothing = answered(json_content(json!({"schema": {"type": "string"}})), &Preference::default());
    assert_eq!(nothing, Err(Unanswerable::NoExample));
}

#[test]
fn the_client_chooses_media_type_and_example() {
    let operation = json!({"responses": {"200": {"content": {
        "application/json": {"examples": {"one": {"value": 1}, "two": {"value": 2}}},
        "application/xml": {"example": "<a/>"},
    }}}});
    let prefer = |accept: &[(&str, f32)], example: Option<&str>| Preference {
        accept: accept.iter().map(|(range, weight)| ((*range).to_owned(), *weight)).collect(),
        example: example.map(str::to_owned),
        status: None,
    };
    let text = |preference| answered(operation.clone(), &preference).map(|(_, body)| body.unwrap());

    assert_eq!(text(prefer(&[("application/xml", 1.0)], None)).unwrap(), "application/xml <a/>");
    assert_eq!(
        text(prefer(&[("*/*", 0.5), ("application/json", 0.1)], None)).unwrap(),
        "application/xml <a/>"
    );
    assert_eq!(text(prefer(&[("application/*", 1.0)], Some("two"))).unwrap(), "application/json 2");
    assert_eq!(text(prefer(&[("text/html", 1.0)], None)), Err(Unanswerable::NotAcceptable));
    assert_eq!(text(prefer(&[("application/json", 0.0)], Some("one"))), Err(Unanswerable::NotAcceptable));
    assert_eq!(text(prefer(&[], Some("three"))), Err(Unanswerable::NoExample));
}

#[test]
fn head_is_answered_as_get_and_examples_that_grow_are_a_problem() {
    let (found, operation) = contract(json_content(json!({"example": 1})));
    assert!(found.find(&operation, "HEAD").is_some() && found.find(&operation, "POST").is_none());

    let big = json!({"$ref": "#/components/examples/big"});
    let examples: serde_json::Map<String, Value> = (0..10).map(|n| (n.to_string(), big.clone())).collect();
    let root = json!({
        "paths": {"/a": {"get": json_content(json!({"examples": examples}))}},
        "components": {"examples": {"big": {"value": "x".repeat(900_000)}}},
    });
    let (_, problems) = Contract::compile(&Document { root }, &[Operation::new("GET", "/a")], false);
    assert_eq!(problems.into_list()[0].field, "/paths/~1a/get");
}
