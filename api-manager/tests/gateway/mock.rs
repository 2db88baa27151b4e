//! Mocks: examples of an OpenAPI document answer in the place of a backend that does not exist yet.

use api_manager::domain::api::{Api, Backends, Cors, OperationAuth};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use shared_claims::scope::ScopeSet;

use super::{Answer, World, api, grant, operation};

fn document() -> Value {
    let pets =
        json!({"application/json": {"example": [{"name": "Rex"}]}, "text/csv": {"example": "name\nRex\n"}});
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/pets": {
                "get": {"responses": {
                    "200": {"content": pets},
                    "404": {"content": {"application/json": {"examples": {"none": {"value": {"found": false}}}}}},
                }},
                "post": {"responses": {"201": {}}},
            },
            "/nothing": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "string"}}}}}}},
            "/secret": {"get": {"responses": {"200": {"content": {"application/json": {"example": 1}}}}}},
        },
    })
}

/// A mock without any backend.
fn mock() -> Api {
    let mut pets = api("pets", "http://unused");
    pets.definition.backends = Backends::default();
    pets.definition.mock = true;
    let mut secret = operation("GET", "/secret");
    secret.scopes = ScopeSet::parse("read").unwrap();
    let open = ["/pets", "/nothing", "/undocumented"].map(|path| operation("*", path));
    pets.definition.operations = open.into_iter().chain([secret]).collect();
    pets
}

async fn prefers(world: &World, token: &str, header: &'static str, value: &str) -> Answer {
    let mut request: Request<Full<bytes::Bytes>> = world.request(Method::GET, "/pets/1.0/pets", token);
    request.headers_mut().insert(header, value.parse().unwrap());
    world.sends(request).await
}

#[tokio::test]
async fn examples_answer_without_a_backend() {
    let world = World::start().await;
    let pets = world.publishes_documented(mock(), &document()).await;
    let token = world.subscribed(&pets).await;

    let answer = world.calls("/pets/1.0/pets", &token).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "[{\"name\":\"Rex\"}]"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-request-id").is_empty() && !answer.header("x-ratelimit-limit").is_empty());

    let csv = prefers(&world, &token, "accept", "text/csv, */*;q=0.1").await;
    assert_eq!((csv.header("content-type"), csv.text.as_str()), ("text/csv", "name\nRex\n"));
    let missing = prefers(&world, &token, "prefer", "status=404").await;
    assert_eq!((missing.status.as_u16(), missing.text.as_str()), (404, "{\"found\":false}"));
    assert_eq!(missing.header("preference-applied"), "status=404");
    let mut post = world.request(Method::POST, "/pets/1.0/pets", &token);
    *post.body_mut() = Full::from("{\"name\":\"Mia\"}");
    let made = world.sends(post).await;
    assert_eq!((made.status.as_u16(), made.text.as_str()), (201, ""));
    let head = world.sends(world.request(Method::HEAD, "/pets/1.0/pets", &token)).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn what_has_no_example_is_refused_and_says_so() {
    let world = World::start().await;
    let pets = world.publishes_documented(mock(), &document()).await;
    let token = world.subscribed(&pets).await;

    for path in ["/pets/1.0/nothing", "/pets/1.0/undocumented"] {
        assert_eq!(world.calls(path, &token).await.refusal(), (501, "501".to_owned()), "{path}");
    }
    assert_eq!(prefers(&world, &token, "prefer", "status=500").await.refusal(), (501, "501".to_owned()));
    assert_eq!(prefers(&world, &token, "prefer", "example=other").await.refusal(), (501, "501".to_owned()));
    assert_eq!(prefers(&world, &token, "accept", "image/png").await.refusal(), (406, "406".to_owned()));
}

#[tokio::test]
async fn a_mock_is_guarded_like_any_api() {
    let world = World::start().await;
    let mut pets = mock();
    pets.definition.max_tps = Some(1);
    pets.definition.cors = Some(Cors {
        allow_origins: vec!["*".to_owned()],
        allow_headers: Vec::new(),
        allow_credentials: false,
    });
    let mut open = operation("GET", "/open");
    open.auth = OperationAuth::None;
    pets.definition.operations.push(open);
    let pets = world.publishes_documented(pets, &document()).await;
    let stranger = world.issues(grant(world.application().await)).await;
    let token = world.subscribed(&pets).await;

    assert_eq!(world.calls("/pets/1.0/pets", "").await.refusal(), (401, "900902".to_owned()));
    assert_eq!(world.calls("/pets/1.0/pets", &stranger).await.refusal(), (403, "900908".to_owned()));
    assert_eq!(world.calls("/pets/1.0/secret", &token).await.refusal(), (403, "900910".to_owned()));
    assert_eq!(world.calls("/pets/1.0/elsewhere", &token).await.refusal().0, 404);
    let first = prefers(&world, &token, "origin", "https://shop.example").await;
    assert_eq!((first.status.as_u16(), first.header("access-control-allow-origin")), (200, "*"));
    assert_eq!(world.calls("/pets/1.0/pets", &token).await.refusal(), (503, "900801".to_owned()));
}

#[tokio::test]
async fn a_changed_document_answers_from_then_on_and_one_that_is_gone_answers_nothing() {
    use api_manager::domain::openapi::{Document, Syntax};
    use api_manager::storage::{api_documents, apis};
    let world = World::start().await;
    let pets = world.publishes_documented(mock(), &document()).await;
    let token = world.subscribed(&pets).await;
    let mut changed = document();
    changed["paths"]["/pets"]["get"]["responses"]["200"]["content"]["application/json"]["example"] =
        json!("new");
    let changed = Document::read(changed.to_string().as_bytes(), Syntax::Json).unwrap();

    let next = Api { revision: 2, ..pets.clone() };
    world
        .changes(move |connection| {
            api_documents::keep(connection, next.id, &changed, super::NOW)?;
            apis::update(connection, &next, 1)
        })
        .await;
    assert_eq!(world.calls("/pets/1.0/pets", &token).await.text, "\"new\"");

    let undocumented = world.publishes(Api { context: "other".to_owned(), id: mock().id, ..mock() }).await;
    let token = world.subscribed(&undocumented).await;
    assert_eq!(world.calls("/other/1.0/pets", &token).await.refusal(), (501, "501".to_owned()));
}
