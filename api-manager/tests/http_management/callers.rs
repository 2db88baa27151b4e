//! Who may come in, and what each of them may do.

use http::Method;
use http_body_util::Full;
use serde_json::json;

use super::actors::Idp;
use super::{As, Manager, api, at, with};

#[tokio::test(flavor = "multi_thread")]
async fn without_good_credentials_nobody_comes_in() {
    let manager = Manager::start().await;
    let callers = [
        As::nobody(),
        As::basic("admin", "wrong"),
        As::basic("root", "admin"),
        As(Some("Basic !!!".to_owned())),
        As(Some("Basic".to_owned())),
        As(Some("Bearer x.y.z".to_owned())),
        As(Some("Bearer".to_owned())),
        As(Some("Digest x".to_owned())),
    ];
    for caller in &callers {
        for path in ["/api/v1/apis", "/api/v1/applications", "/api/v1/subscriptions", "/api/v1/tiers"] {
            let refused = manager.get(caller, path).await;
            refused.assert_refused(401, "");
            assert!(refused.headers.contains_key("www-authenticate"));
        }
        assert_eq!(manager.post(caller, "/api/v1/apis", api("pets")).await.status, 401);
    }

    let challenges = manager.get(&As::nobody(), "/api/v1/apis").await.headers;
    let challenges: Vec<&str> =
        challenges.get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect();
    assert!(challenges[0].starts_with("Basic ") && challenges[1].starts_with("Bearer "), "{challenges:?}");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_authorization_headers_are_one_too_many() {
    let manager = Manager::start().await;
    let twice = manager
        .request(&As::admin(), Method::GET, "/api/v1/apis")
        .header("authorization", As::admin().0.unwrap());
    manager.send(twice.body(Full::default()).unwrap()).await.assert_refused(400, "Authorization");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_changes_nothing() {
    let manager = Manager::start().await;
    let post = async |origin: &str| {
        let request = manager.request(&As::admin(), Method::POST, "/api/v1/apis").header("origin", origin);
        manager.send_json(request, api("pets")).await
    };

    post("https://evil.example").await.assert_refused(403, "origin");
    post("null").await.assert_refused(403, "origin");
    post("https://localhost:9444").await.made();
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_opens_its_own_doors() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let nothing = idp.person("alice", "openid");
    let viewer = idp.person("alice", "apim:api_view");
    let subscriber = idp.person("alice", "apim:subscribe");
    let creator = idp.person("pat", "apim:api_create");
    let publisher = idp.person("pat", "apim:api_publish");
    let admin = idp.person("ada", "apim:admin");

    let refused = manager.get(&nothing, "/api/v1/apis").await;
    refused.assert_refused(403, "apim:api_view");
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("insufficient_scope") && challenge.contains("apim:api_view"), "{challenge}");
    for caller in [&viewer, &subscriber, &publisher] {
        manager.post(caller, "/api/v1/apis", api("pets")).await.assert_refused(403, "apim:api_create");
    }
    let pets = manager.post(&creator, "/api/v1/apis", api("pets")).await.made();
    assert_eq!(pets["owner"], "pat@https://idp.example");
    manager.acts(&creator, &pets, "publish").await.assert_refused(403, "apim:api_publish");
    manager.acts(&publisher, &pets, "publish").await.expect(200);
    manager.get(&viewer, &at("apis", &pets)).await.expect(200);
    manager.get(&viewer, "/api/v1/applications").await.assert_refused(403, "apim:subscribe");
    let application = manager.application(&subscriber, "app").await;
    manager.subscribes(&viewer, &application, &pets).await.assert_refused(403, "apim:subscribe");
    let subscription = manager.subscribes(&subscriber, &application, &pets).await.made();
    let block = format!("{}/block", at("subscriptions", &subscription));
    manager.post(&subscriber, &block, json!({})).await.assert_refused(403, "apim:api_publish");
    manager.post(&publisher, &block, json!({})).await.expect(200);
    for caller in [&viewer, &subscriber, &creator, &publisher] {
        manager.get(caller, "/api/v1/tiers").await.expect(200);
        manager.post(caller, "/api/v1/tiers", json!({"name": "T"})).await.assert_refused(403, "apim:admin");
        manager.get(caller, "/api/v1/identity-providers").await.assert_refused(403, "apim:admin");
    }
    manager.post(&admin, "/api/v1/tiers", json!({"name": "T"})).await.made();
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_is_not_there_or_not_to_be_touched() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let every = "apim:api_view apim:api_create apim:api_publish apim:subscribe";
    let (alice, mallory, admin) =
        (idp.person("alice", every), idp.person("mallory", every), idp.person("ada", "apim:admin"));
    let public = manager.post(&alice, "/api/v1/apis", api("pets")).await.made();
    let hidden = with(api("secrets"), "visibility", json!("private"));
    let hidden = manager.post(&alice, "/api/v1/apis", hidden).await.made();
    for made in [&public, &hidden] {
        manager.acts(&alice, made, "publish").await.expect(200);
    }
    let application = manager.application(&alice, "app").await;
    let subscription = manager.subscribes(&alice, &application, &public).await.made();

    // Seen, but not changed; nor is it shown where its traffic goes.
    let seen = manager.get(&mallory, &at("apis", &public)).await.expect(200);
    assert_eq!(seen["backends"], json!({"production": [], "sandbox": []}));
    manager.put(&mallory, &at("apis", &public), api("pets")).await.assert_refused(403, "apim:admin");
    manager.delete(&mallory, &at("apis", &public)).await.assert_refused(403, "apim:admin");
    manager.acts(&mallory, &public, "block").await.assert_refused(403, "apim:admin");
    let copied =
        manager.post(&mallory, &format!("{}/versions", at("apis", &public)), json!({"version": "2"})).await;
    copied.assert_refused(403, "apim:admin");

    // Not there at all.
    for path in [
        at("apis", &hidden),
        format!("{}/lifecycle", at("apis", &hidden)),
        format!("{}/openapi", at("apis", &hidden)),
    ] {
        manager.get(&mallory, &path).await.assert_refused(404, "API");
    }
    manager.acts(&mallory, &hidden, "block").await.assert_refused(404, "API");
    for path in [at("applications", &application), format!("{}/keys", at("applications", &application))] {
        manager.get(&mallory, &path).await.assert_refused(404, "application");
    }
    let keys = format!("{}/keys", at("applications", &application));
    manager.post(&mallory, &keys, json!({"key_type": "production"})).await.assert_refused(404, "application");
    manager.get(&mallory, &at("subscriptions", &subscription)).await.assert_refused(404, "subscription");
    manager.delete(&mallory, &at("subscriptions", &subscription)).await.assert_refused(404, "subscription");
    let block = format!("{}/block", at("subscriptions", &subscription));
    manager.post(&mallory, &block, json!({})).await.assert_refused(404, "subscription");

    // Nor can it be reached sideways.
    let own = manager.application(&mallory, "own").await;
    manager.subscribes(&mallory, &own, &hidden).await.assert_blames("api_id");
    manager.subscribes(&mallory, &application, &public).await.assert_blames("application_id");
    let lists = ["/api/v1/apis", "/api/v1/applications", "/api/v1/subscriptions"];
    let count = async |caller: &As, path: &str| {
        manager.get(caller, path).await.expect(200)["items"].as_array().unwrap().len()
    };
    assert_eq!(count(&mallory, lists[0]).await, 1);
    assert_eq!(count(&mallory, lists[1]).await, 2);
    assert_eq!(count(&mallory, lists[2]).await, 0);

    // An administrator sees and touches everything.
    assert_eq!(count(&admin, lists[0]).await, 2);
    assert_eq!(count(&admin, lists[2]).await, 1);
    manager.acts(&admin, &hidden, "block").await.expect(200);
    manager.delete(&admin, &at("applications", &application)).await.expect(204);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_belongs_to_its_first_publisher() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let (alice, mallory) = (idp.person("alice", "apim:api_create"), idp.person("mallory", "apim:api_create"));
    manager.post(&alice, "/api/v1/apis", api("pets")).await.made();

    // Another version, and a longer context that would catch calls to hers.
    let other = with(api("pets"), "version", json!("2.0.0"));
    manager.post(&mallory, "/api/v1/apis", other.clone()).await.assert_refused(409, "another publisher");
    manager.post(&mallory, "/api/v1/apis", api("pets/1.0.0")).await.assert_refused(409, "another publisher");
    manager.post(&mallory, "/api/v1/apis", api("petshop")).await.made();
    manager.post(&alice, "/api/v1/apis", other).await.made();
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_not_allowed_to_opens_nothing() {
    let manager = Manager::start().await;
    let idp = Idp::registered(&manager, "https://other.example", false).await;

    let refused = manager.get(&idp.person("alice", "apim:admin"), "/api/v1/apis").await;

    refused.assert_refused(401, "token");
    assert!(refused.header("www-authenticate").contains("invalid_token"));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_not_answered_are_problems_too() {
    let manager = Manager::start().await;
    let unknown = "01920000-0000-7000-8000-000000000000";

    manager.get(&As::nobody(), "/nothing").await.assert_refused(404, "nothing here");
    for collection in ["apis", "applications", "subscriptions", "tiers"] {
        for id in [unknown, "x", "..%2f..", "%00"] {
            manager
                .get(&As::admin(), &format!("/api/v1/{collection}/{id}"))
                .await
                .assert_refused(404, "no such");
        }
        let refused = manager.delete(&As::admin(), &format!("/api/v1/{collection}")).await;
        refused.assert_refused(405, "GET, POST");
        assert_eq!(refused.header("allow"), "GET, POST");
    }
    let head =
        manager.request(&As::admin(), Method::HEAD, "/api/v1/tiers/Gold").body(Full::default()).unwrap();
    let head = manager.send(head).await;
    assert_eq!((head.status, head.header("etag"), &head.json), (200, "\"1\"", &json!(null)));
    let page = manager.get(&As::nobody(), "/openapi.json").await;
    for (name, value) in [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("server", "")]
    {
        assert_eq!(page.header(name), value);
    }
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_providers_alice_does_not_own_what_this_ones_made() {
    let manager = Manager::start().await;
    let (here, there) =
        (Idp::trusted(&manager).await, Idp::registered(&manager, "https://b.example", true).await);
    let (alice, stranger) = (here.person("alice", "apim:subscribe"), there.person("alice", "apim:subscribe"));
    let application = manager.application(&alice, "app").await;

    manager.get(&stranger, &at("applications", &application)).await.expect(404);
    let keys = format!("{}/keys", at("applications", &application));
    manager.post(&stranger, &keys, json!({"key_type": "production"})).await.expect(404);
    manager.get(&alice, &at("applications", &application)).await.expect(200);

    // Nor does a person who happens to be called like the bootstrap administrator.
    let own = manager.application(&As::admin(), "own").await;
    let namesake = here.person("admin", "apim:subscribe");
    manager.get(&namesake, &at("applications", &own)).await.expect(404);
    manager.stop().await;
}
