//! How an API's backends are doing, as its owner sees it.

use serde_json::json;

use super::actors::Idp;
use super::{As, Manager, api, at, with};

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_and_administrators_see_how_the_backends_are_doing_and_nobody_else_does() {
    let manager = Manager::start().await;
    let idp = Idp::trusted(&manager).await;
    let (alice, mallory) =
        (idp.person("alice", "apim:api_create apim:api_publish"), idp.person("mallory", "apim:api_view"));
    let backends = json!({
        "production": ["http://127.0.0.1:1", {"url": "http://127.0.0.1:2", "weight": 0}],
        "sandbox": ["http://127.0.0.1:3"],
    });
    let made = manager.post(&alice, "/api/v1/apis", with(api("pets"), "backends", backends)).await.made();
    manager.acts(&alice, &made, "publish").await.expect(200);
    let states = format!("{}/backends", at("apis", &made));

    let seen = manager.get(&alice, &states).await.expect(200);

    let items = seen["items"].as_array().unwrap();
    let of = |place: usize, member: &str| items[place][member].clone();
    assert_eq!((of(0, "key_type"), of(0, "url")), (json!("production"), json!("http://127.0.0.1:1")));
    assert_eq!((of(0, "weight"), of(1, "weight")), (json!(1), json!(0)));
    assert_eq!(
        (of(0, "state"), of(0, "in_flight"), of(0, "pending")),
        (json!("healthy"), json!(0), json!(0))
    );
    assert!(of(0, "since").as_str().unwrap().ends_with('Z'));
    assert_eq!((of(2, "key_type"), items.len()), (json!("sandbox"), 3));
    assert_eq!(manager.get(&As::admin(), &states).await.expect(200)["items"].as_array().unwrap().len(), 3);
    manager.get(&mallory, &states).await.assert_refused(403, "apim:admin");
    manager.get(&As::nobody(), &states).await.assert_refused(401, "");
    assert_eq!(manager.get(&As::admin(), "/api/v1/apis/nothing/backends").await.status, 404);
    manager.stop().await;
}
