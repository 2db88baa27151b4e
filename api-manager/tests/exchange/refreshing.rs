//! Refresh tokens: rotation, reuse, the grace of ten seconds, scopes; on both databases.

use actix_web::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::on_every_stage;

use super::{Answer, Key, World};

const REUSED: &str = "The refresh token was used before; its grants are revoked.";

/// A world with a key that has exchanged an assertion for `read write`.
async fn exchanged(stage: test_support::Stage) -> (World, Key, Answer) {
    let world = World::on(stage).await;
    let (idp, key) = (world.trusted_idp().await, world.key().await);
    let assertion = idp.sign_for("alice");
    let form = [
        ("grant_type", shared_claims::oauth::JWT_BEARER),
        ("assertion", &assertion),
        ("scope", "read write"),
    ];
    let pair = world.token(&key, &form).await;
    assert_eq!(pair.status, 200, "{}", pair.text);
    (world, key, pair)
}

on_every_stage! {
    async fn a_refresh_buys_the_next_pair_and_keeps_the_subject(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;

        let second = world.refresh(&key, &first.member("refresh_token")).await;

        assert_eq!((second.status.as_u16(), second.member("scope").as_str()), (200, "read write"));
        assert_ne!(second.member("refresh_token"), first.member("refresh_token"));
        let meaning = world.introspect(&second.member("access_token")).await;
        assert_eq!((&meaning["sub"], &meaning["iss"]), (&json!("alice"), &json!("https://idp.example")));
        assert_eq!(second.json()["expires_in"], 3_600);
        assert!(world.is_active(&first.member("access_token")).await);
    }

    async fn a_spent_token_that_comes_back_ends_its_whole_line(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let second = world.refresh(&key, &first.member("refresh_token")).await;
        world.clock.advance(11);
        world.announced.lock().unwrap().clear();

        let stolen = world.refresh(&key, &first.member("refresh_token")).await;

        assert_eq!(stolen.refusal(), (400, "invalid_grant".to_owned(), REUSED.to_owned()));
        for pair in [&first, &second] {
            assert!(!world.is_active(&pair.member("access_token")).await);
        }
        assert_eq!(world.refresh(&key, &second.member("refresh_token")).await.status, 400);
        assert!(format!("{:?}", world.announced.lock().unwrap()).contains("Family"));
    }

    async fn a_lost_answer_may_be_asked_for_again_within_ten_seconds(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let lost = world.refresh(&key, &first.member("refresh_token")).await;
        world.clock.advance(10);

        let again = world.refresh(&key, &first.member("refresh_token")).await;

        assert_eq!(again.status, 200, "{}", again.text);
        assert!(world.is_active(&again.member("access_token")).await);
        assert!(!world.is_active(&lost.member("access_token")).await, "its place is taken");
        assert_eq!(world.refresh(&key, &again.member("refresh_token")).await.status, 200);
    }

    async fn there_is_no_grace_once_the_successor_was_used(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let second = world.refresh(&key, &first.member("refresh_token")).await;
        let third = world.refresh(&key, &second.member("refresh_token")).await;
        assert_eq!(third.status, 200);

        assert_eq!(world.refresh(&key, &first.member("refresh_token")).await.member("error_description"), REUSED);
        assert!(!world.is_active(&third.member("access_token")).await);
    }

    async fn a_replaced_successor_gives_the_thief_away(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let honest = world.refresh(&key, &first.member("refresh_token")).await;
        let thief = world.refresh(&key, &first.member("refresh_token")).await;
        assert_eq!((honest.status.as_u16(), thief.status.as_u16()), (200, 200));

        assert_eq!(world.refresh(&key, &honest.member("refresh_token")).await.member("error_description"), REUSED);
        assert!(!world.is_active(&thief.member("access_token")).await);
        assert_eq!(world.refresh(&key, &thief.member("refresh_token")).await.status, 400);
    }

    async fn of_ten_at_once_one_pair_remains(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let token = first.member("refresh_token");

        let answers = join_all((0..10).map(|_| world.refresh(&key, &token))).await;

        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let mut alive = 0;
        for answer in &answers {
            alive += usize::from(world.is_active(&answer.member("access_token")).await);
        }
        assert_eq!(alive, 1);
    }

    async fn scopes_narrow_for_one_token_and_never_widen(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let ask = async |token: String, scope: &str| {
            world.token(&key, &[("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", scope)]).await
        };
        let token = first.member("refresh_token");

        assert_eq!(ask(token.clone(), "read fly").await.code(), (400, "invalid_scope".to_owned()));
        let narrow = ask(token, "read").await;
        assert_eq!(narrow.member("scope"), "read");
        let again = ask(narrow.member("refresh_token"), "write read").await;
        assert_eq!(again.member("scope"), "read write");
        assert_eq!(ask(again.member("refresh_token"), "").await.member("scope"), "read write");
    }

    async fn a_scope_that_was_withdrawn_is_not_granted_again(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let list = world.manage(Method::GET, "/api/v1/identity-providers", Value::Null).await;
        let id = list.json()["items"][0]["id"].as_str().unwrap().to_owned();

        world.changes(&id, json!({ "scopes": ["read"] })).await;
        let second = world.refresh(&key, &first.member("refresh_token")).await;
        assert_eq!(second.member("scope"), "read");
        world.changes(&id, json!({ "scopes": [] })).await;
        let third = world.refresh(&key, &second.member("refresh_token")).await;
        assert_eq!(third.code(), (400, "invalid_scope".to_owned()));
        world.changes(&id, json!({ "scopes": null })).await;
        assert_eq!(world.refresh(&key, &second.member("refresh_token")).await.member("scope"), "read write");
    }

    async fn a_refresh_token_is_bound_to_its_key_and_its_time(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let other = world.key().await;
        let token = first.member("refresh_token");
        let invalid = (400, "invalid_grant".to_owned(), "The refresh token is invalid.".to_owned());

        assert_eq!(world.refresh(&other, &token).await.refusal(), invalid);
        for junk in ["junk", "00000000-0000-0000-0000-000000000000", &first.member("access_token")] {
            assert_eq!(world.refresh(&key, junk).await.refusal(), invalid);
        }
        world.clock.advance(86_399);
        let second = world.refresh(&key, &token).await;
        assert_eq!(second.status, 200, "{}", second.text);
        world.clock.advance(86_400);
        let late = world.refresh(&key, &second.member("refresh_token")).await;
        assert_eq!(late.member("error_description"), "The refresh token has expired.");
    }

    async fn a_line_ends_after_thirty_days_however_busy(stage: test_support::Stage) {
        let (world, key, first) = exchanged(stage).await;
        let mut token = first.member("refresh_token");
        for _ in 0..30 {
            world.clock.advance(86_000);
            token = world.refresh(&key, &token).await.member("refresh_token");
            assert!(!token.is_empty());
        }
        world.clock.advance(12_000);
        let late = world.refresh(&key, &token).await;
        assert_eq!(late.member("error_description"), "The refresh token has expired.");
    }
}
