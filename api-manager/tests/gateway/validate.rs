//! Requests judged by an API's OpenAPI document before its backend hears of them.

use api_manager::domain::api::Api;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::backend::Backend;
use super::{World, api, operation};

fn document() -> Value {
    json!({
        "openapi": "3.0.3",
        "paths": {
            "/pets/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}],
                "get": {"parameters": [
                    {"name": "kind", "in": "query", "schema": {"enum": ["cat", "dog"]}},
                    {"name": "tag", "in": "query", "required": true, "schema": {"type": "array", "items": {"pattern": "^[a-z]+$"}}},
                    {"name": "X-Shop", "in": "header", "required": true, "schema": {"type": "string", "maxLength": 3}},
                ], "responses": {}},
                "put": {"requestBody": {"required": true, "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Pet"}},
                    "image/*": {},
                }}, "responses": {}},
            },
        },
        "components": {"schemas": {"Pet": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {"name": {"type": "string"}, "age": {"type": "integer", "nullable": true}},
        }}},
    })
}

fn validating(backend: &Backend) -> Api {
    let mut pets = api("pets", &backend.url);
    pets.definition.validate_requests = true;
    pets.definition.operations = vec![operation("*", "/pets/{id}"), operation("*", "/free")];
    pets
}

fn put(world: &World, token: &str, media: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = world.request(Method::PUT, "/pets/1.0/pets/1", token);
    request.headers_mut().insert("content-type", media.parse().unwrap());
    *request.body_mut() = Full::from(body.into());
    request
}

#[tokio::test]
async fn every_bad_parameter_is_named_and_the_backend_hears_nothing() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes_documented(validating(&backend), &document()).await;
    let token = world.subscribed(&pets).await;

    let bad = world.calls("/pets/1.0/pets/0?kind=secretive&tag=ok&tag=N0", &token).await;

    assert_eq!(bad.refusal(), (400, "400".to_owned()));
    for pointer in ["/path/id", "/query/kind", "/query/tag/1", "/header/X-Shop"] {
        assert!(bad.text.contains(pointer), "{pointer}: {}", bad.text);
    }
    assert!(!bad.text.contains("secretive"), "{}", bad.text);
    assert_eq!(backend.hits(), 0);
    let mut good = world.request(Method::GET, "/pets/1.0/pets/7?kind=cat&tag=a&tag=b&more=1", &token);
    good.headers_mut().insert("x-shop", "abc".parse().unwrap());
    assert_eq!(world.sends(good).await.status, 200);
    assert_eq!(world.calls("/pets/1.0/free?x=1", &token).await.status, 200);
    assert_eq!(backend.hits(), 2);
}

#[tokio::test]
async fn a_good_body_arrives_byte_for_byte_and_a_bad_one_does_not() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes_documented(validating(&backend), &document()).await;
    let token = world.subscribed(&pets).await;

    let spaced = "{ \"name\" :\t\"Rex\",\n \"age\": null }\n";
    let good = world.sends(put(&world, &token, "application/json; charset=utf-8", spaced)).await;
    assert_eq!(good.status, 200);
    assert!(good.text.contains("Rex"), "{}", good.text);
    assert_eq!(world.counted_as(200).await.bytes_in, i64::try_from(spaced.len()).unwrap());
    assert_eq!(world.sends(put(&world, &token, "image/png", "not judged")).await.status, 200);
    assert_eq!(backend.hits(), 2);

    for (body, pointer) in [
        ("{\"age\": \"old\", \"color\": 1}", "/body/name"),
        ("{\"name\": 1}", "/body/name"),
        ("{\"name\": \"a\", \"name\": \"b\"}", "twice"),
        ("{\"name\": \"a\"", "no JSON"),
        ("1},\"x\":{", "no JSON"),
        ("1,\"x\":2", "no JSON"),
        ("", "/body is required"),
    ] {
        let bad = world.sends(put(&world, &token, "application/json", body)).await;
        assert_eq!(bad.status, 400, "{body}");
        assert!(bad.text.contains(pointer), "{body}: {}", bad.text);
    }
    assert_eq!(world.sends(put(&world, &token, "text/plain", "x")).await.refusal(), (415, "415".to_owned()));
    let long = world.sends(put(&world, &token, "application/json", vec![b' '; 1024 * 1024 + 1])).await;
    assert_eq!(long.refusal(), (413, "413".to_owned()));
    assert_eq!(world.sends(put(&world, "", "application/json", "{}")).await.status, 401);
    assert_eq!(backend.hits(), 2);
}
