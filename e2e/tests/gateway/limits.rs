//! Limits are exact, also when everybody comes at once.

use futures_util::future::join_all;
use serde_json::json;

use super::{Inside, read_and_write};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_calls_at_once_a_limit_of_five_a_minute_lets_five_pass() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let developer = inside.world.developer();
    let tier = json!({ "name": "Five", "requests": 5, "per_seconds": 60 });
    let _ = developer.posts("tiers", &tier).await.expect(201);
    let limited = developer
        .registers_with(&json!({ "name": "limited", "tier": "Five" }), &[e2e::actors::JWT_BEARER])
        .await;
    developer.subscribes(&limited, &inside.api).await;
    let token = limited.exchanges(&inside.idp.sign_for("alice")).await.token();

    let answers = join_all((0..200).map(|_| limited.calls("/pets/1.0/cats", &token))).await;

    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((passed.len(), inside.world.backend.reached()), (5, 5));
    for answer in refused {
        assert_eq!(answer.refusal(), (429, "900803".into()));
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds <= 60));
    }
    // Another application is none of its business.
    assert_eq!(inside.calls("/pets/1.0/cats").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_callers_share_the_limits_of_an_operation_and_of_an_api() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let three = json!({ "name": "Three", "requests": 3, "per_seconds": 60 });
    let _ = inside.world.developer().posts("tiers", &three).await.expect(201);
    let operations = json!([
        { "method": "GET", "path": "/cats", "tier": "Three" },
        { "method": "GET", "path": "/*" },
    ]);
    inside.world.publisher().changes(&inside.api, &json!({ "operations": operations })).await;
    let bob = inside.application.exchanges(&inside.idp.sign_for("bob")).await.token();

    let calls = (0..20).map(|number| {
        inside.application.calls("/pets/1.0/cats", if number % 2 == 0 { &inside.token } else { &bob })
    });
    let refusals: Vec<_> = join_all(calls).await.iter().map(e2e::client::Answer::refusal).collect();
    assert_eq!(refusals.iter().filter(|refusal| **refusal == (429, "900802".into())).count(), 17);
    assert_eq!(inside.calls("/pets/1.0/dogs").await.status, 200);

    inside.world.publisher().changes(&inside.api, &json!({ "limit_tier": "Three" })).await;
    let statuses: Vec<u16> = join_all((0..10).map(|_| inside.calls("/pets/1.0/dogs")))
        .await
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
}
