//! OpenAPI documents made into APIs, judged, replaced and shown.

mod contracts;

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::{Answer, As, Manager, at};

const PETSTORE: &str = include_str!("petstore.yaml");

fn document() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Birds", "version": "2.1", "description": "All of them", "license": {"name": "MIT"}},
        "servers": [{"url": "https://birds.example/nest/2.1"}, {"url": "http://plain.example"}],
        "tags": [{"name": "birds", "description": "with wings"}],
        "security": [{"oidc": ["birds:read"]}, {"oidc": ["birds:admin"]}],
        "paths": {
            "/birds/{id}": {
                "get": {
                    "operationId": "oneBird",
                    "parameters": [{"$ref": "#/components/parameters/id"}],
                    "responses": {"200": {"description": "one", "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Bird"}, "example": {"name": "Ada"},
                    }}}},
                },
            },
            "/open": {"get": {"security": [], "responses": {"default": {"description": "anything"}}}},
            "/jobs": {"post": {"x-auth-type": "Application", "security": [{"oidc": []}], "responses": {}}},
        },
        "components": {
            "parameters": {"id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}},
            "schemas": {"Bird": {"type": "object", "properties": {"name": {"type": "string", "nullable": true}}}},
            "securitySchemes": {"oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://idp.example"}},
        },
    })
}

impl Manager {
    async fn sends(&self, method: Method, path: &str, media: &str, body: impl Into<Bytes>) -> Answer {
        let request = self.request(&As::admin(), method, path).header("content-type", media);
        self.send(request.body(Full::from(body.into())).unwrap()).await
    }

    async fn imports(&self, query: &str, document: &Value) -> Answer {
        self.post(&As::admin(), &format!("/api/v1/apis/import{query}"), document.clone()).await
    }

    async fn judges(&self, document: &Value) -> Vec<(String, String)> {
        let answer = self.post(&As::admin(), "/api/v1/apis/validate", document.clone()).await.expect(200);
        let problems = answer["problems"].as_array().unwrap();
        assert_eq!(answer["valid"], problems.is_empty());
        let text = |problem: &Value, member: &str| problem[member].as_str().unwrap().to_owned();
        problems.iter().map(|problem| (text(problem, "pointer"), text(problem, "detail"))).collect()
    }

    async fn exports(&self, api: &Value) -> Answer {
        self.get(&As::admin(), &format!("{}/openapi", at("apis", api))).await
    }

    async fn exports_yaml(&self, api: &Value) -> String {
        let path = format!("{}/openapi", at("apis", api));
        let request = self.request(&As::admin(), Method::GET, &path).header("accept", "application/yaml");
        let answer = self.send_raw(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.0, 200);
        String::from_utf8(answer.1.to_vec()).unwrap()
    }

    async fn count(&self) -> usize {
        let list = self.get(&As::admin(), "/api/v1/apis").await.expect(200);
        list["items"].as_array().unwrap().len()
    }
}

