//! From an OpenAPI document to an API that guards what the document says.

use e2e::client::Call;
use e2e::world::ADMIN_PASSWORD;
use serde_json::{Value, json};

use super::{Inside, read_and_write};

const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Shelter, version: 2.0.0 }
components:
  securitySchemes:
    sso: { type: oauth2, flows: { clientCredentials: { tokenUrl: "https://idp.example/token", scopes: { "cats:adopt": "" } } } }
paths:
  /cats:
    get:
      security: []
      responses: { "200": { description: all of them, content: { application/json: { example: [{ name: Tom }] } } } }
    post:
      security: [{ sso: ["cats:adopt"] }]
      requestBody:
        required: true
        content:
          application/json:
            schema: { type: object, required: [name], properties: { name: { type: string, maxLength: 10 } } }
      responses: { "201": { description: adopted } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_document_becomes_an_api_and_comes_back_as_it_was() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let rest = |path: &str| format!("{}/api/v1/apis/{path}", inside.world.places().manager);
    let sends = async |call: Call| inside.world.http.send(call.basic("admin", ADMIN_PASSWORD)).await;
    let yaml = |url: String| Call::post(url).header("content-type", "application/yaml").body(DOCUMENT);

    let query = format!("context=shelter&tiers=Unlimited&backend={}", inside.world.backend.url());
    let made = sends(yaml(rest(&format!("import?{query}")))).await.expect(201);
    let id = made.member("id");
    let operations = made.json()["operations"].clone();
    let of = |method: &str| {
        operations.as_array().unwrap().iter().find(|one| one["method"] == method).unwrap().clone()
    };
    assert_eq!((&of("GET")["auth"], &of("POST")["scopes"]), (&json!("none"), &json!(["cats:adopt"])));
    let publish = Call::post(rest(&format!("{id}/lifecycle"))).json(&json!({ "action": "publish" }));
    assert!(sends(publish).await.status < 300);

    let open = inside.application.gateway("/shelter/2.0.0/cats");
    let _ = inside.application.sends_as_is(Call::get(&open)).await.expect(200);
    assert_eq!(inside.application.sends_as_is(Call::post(&open)).await.status, 401);

    let exported = sends(Call::get(rest(&format!("{id}/openapi")))).await.expect(200).json();
    let original: Value = exported["paths"]["/cats"]["post"]["requestBody"].clone();
    assert_eq!(original["content"]["application/json"]["schema"]["properties"]["name"]["maxLength"], 10);

    let bad = DOCUMENT.replace("paths:", "paths:\n  cats: {}\n  /dogs/{id}: { get: {} }");
    let judge = Call::post(rest("validate")).header("content-type", "application/yaml").body(bad);
    let judged = sends(judge).await.text();
    assert!(judged.contains("/paths/cats") && judged.contains("/paths/~1dogs~1{id}"), "{judged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_answers_for_a_backend_that_is_not_there_yet_and_judges_requests_for_one_that_is() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let rest = |path: &str| format!("{}/api/v1/apis/{path}", inside.world.places().manager);
    let sends = async |call: Call| inside.world.http.send(call.basic("admin", ADMIN_PASSWORD)).await;
    let document = DOCUMENT.replace("security: [{ sso: [\"cats:adopt\"] }]", "security: []");
    for (context, switch) in [("drawn", "mock"), ("real", "validate_requests")] {
        let query = format!("context={context}&tiers=Unlimited&backend={}", inside.world.backend.url());
        let import = Call::post(rest(&format!("import?{query}"))).header("content-type", "application/yaml");
        let made = sends(import.body(document.clone())).await.expect(201);
        let one = rest(&made.member("id"));
        let mut api = made.json();
        api[switch] = json!(true);
        let _ = sends(Call::put(&one).header("if-match", made.header("etag")).json(&api)).await.expect(200);
        let publish = Call::post(format!("{one}/lifecycle")).json(&json!({ "action": "publish" }));
        assert!(sends(publish).await.status < 300);
    }
    let at = |path: &str| inside.application.gateway(path);

    let drawn = inside.application.sends_as_is(Call::get(at("/drawn/2.0.0/cats"))).await.expect(200);
    assert_eq!((drawn.json(), inside.world.backend.reached()), (json!([{ "name": "Tom" }]), 0));

    let adopts = |name: &str| {
        let call = Call::post(at("/real/2.0.0/cats")).json(&json!({ "name": name }));
        inside.application.sends_as_is(call)
    };
    let refused = adopts("a name that is far too long").await.expect(400);
    assert!(
        refused.text().contains("/name") && !refused.text().contains("far too long"),
        "{}",
        refused.text()
    );
    assert_eq!(inside.world.backend.reached(), 0);
    let _ = adopts("Tom").await.expect(200);
}
