//! Paths and methods: what is declared passes, what is not is refused, and tricks lead nowhere.

use e2e::client::Call;
use http::Method;
use serde_json::json;
use test_support::on_every_stage;

use super::world;

on_every_stage! {
    async fn only_declared_paths_and_methods_pass(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let operations = json!([
            { "method": "GET", "path": "/cats" },
            { "method": "GET", "path": "/cats/{name}" },
            { "method": "POST", "path": "/cats" },
            { "method": "GET", "path": "/files/*" },
        ]);
        let members = json!({ "operations": operations });
        let api = world.publisher().publishes_with("pets", &world.backend.url(), &members).await;
        let application = world.developer().registers("app").await;
        world.developer().subscribes(&application, &api).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        for path in ["/cats", "/cats/tom", "/files/a", "/files/a/b/c", "/cats/to%20m"] {
            let answer = application.calls(&format!("/pets/1.0{path}"), &token).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.member("path"), path);
        }
        let before = world.backend.reached();
        for path in ["", "/", "/dogs", "/cat", "/cats/tom/tail", "/Cats"] {
            let answer = application.calls(&format!("/pets/1.0{path}"), &token).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        }
        for method in [Method::DELETE, Method::PUT, Method::PATCH] {
            let call = Call::new(method.clone(), application.gateway("/pets/1.0/cats")).bearer(&token);
            let answer = application.sends_as_is(call).await;
            assert_eq!(answer.status, 405, "{method}: {}", answer.text());
        }
        assert_eq!(world.backend.reached(), before);
    }

    async fn path_tricks_are_refused(stage: Stage) {
        let world = world(stage).await;
        let idp = world.trusted_idp().await;
        let operations = json!([{ "method": "GET", "path": "/public/*" }, { "method": "GET", "path": "/public/{name}" }]);
        let members = json!({ "operations": operations });
        let api = world.publisher().publishes_with("pets", &world.backend.url(), &members).await;
        let application = world.developer().registers("app").await;
        world.developer().subscribes(&application, &api).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();

        for trick in [
            "/public/../secret",
            "/public/./x",
            "/public/..",
            "/public/.",
            "/public/%2e%2e/secret",
            "/public/%2E%2e/secret",
            "/public/.%2e/secret",
            "/public/%2e/x",
            "/public/a%2fb",
            "/public/a%2Fb",
            "/public/a%5cb",
            "/public/a%00b",
            "/public/a%0d%0ab",
            "/public//x",
            "//public/x",
            "/public/x//",
            "/public/%zz",
            "/public/%",
        ] {
            let answer = application.calls(&format!("/pets/1.0{trick}"), &token).await;
            assert_eq!(answer.status, 400, "{trick}: {}", answer.text());
        }
        for trick in ["/pets/1.0/../1.0/public/x", "//pets/1.0/public/x", "/pets//1.0/public/x"] {
            let answer = application.calls(trick, &token).await;
            assert!(matches!(answer.status, 400 | 404), "{trick}: {} {}", answer.status, answer.text());
        }
        assert_eq!(world.backend.reached(), 0);
        // An escape that needs none is no trick, and the backend sees it as what it is.
        for plain in ["/pets/1.0/public/x", "/%70ets/1.0/publi%63/x"] {
            let answer = application.calls(plain, &token).await.expect(200);
            assert_eq!(answer.member("path"), "/public/x", "{plain}");
        }
    }
}