on_every_stage! {
    async fn a_document_of_3_0_in_json_becomes_an_api(stage: Stage) {
        let manager = Manager::on(stage).await;

        let api = manager.imports("", &document()).await.made();

        assert_eq!((&api["name"], &api["version"], &api["context"]), (&json!("Birds"), &json!("2.1"), &json!("nest")));
        assert_eq!(api["backends"], json!({"production": ["https://birds.example/nest/2.1"], "sandbox": []}));
        assert_eq!((&api["tags"], &api["description"]), (&json!(["birds"]), &json!("All of them")));
        let mut operations = api["operations"].as_array().unwrap().clone();
        for operation in &mut operations {
            operation.as_object_mut().unwrap().retain(|name, _| ["method", "path", "scopes", "auth"].contains(&name.as_str()));
        }
        assert_eq!(operations, [
            json!({"method": "GET", "path": "/birds/{id}", "scopes": ["birds:admin", "birds:read"], "auth": "token"}),
            json!({"method": "POST", "path": "/jobs", "scopes": [], "auth": "application"}),
            json!({"method": "GET", "path": "/open", "scopes": [], "auth": "none"}),
        ]);
        manager.acts(&As::admin(), &api, "publish").await.expect(200);
        manager.stop().await;
    }

    async fn a_document_of_3_1_in_yaml_becomes_an_api_and_goes_round(stage: Stage) {
        let manager = Manager::on(stage).await;

        let made = manager.sends(Method::POST, "/api/v1/apis/import", "application/yaml", PETSTORE).await.made();
        assert_eq!((&made["context"], &made["tiers"]), (&json!("petstore"), &json!(["Gold", "Unlimited"])));
        let exported = manager.exports(&made).await;
        assert_eq!(exported.header("etag"), "\"1\"");
        let exported = exported.expect(200);
        assert_eq!(exported["components"]["schemas"]["Pet"]["properties"]["name"]["example"], "Rex");
        assert_eq!(exported["servers"].as_array().unwrap().len(), 1);
        let yaml = manager.exports_yaml(&made).await;
        manager.delete(&As::admin(), &at("apis", &made)).await.expect(204);
        let again = manager.sends(Method::POST, "/api/v1/apis/import", "text/yaml", yaml).await.made();

        assert_eq!(without_identity(again.clone()), without_identity(made));
        assert_eq!(manager.exports(&again).await.expect(200), exported);
        manager.stop().await;
    }

    async fn a_document_replaces_the_operations_and_only_those(stage: Stage) {
        let manager = Manager::on(stage).await;
        let made = manager.imports("?backend=https://b.example", &document()).await.made();
        let path = format!("{}/openapi", at("apis", &made));
        let mut changed = document();
        changed["paths"] = json!({"/nests": {"get": {"summary": "All nests", "responses": {}}}});
        changed["info"] = json!({"title": "Other", "version": "9"});

        manager.put_if("\"7\"", &path, changed.clone()).await.assert_refused(412, "changed");
        let replaced = manager.put_if("\"1\"", &path, changed.clone()).await;
        assert_eq!(replaced.header("etag"), "\"2\"");
        let replaced = replaced.expect(200);

        assert_eq!((&replaced["name"], &replaced["backends"]), (&made["name"], &made["backends"]));
        assert_eq!(replaced["operations"].as_array().unwrap().len(), 1);
        let exported = manager.exports(&made).await.expect(200);
        assert_eq!(exported["info"]["title"], "Birds");
        assert_eq!(exported["paths"]["/nests"]["get"]["summary"], "All nests");
        changed["paths"]["/nests"]["get"]["parameters"] = json!([5]);
        manager.put_if("\"2\"", &path, changed).await.assert_blames("/paths/~1nests/get/parameters/0/name");
        manager.stop().await;
    }

    async fn a_new_version_has_the_document_too_and_a_deleted_api_takes_it_along(stage: Stage) {
        let manager = Manager::on(stage).await;
        let made = manager.imports("", &document()).await.made();
        let versions = format!("{}/versions", at("apis", &made));
        let copy = manager.post(&As::admin(), &versions, json!({"version": "3.0"})).await.made();

        manager.delete(&As::admin(), &at("apis", &made)).await.expect(204);

        let exported = manager.exports(&copy).await.expect(200);
        assert_eq!(exported["info"]["version"], "3.0");
        assert_eq!(exported["info"]["license"]["name"], "MIT");
        assert_eq!(manager.exports(&made).await.status, 404);
        let plain = manager.api("plain").await;
        assert_eq!(manager.exports(&plain).await.expect(200)["openapi"], "3.1.0");
        manager.stop().await;
    }
}

