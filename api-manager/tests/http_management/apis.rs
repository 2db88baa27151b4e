//! Making APIs, looking for them, and moving them through their lives.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{As, Manager, api, at, with};
use test_support::on_every_stage;

on_every_stage! {
    async fn one_context_has_each_version_once(stage: Stage) {
        let manager = Manager::on(stage).await;
        let admin = As::admin();
        let made = join_all((0..10).map(|_| manager.post(&admin, "/api/v1/apis", api("pets")))).await;

        assert_eq!(made.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in made.iter().filter(|answer| answer.status != 201) {
            answer.assert_refused(409, "the context pets has a version 1.0.0 already");
        }
        manager.post(&As::admin(), "/api/v1/apis", api("/pets/")).await.assert_refused(409, "already");
        manager.post(&As::admin(), "/api/v1/apis", with(api("pets"), "version", json!("2"))).await.made();
        manager.stop().await;
    }

    async fn of_many_equal_moves_at_once_one_is_made(stage: Stage) {
        let manager = Manager::on(stage).await;
        let made = manager.published("pets").await;

        let admin = As::admin();
        let answers = join_all((0..20).map(|_| manager.acts(&admin, &made, "deprecate"))).await;

        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)));
        let life = manager.get(&As::admin(), &format!("{}/lifecycle", at("apis", &made))).await.expect(200);
        assert_eq!(life["history"].as_array().unwrap().len(), 2);
        manager.stop().await;
    }

    async fn an_api_lives_by_the_table_and_every_move_is_written_down(stage: Stage) {
        let manager = Manager::on(stage).await;
        let made = manager.api("pets").await;
        let moves =
            ["publish", "publish", "block", "republish", "demote", "publish", "block", "deprecate", "retire"];
        let states = [
            "published",
            "published",
            "blocked",
            "published",
            "created",
            "published",
            "blocked",
            "deprecated",
            "retired",
        ];
        for (action, state) in moves.iter().zip(states) {
            assert_eq!(manager.acts(&As::admin(), &made, action).await.expect(200)["state"], state, "{action}");
        }

        let life = manager.get(&As::admin(), &format!("{}/lifecycle", at("apis", &made))).await.expect(200);

        assert_eq!((&life["state"], &life["legal_actions"]), (&json!("retired"), &json!([])));
        let history: Vec<&str> =
            life["history"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
        assert_eq!(history, moves);
        let last = life["history"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["from"], &last["to"], &last["actor"]),
            (&json!("deprecated"), &json!("retired"), &json!("admin"))
        );
        manager.stop().await;
    }

    async fn the_catalogue_is_searched_and_paged(stage: Stage) {
        let manager = Manager::on(stage).await;
        for (context, tag) in [("cats", "animals"), ("dogs", "animals"), ("cars", "things")] {
            manager.post(&As::admin(), "/api/v1/apis", with(api(context), "tags", json!([tag]))).await.made();
        }
        let cats = manager.get(&As::admin(), "/api/v1/apis?query=CATS").await.expect(200)["items"][0].clone();
        manager.acts(&As::admin(), &cats, "publish").await.expect(200);
        let found = async |query: &str| {
            let list = manager.get(&As::admin(), &format!("/api/v1/apis?{query}")).await.expect(200);
            list["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|api| api["context"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };

        assert_eq!(found("tag=animals").await, ["cats", "dogs"]);
        assert_eq!(found("query=thi").await, ["cars"]);
        assert_eq!(found("state=published").await, ["cats"]);
        assert_eq!(found("tag=animals&state=created").await, ["dogs"]);
        assert_eq!(found("query=%25").await, [""; 0]);

        let first = manager.get(&As::admin(), "/api/v1/apis?limit=2").await.expect(200);
        assert_eq!(first["items"].as_array().unwrap().len(), 2);
        let after = first["next"].as_str().unwrap();
        assert_eq!(found(&format!("limit=2&after={after}")).await, ["cars"]);
        let last = manager.get(&As::admin(), &format!("/api/v1/apis?after={after}")).await.expect(200);
        assert_eq!(last["next"], Value::Null);
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_comes_back_as_it_was_sent_and_can_be_sent_back() {
    let manager = Manager::start().await;
    let sent = json!({
        "name": "Pêts", "context": "/shop/pets/", "version": "2.1", "description": "two\nlines",
        "backends": {
            "production": ["https://a.example/base", {"url": "https://b.example", "weight": 0}],
            "sandbox": ["http://127.0.0.1:1"],
            "balance": "least_connections", "ejection": {"failures": 0, "seconds": 9},
            "health_check": {
                "path": "/health?deep=1", "interval_seconds": 5, "timeout_seconds": 1, "healthy_after": 1, "unhealthy_after": 1
            },
            "retries": {"attempts": 0, "budget_percent": 0}, "circuit_breaker": {"max_requests": 100, "max_pending": null},
        },
        "operations": [
            {"method": "get", "path": "/cats/{id}", "scopes": ["write", "read"], "auth": "application"},
            {"method": "*", "path": "/open/*", "auth": "none"},
        ],
        "tiers": ["Gold", "Bronze"], "tags": ["animals"], "visibility": "private",
        "cors": {"allow_origins": ["https://app.example"], "allow_headers": ["X-A"], "allow_credentials": true},
        "backend_jwt": true, "max_tps": 50, "timeouts": {"connect": 100, "first_byte": 200, "idle": 300},
        "forward_authorization": true, "default_version": true,
    });

    let made = manager.post(&As::admin(), "/api/v1/apis", sent.clone()).await.made();

    for (member, value) in sent.as_object().unwrap() {
        match member.as_str() {
            "context" => assert_eq!(made[member], "shop/pets"),
            "operations" => {
                assert_eq!(
                    made["operations"][0],
                    json!({"method": "GET", "path": "/cats/{id}", "scopes": ["read", "write"], "auth": "application"})
                );
                assert_eq!(
                    made["operations"][1],
                    json!({"method": "*", "path": "/open/*", "scopes": [], "auth": "none"})
                );
            }
            _ => assert_eq!(&made[member], value, "{member}"),
        }
    }
    assert_eq!((&made["state"], &made["owner"]), (&json!("created"), &json!("admin")));
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'));

    let read = manager.get(&As::admin(), &at("apis", &made)).await;
    assert_eq!(read.header("etag"), "\"1\"");
    let replaced = manager.put(&As::admin(), &at("apis", &made), read.json).await;
    assert_eq!(replaced.header("etag"), "\"2\"");
    let mut replaced = replaced.expect(200);
    replaced["updated_at"] = made["updated_at"].clone();
    assert_eq!(replaced, made);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn context_and_version_are_fixed_once_made() {
    let manager = Manager::start().await;
    let made = manager.api("pets").await;
    let path = at("apis", &made);

    for (field, value) in [("context", json!("cats")), ("version", json!("2"))] {
        let refused = manager.put(&As::admin(), &path, with(api("pets"), field, value)).await;
        refused.assert_blames(field);
        assert!(refused.detail().contains("new version"), "{}", refused.detail());
    }
    let mut without = with(api("/pets/"), "name", json!("Renamed"));
    without.as_object_mut().unwrap().remove("version");
    assert_eq!(manager.put(&As::admin(), &path, without).await.expect(200)["name"], "Renamed");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_illegal_move_is_refused_with_the_legal_ones() {
    let manager = Manager::start().await;
    let made = manager.api("pets").await;

    manager.acts(&As::admin(), &made, "retire").await.assert_refused(409, "created, which allows publish");
    manager.acts(&As::admin(), &made, "publish").await.expect(200);
    manager
        .acts(&As::admin(), &made, "republish")
        .await
        .assert_refused(409, "publish, block, deprecate, demote");
    for action in ["", "Publish", "explode"] {
        manager.acts(&As::admin(), &made, action).await.assert_blames("action");
    }
    let path = format!("{}/lifecycle", at("apis", &made));
    for body in [json!({}), json!({"action": 5}), json!({"action": null})] {
        manager.post(&As::admin(), &path, body).await.assert_blames("action");
    }
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backend_nothing_is_published() {
    let manager = Manager::start().await;
    let body = with(api("pets"), "backends", json!({}));
    let made = manager.post(&As::admin(), "/api/v1/apis", body.clone()).await.made();

    manager.acts(&As::admin(), &made, "publish").await.assert_refused(409, "no backend");
    manager.put(&As::admin(), &at("apis", &made), api("pets")).await.expect(200);
    manager.acts(&As::admin(), &made, "publish").await.expect(200);
    manager.put(&As::admin(), &at("apis", &made), body).await.assert_blames("backends");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_a_copy_that_starts_its_own_life() {
    let manager = Manager::start().await;
    let first = manager
        .post(&As::admin(), "/api/v1/apis", with(api("pets"), "default_version", json!(true)))
        .await
        .made();
    manager.acts(&As::admin(), &first, "publish").await.expect(200);
    let versions = format!("{}/versions", at("apis", &first));

    let second = manager.post(&As::admin(), &versions, json!({"version": "2.0.0"})).await.made();

    assert_ne!(second["id"], first["id"]);
    assert_eq!(
        (&second["version"], &second["state"], &second["default_version"]),
        (&json!("2.0.0"), &json!("created"), &json!(false))
    );
    assert_eq!((&second["backends"], &second["operations"]), (&first["backends"], &first["operations"]));
    manager.post(&As::admin(), &versions, json!({"version": "2.0.0"})).await.assert_refused(409, "already");
    for version in [json!(""), json!("a/b"), json!(".."), json!("x".repeat(31)), json!(2), Value::Null] {
        manager.post(&As::admin(), &versions, json!({ "version": version })).await.assert_blames("version");
    }
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_version_of_a_context_is_the_default() {
    let manager = Manager::start().await;
    let default =
        |version: &str| with(with(api("pets"), "version", json!(version)), "default_version", json!(true));
    let first = manager.post(&As::admin(), "/api/v1/apis", default("1")).await.made();
    let second = manager.post(&As::admin(), "/api/v1/apis", default("2")).await.made();

    let read = manager.get(&As::admin(), &at("apis", &first)).await;
    assert_eq!((read.header("etag"), &read.json["default_version"]), ("\"2\"", &json!(false)));
    manager.put(&As::admin(), &at("apis", &first), default("1")).await.expect(200);
    let read = manager.get(&As::admin(), &at("apis", &second)).await.expect(200);
    assert_eq!(read["default_version"], false);

    // The default version of `pets` answers at `pets`, and so would version `pets` of no context at all; `shop` can.
    manager.post(&As::admin(), "/api/v1/apis", with(api("shop"), "version", json!("pets"))).await.made();
    let clash = with(api("shop/pets"), "default_version", json!(true));
    manager.post(&As::admin(), "/api/v1/apis", clash).await.assert_refused(409, "default version");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_without_a_version_goes_to_the_version_that_took_it_last() {
    let manager = Manager::start().await;
    let default = |version: &str| {
        let operations = json!([{"method": "GET", "path": format!("/of-{version}"), "auth": "none"}]);
        let body = with(with(api("pets"), "version", json!(version)), "default_version", json!(true));
        with(body, "operations", operations)
    };
    let first = manager.post(&As::admin(), "/api/v1/apis", default("1")).await.made();
    manager.acts(&As::admin(), &first, "publish").await.expect(200);
    let second = manager.post(&As::admin(), "/api/v1/apis", default("2")).await.made();
    manager.acts(&As::admin(), &second, "publish").await.expect(200);
    // Their backend is not there: what is declared is tried, and what is not is not found.
    assert_eq!((manager.calls("/pets/of-1").await, manager.calls("/pets/of-2").await), (404, 502));

    manager.put(&As::admin(), &at("apis", &first), default("1")).await.expect(200);
    assert_eq!((manager.calls("/pets/of-1").await, manager.calls("/pets/of-2").await), (502, 404));
    let third = manager.post(&As::admin(), "/api/v1/apis", default("3")).await.made();
    assert_eq!(manager.calls("/pets/of-1").await, 404, "taken by one that is not published yet");
    manager.acts(&As::admin(), &third, "publish").await.expect(200);
    assert_eq!(manager.calls("/pets/of-3").await, 502);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_describes_itself() {
    let manager = Manager::start().await;
    let made = manager.api("pets").await;

    let document = manager.get(&As::admin(), &format!("{}/openapi", at("apis", &made))).await.expect(200);

    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/{rest}"]["get"].is_object(), "{document}");
    assert!(document["servers"][0]["url"].as_str().unwrap().ends_with("/pets/1.0.0"));
    manager.stop().await;
}
