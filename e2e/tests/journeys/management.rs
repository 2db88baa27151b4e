//! The management REST when it is given bad input: every bad field named at once, nothing kept.

use e2e::actors::draft;
use e2e::client::{Answer, Call};
use e2e::world::World;
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::world;

/// A resource, a body that makes one, and its fields.
struct Resource {
    path: &'static str,
    good: Value,
    texts: &'static [&'static str],
    others: &'static [&'static str],
}

fn resources(world: &World) -> [Resource; 4] {
    let idp = world.strange_idp();
    [
        Resource {
            path: "identity-providers",
            good: json!({ "name": idp.issuer, "alias": idp.alias, "certificates": [idp.certificate()] }),
            texts: &["name", "alias", "issuer"],
            others: &[
                "certificates",
                "jwks_uri",
                "enabled",
                "algorithms",
                "replay",
                "max_assertion_lifetime",
                "scopes",
            ],
        },
        Resource {
            path: "apis",
            good: draft("pets", &world.backend.url()),
            texts: &["name", "context", "version"],
            others: &[
                "backends",
                "operations",
                "tiers",
                "tags",
                "visibility",
                "cors",
                "backend_jwt",
                "max_tps",
                "timeouts",
            ],
        },
        Resource {
            path: "applications",
            good: json!({ "name": "app", "tier": "Unlimited" }),
            texts: &["name", "tier"],
            others: &["access_token_lifetime"],
        },
        Resource {
            path: "subscriptions",
            good: json!({ "application_id": "x", "api_id": "x", "tier": "Unlimited" }),
            texts: &["application_id", "api_id", "tier"],
            others: &[],
        },
    ]
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

/// The answer is a problem that names the field.
fn assert_names(answer: &Answer, field: &str, what: &str) {
    let seen = format!("{field} {what}: {} {}", answer.status, answer.text());
    assert!(matches!(answer.status, 400 | 422), "{seen}");
    assert!(answer.header("content-type").contains("problem+json"), "{seen}");
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    assert!(
        errors.iter().any(|error| error["field"].as_str().is_some_and(|name| name.starts_with(field))),
        "{seen}"
    );
    assert!(
        errors.iter().all(|error| error["detail"].as_str().is_some_and(|detail| !detail.is_empty())),
        "{seen}"
    );
}

on_every_stage! {
    async fn every_field_of_every_resource_is_checked(stage: Stage) {
        let world = world(stage).await;
        let administrator = world.administrator();
        for resource in resources(&world) {
            for field in resource.texts {
                for (what, value) in [("empty", json!("")), ("too long", json!("x".repeat(70_000))), ("a number", json!(1)), ("with a control character", json!("a\u{7}b"))] {
                    let answer = administrator.posts(resource.path, &with(&resource.good, field, value)).await;
                    if what == "empty" && *field == "issuer" {
                        continue;
                    }
                    assert_names(&answer, field, what);
                }
            }
            for field in resource.others {
                let answer = administrator.posts(resource.path, &with(&resource.good, field, json!({ "surprise": [1] }))).await;
                assert_names(&answer, field, "of the wrong type");
            }
            for (name, body) in [("an array", "[]"), ("nothing", ""), ("half", "{\"name\":"), ("text", "\"x\"")] {
                let url = format!("{}/api/v1/{}", world.places().manager, resource.path);
                let call = Call::post(url).header("content-type", "application/json").body(body).basic("admin", "admin");
                let answer = world.http.send(call).await;
                assert!(matches!(answer.status, 400 | 422), "{}, {name}: {} {}", resource.path, answer.status, answer.text());
                assert!(answer.header("content-type").contains("problem+json"), "{}, {name}", resource.path);
            }
            let list = administrator.gets(resource.path).await.expect(200);
            let kept = list.json()["items"].as_array().cloned().unwrap_or_default();
            let kept: Vec<_> = kept.iter().filter(|item| item["name"] != "DefaultApplication").collect();
            assert!(kept.is_empty(), "{}: {kept:?}", resource.path);
        }
    }

    async fn all_bad_fields_are_named_at_once(stage: Stage) {
        let world = world(stage).await;

        let answer = world.administrator().posts("apis", &json!({ "name": "", "context": "a//b", "version": 7, "backends": { "production": ["ftp://x"] } })).await;

        for field in ["name", "context", "version", "backends"] {
            assert_names(&answer, field, "among others");
        }
    }

    async fn a_context_is_plain_segments(stage: Stage) {
        let world = world(stage).await;
        for context in ["..", "a/../b", "a//b", "a%2fb", "%2e%2e", "a\u{1}b", "a b", "a?b", "a#b", "a\\b", ".", "*"] {
            let answer = world.publisher().drafts(&draft(context, &world.backend.url())).await;

            assert_names(&answer, "context", context);
        }
    }

    async fn a_backend_is_an_http_url(stage: Stage) {
        let world = world(stage).await;
        for backend in ["", "ftp://example.org", "file:///etc/passwd", "example.org", "http://", "//example.org", "javascript:alert(1)", "http://user:pass word@x"] {
            let answer = world.publisher().drafts(&draft("pets", backend)).await;

            assert_names(&answer, "backends", backend);
        }
    }

    async fn what_exists_is_not_made_twice_and_what_is_in_use_is_not_deleted(stage: Stage) {
        let world = world(stage).await;
        let publisher = world.publisher();
        let api = publisher.publishes("pets", &world.backend.url()).await;
        let application = world.developer().registers("app").await;
        world.developer().subscribes(&application, &api).await;

        let again = publisher.drafts(&draft("pets", &world.backend.url())).await;
        let in_use = publisher.deletes(&api).await;
        let subscribed = json!({ "application_id": application.id, "api_id": api.id, "tier": "Unlimited" });
        let twice = world.developer().posts("subscriptions", &subscribed).await;

        assert_eq!(again.status, 409, "{}", again.text());
        assert_eq!(in_use.status, 409, "{}", in_use.text());
        assert_eq!(twice.status, 409, "{}", twice.text());
    }

    async fn the_management_rest_is_for_administrators(stage: Stage) {
        let world = world(stage).await;
        let application = world.subscribed_application("pets").await;
        let idp = world.trusted_idp().await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        for path in ["apis", "applications", "subscriptions", "identity-providers", "tiers"] {
            let url = format!("{}/api/v1/{path}", world.places().manager);

            let nobody = world.http.send(Call::get(&url)).await;
            let stranger = world.http.send(Call::get(&url).basic("admin", "guess")).await;
            let caller = world.http.send(Call::get(&url).bearer(&token)).await;

            assert_eq!((nobody.status, stranger.status), (401, 401), "{path}");
            assert!(matches!(caller.status, 401 | 403), "{path}: {}", caller.status);
            assert!(!nobody.challenge().is_empty(), "{path}");
        }
    }
}