/// What an API says of itself apart from which one it is.
fn without_identity(mut api: Value) -> Value {
    for member in ["id", "created_at", "updated_at"] {
        api[member] = Value::Null;
    }
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_wins_over_the_document_and_is_blamed_for_itself() {
    let manager = Manager::start().await;
    let query = "?context=wings&version=7&name=Wings&tiers=Gold&backend=https://a.example&sandbox_backend=https://s.example";

    let api = manager.imports(query, &document()).await.made();
    assert_eq!(
        (&api["context"], &api["version"], &api["name"]),
        (&json!("wings"), &json!("7"), &json!("Wings"))
    );
    assert_eq!(
        api["backends"],
        json!({"production": ["https://a.example"], "sandbox": ["https://s.example"]})
    );
    assert_eq!(api["tiers"], json!(["Gold"]));

    let bad = manager.imports("?context=a//b&backend=ftp://x&tiers=Lead", &document()).await;
    bad.assert_blames("context");
    bad.assert_blames("backends.production[0]");
    manager.imports("?contxt=a", &document()).await.assert_blames("contxt");
    manager.imports("?scopes=all", &document()).await.assert_blames("scopes");
    manager.imports("?tiers=Lead&context=x", &document()).await.assert_blames("tiers[0]");
    let mut nowhere = document();
    nowhere["servers"] = json!([{"url": "https://birds.example"}]);
    manager.imports("", &nowhere).await.assert_blames("/x-countersign/context");
    assert_eq!(manager.judges(&nowhere).await, []);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_is_listed_with_its_pointer_and_nothing_is_changed() {
    let manager = Manager::start().await;
    let bad = json!({
        "openapi": "2.0",
        "info": {"version": 1.0},
        "security": [{"nobody": []}],
        "x-countersign": {"colour": "red", "timeouts": {"idle": 1}},
        "paths": {
            "/a/{id}": {
                "gett": {},
                "trace": {},
                "servers": [],
                "get": {"operationId": "a", "responses": {"2000": {}}},
                "put": {"operationId": "a", "security": [{"oauth": ["x", "y"]}]},
            },
            "/b*c": {"get": {"security": [], "parameters": [
                {"in": "body", "name": "x"}, {"in": "path", "name": "y"}, {"$ref": "https://evil.example/p.json"},
            ]}},
            "/c": {"get": {"security": [], "x-countersign": {"auth": "everyone", "scopes": ["s"]}, "responses": []}},
            "/d": 5,
        },
        "components": {
            "securitySchemes": {"oauth": {"type": "oauth2"}},
            "schemas": {"A": {"$ref": "#/components/schemas/B"}},
        },
    });

    let problems = manager.judges(&bad).await;

    let pointers: Vec<&str> = problems.iter().map(|(pointer, _)| pointer.as_str()).collect();
    for pointer in [
        "/openapi",
        "/info/title",
        "/info/version",
        "/security/0/nobody",
        "/x-countersign/colour",
        "/x-countersign/timeouts/idle",
        "/paths/~1a~1{id}/gett",
        "/paths/~1a~1{id}/trace",
        "/paths/~1a~1{id}/servers",
        "/paths/~1a~1{id}/get/parameters",
        "/paths/~1a~1{id}/get/responses/2000",
        "/paths/~1a~1{id}/put/operationId",
        "/paths/~1a~1{id}/put/security/0",
        "/paths/~1b*c",
        "/paths/~1b*c/get/parameters",
        "/paths/~1b*c/get/parameters/0/in",
        "/paths/~1b*c/get/parameters/1/required",
        "/paths/~1b*c/get/parameters/2/$ref",
        "/paths/~1c/get/x-countersign/auth",
        "/paths/~1c/get/x-countersign/scopes",
        "/paths/~1c/get/responses",
        "/paths/~1d",
        "/components/schemas/A/$ref",
    ] {
        assert!(pointers.contains(&pointer), "{pointer}: {problems:#?}");
    }
    assert!(problems.iter().all(|(_, detail)| !detail.is_empty()));
    let refused = manager.imports("", &bad).await;
    assert_eq!(refused.status, 422);
    assert!(refused.blamed().len() >= pointers.len(), "{}", refused.json);
    assert_eq!(manager.count().await, 0);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_scopes_at_once_are_refused_until_the_publisher_says_that_any_will_do() {
    let manager = Manager::start().await;
    let mut both = document();
    both["security"] = json!([{"oidc": ["birds:read", "birds:write"]}]);

    manager.imports("", &both).await.assert_blames("/security/0");
    let api = manager.imports("?scopes=any", &both).await.made();
    assert_eq!(api["operations"][0]["scopes"], json!(["birds:read", "birds:write"]));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_depth_and_other_media_are_refused_quickly() {
    let manager = Manager::start().await;
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..20 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
    }
    let deep_json = format!("{{\"openapi\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        ("application/yaml", bomb, "aliases"),
        ("application/yaml", "[".repeat(900_000), "YAML"),
        ("application/yaml", "- ".repeat(400_000), ""),
        ("application/yaml", "a: &a [*a]".to_owned(), "alias"),
        ("application/yaml", "\u{0}".to_owned(), ""),
        ("application/json", deep_json, ""),
        ("application/json", "{\"a\":1,\"a\":2}".to_owned(), "twice"),
        ("application/json", "<xml/>".to_owned(), "JSON"),
    ];
    for (media, body, words) in bodies {
        let import = manager.sends(Method::POST, "/api/v1/apis/import", media, body.clone()).await;
        assert_eq!(import.status, 422, "{}", import.json);
        import.assert_refused(422, words);
        let judged = manager.sends(Method::POST, "/api/v1/apis/validate", media, body).await.expect(200);
        assert_eq!(judged["valid"], false);
    }
    let long = vec![b' '; 1024 * 1024 + 1];
    manager
        .sends(Method::POST, "/api/v1/apis/import", "application/json", long)
        .await
        .assert_refused(413, "too long");
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        manager.sends(Method::POST, "/api/v1/apis/import", media, "{}").await.assert_refused(415, "yaml");
    }
    assert_eq!(manager.count().await, 0);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_publishers_import_and_others_do_not_learn_the_backends() {
    let manager = Manager::start().await;
    let api = manager.imports("", &document()).await.made();
    manager.acts(&As::admin(), &api, "publish").await.expect(200);

    for path in ["import", "validate"] {
        let answer = manager.post(&As::nobody(), &format!("/api/v1/apis/{path}"), document()).await;
        answer.assert_refused(401, "credentials");
    }
    let path = format!("{}/openapi", at("apis", &api));
    manager.put(&As::nobody(), &path, document()).await.assert_refused(401, "credentials");
    let shown = manager.get(&As::admin(), &path).await.expect(200);
    assert_eq!(shown["x-countersign"]["backends"]["production"][0], "https://birds.example/nest/2.1");
    assert!(!shown["servers"].to_string().contains("birds.example"));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_fetched_only_where_the_operator_allows_it_and_from_no_inner_address() {
    let closed = Manager::start_with(|settings| settings.allow_openapi_fetch = false).await;
    let elsewhere = json!({"url": "https://example.invalid/openapi.yaml"});
    let refused = closed.post(&As::admin(), "/api/v1/apis/import", elsewhere.clone()).await;
    refused.assert_blames("url");
    refused.assert_refused(422, "allow_openapi_fetch");
    closed.stop().await;

    let guarded = Manager::start_with(|settings| settings.allow_private_backends = false).await;
    for url in [
        "https://127.0.0.1:1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://localhost/",
        "http://example.invalid/",
        "file:///etc/passwd",
        "https://u:p@example.invalid/",
        "x",
    ] {
        for path in ["import", "validate"] {
            let answer =
                guarded.post(&As::admin(), &format!("/api/v1/apis/{path}"), json!({"url": url})).await;
            answer.assert_blames("url");
        }
    }
    let both = json!({"url": "https://example.invalid", "name": "x"});
    guarded.post(&As::admin(), "/api/v1/apis/import", both).await.assert_blames("name");
    let private = guarded.imports("?backend=https://10.0.0.1", &document()).await;
    private.assert_blames("backends.production[0]");
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_at_a_url_is_read_like_one_that_was_sent() {
    let manager = Manager::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/petstore.yaml", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await.unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{PETSTORE}", PETSTORE.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    });

    let api = manager.post(&As::admin(), "/api/v1/apis/import", json!({ "url": url })).await.made();

    assert_eq!(api["name"], "Petstore");
    serving.await.unwrap();
    manager.stop().await;
}
