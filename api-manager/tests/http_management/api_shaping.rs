//! What an API changes of its messages: every bad member is named, and what is good comes back.

use serde_json::{Value, json};

use super::{As, Manager, api, at, with};

fn headers(side: &str, edits: Value) -> Value {
    json!({side: {"headers": edits}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_transform_is_named() {
    let manager = Manager::start().await;
    let long = "x".repeat(1_001);
    let many: serde_json::Map<String, Value> = (0..21).map(|n| (format!("X-{n}"), json!("1"))).collect();
    for (transforms, field) in [
        (json!("x"), "transforms"),
        (json!({"requests": {}}), "transforms.requests"),
        (json!({"response": {"query": {}}}), "transforms.response.query"),
        (headers("request", json!({"set": []})), "transforms.request.headers.set"),
        (headers("request", json!({"set": many})), "transforms.request.headers.set"),
        (headers("request", json!({"set": {"X-A": 1}})), "transforms.request.headers.set.X-A"),
        (headers("request", json!({"set": {"X-A": "a\r\nb"}})), "transforms.request.headers.set.X-A"),
        (headers("request", json!({"set": {"X-A": long}})), "transforms.request.headers.set.X-A"),
        (headers("request", json!({"set": {"X-A": "1", "x-a": "2"}})), "transforms.request.headers.set.x-a"),
        (headers("request", json!({"add": {"Host": "a"}})), "transforms.request.headers.add.Host"),
        (
            headers("request", json!({"set": {"Authorization": "Basic eDp5"}})),
            "transforms.request.headers.set.Authorization",
        ),
        (headers("request", json!({"remove": ["X-Forwarded-For"]})), "transforms.request.headers.remove[0]"),
        (headers("request", json!({"remove": ["ok", "a b"]})), "transforms.request.headers.remove[1]"),
        (
            headers("response", json!({"set": {"Content-Length": "5"}})),
            "transforms.response.headers.set.Content-Length",
        ),
        (headers("response", json!({"remove": ["X-Request-Id"]})), "transforms.response.headers.remove[0]"),
        (json!({"request": {"query": {"set": {"": "x"}}}}), "transforms.request.query.set."),
        (json!({"request": {"query": {"add": {"a": "\u{0}"}}}}), "transforms.request.query.add.a"),
    ] {
        let body = with(api("pets"), "transforms", transforms.clone());
        manager.post(&As::admin(), "/api/v1/apis", body).await.assert_blames(field);
        let operation = json!([{"method": "GET", "path": "/a", "transforms": transforms}]);
        let body = with(api("pets"), "operations", operation);
        let of_operation = format!("operations[0].{field}");
        manager.post(&As::admin(), "/api/v1/apis", body).await.assert_blames(&of_operation);
    }
    for rewrite in ["x", "/{other}", "/../x", "/a/*", "/a%2f", "/a?b", ""] {
        let operation = json!([{"method": "GET", "path": "/a/{id}", "rewrite": rewrite}]);
        let body = with(api("pets"), "operations", operation);
        manager.post(&As::admin(), "/api/v1/apis", body).await.assert_blames("operations[0].rewrite");
    }
    for name in ["Authorization", "Content-Type", "Cookie", "a b", "X_Caller", ""] {
        let body = with(api("pets"), "backend_jwt_header", json!(name));
        manager.post(&As::admin(), "/api/v1/apis", body).await.assert_blames("backend_jwt_header");
    }
    for (cache, field) in [
        (json!(true), "cache"),
        (json!({"ttl": 5}), "cache.ttl"),
        (json!({"ttl_seconds": 0}), "cache.ttl_seconds"),
        (json!({"ttl_seconds": 86_401}), "cache.ttl_seconds"),
        (json!({"max_body": 0}), "cache.max_body"),
        (json!({"max_body": 9 * 1_024 * 1_024}), "cache.max_body"),
    ] {
        let body = with(api("pets"), "operations", json!([{"method": "GET", "path": "/a", "cache": cache}]));
        let field = format!("operations[0].{field}");
        manager.post(&As::admin(), "/api/v1/apis", body).await.assert_blames(&field);
    }
    let unsafe_one = with(api("pets"), "operations", json!([{"method": "POST", "path": "/a", "cache": {}}]));
    manager.post(&As::admin(), "/api/v1/apis", unsafe_one).await.assert_blames("operations[0].cache");
    let taken = with(api("pets"), "backend_jwt_header", json!("X-Caller"));
    let taken = with(taken, "transforms", headers("request", json!({"set": {"x-caller": "me"}})));
    let answer = manager.post(&As::admin(), "/api/v1/apis", taken).await;
    answer.assert_blames("transforms.request.headers.set");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transforms_come_back_as_they_were_sent() {
    let manager = Manager::start().await;
    let edits = json!({"set": {"X-A": "1"}, "add": {"X-B": "2"}, "remove": ["X-C"]});
    let transforms = json!({"request": {"headers": edits, "query": edits}, "response": {"headers": edits}});
    let operation = json!([{
        "method": "GET", "path": "/a/{id}/*", "rewrite": "/b/{id}/*", "transforms": transforms,
        "cache": {"ttl_seconds": 5},
    }]);
    let body = with(api("pets"), "transforms", transforms.clone());
    let body = with(body, "backend_jwt_header", json!("X-Caller"));
    let made = manager.post(&As::admin(), "/api/v1/apis", with(body, "operations", operation)).await.made();

    assert_eq!(made["transforms"], transforms);
    assert_eq!(made["operations"][0]["transforms"], transforms);
    assert_eq!(made["operations"][0]["rewrite"], "/b/{id}/*");
    assert_eq!(made["operations"][0]["cache"], json!({"ttl_seconds": 5, "max_body": 1_048_576}));
    assert_eq!(made["backend_jwt_header"], "x-caller");
    let again = manager.put(&As::admin(), &at("apis", &made), made.clone()).await.expect(200);
    assert_eq!(again["operations"], made["operations"]);
    assert_eq!(manager.api("plain").await["transforms"], Value::Null);
    manager.stop().await;
}
