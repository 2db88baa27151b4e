//! Requests and answers are changed on their way as publishers say, and answers are kept where they may be.

use e2e::client::Call;
use serde_json::json;

use super::Inside;

#[tokio::test(flavor = "multi_thread")]
async fn headers_query_and_path_are_changed_on_their_way() {
    let members = json!({
        "transforms": {
            "request": { "headers": { "set": { "X-Tenant": "7" }, "remove": ["Cookie"] }, "query": { "add": { "lang": "de" } } },
            "response": { "headers": { "set": { "X-Served-By": "us" }, "remove": ["Content-Language"] } },
        },
        "operations": [{ "method": "GET", "path": "/cats/{id}/toys/*", "rewrite": "/v2/toys/of/{id}/*" }],
    });
    let inside = Inside::with_api("pets", &members).await;
    let url = inside.application.gateway("/pets/1.0/cats/7%209/toys/red/ball?q=%7e");
    let call = Call::get(url).bearer(&inside.token).header("cookie", "a=b").header("x-tenant", "8");
    let answer = inside.application.sends_as_is(call).await.expect(200);

    let report = answer.json();
    assert_eq!(report["path"], "/v2/toys/of/7%209/red/ball?q=%7e&lang=de");
    assert_eq!((&report["headers"]["x-tenant"], &report["headers"]["cookie"]), (&json!("7"), &json!(null)));
    assert_eq!(answer.header("x-served-by"), "us");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_for_the_caller_who_got_it_and_for_nobody_else() {
    let cache = json!({ "ttl_seconds": 60 });
    let members = json!({ "operations": [{ "method": "GET", "path": "/cats", "cache": cache }] });
    let inside = Inside::with_api("pets", &members).await;

    let first = inside.calls("/pets/1.0/cats").await.expect(200);
    let again = inside.calls("/pets/1.0/cats").await.expect(200);
    assert_eq!((&first.body, inside.world.backend.reached()), (&again.body, 1));
    assert!(again.header("cache-status").contains("hit"), "{:?}", again.headers);
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));

    let bob = inside.application.exchanges(&inside.idp.sign_for("bob")).await.token();
    let _ = inside.application.calls("/pets/1.0/cats", &bob).await.expect(200);
    assert_eq!(inside.world.backend.reached(), 2);

    // Whoever may no longer call is not served from memory either.
    inside.application.revokes(&inside.token).await;
    assert_eq!(inside.calls("/pets/1.0/cats").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_may_call_and_another_may_not() {
    let members =
        json!({ "cors": { "allow_origins": ["https://shop.example"], "allow_headers": ["Authorization"] } });
    let inside = Inside::with_api("pets", &members).await;
    let url = inside.application.gateway("/pets/1.0/cats");
    let asks = |origin: &str| {
        let preflight = Call::new(http::Method::OPTIONS, &url).header("origin", origin);
        inside.application.sends_as_is(preflight.header("access-control-request-method", "GET"))
    };

    let allowed = asks("https://shop.example").await.expect(204);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(asks("https://evil.example").await.header("access-control-allow-origin"), "");
    let refused = Call::get(&url).header("origin", "https://shop.example");
    let refused = inside.application.sends_as_is(refused).await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(inside.world.backend.reached(), 0);
}
