//! Backends that are asked how they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api_manager::backend_states::Condition;
use api_manager::domain::api as domain;
use api_manager::domain::api::upstream::HealthCheck;
use http::Response;
use tokio::time::sleep;

use super::{balanced, eventually};
use crate::gateway::api;
use crate::gateway::backend::{Backend, full};

/// Answers health checks as told, and everything else well.
async fn moody(is_well: &Arc<AtomicBool>) -> Backend {
    let is_well = Arc::clone(is_well);
    Backend::serving(move |request| {
        let is_ill = request.uri() == "/health?deep=1" && !is_well.load(Ordering::SeqCst);
        async move {
            let mut response = Response::new(full("well"));
            if is_ill {
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            }
            response
        }
    })
    .await
}

fn checked(backends: &mut domain::Backends) {
    let check = HealthCheck::at("/health?deep=1".to_owned());
    backends.health_check =
        Some(HealthCheck { interval_seconds: 1, healthy_after: 1, unhealthy_after: 1, ..check });
}

#[tokio::test]
async fn health_checks_take_a_backend_out_and_bring_it_back() {
    let is_well = Arc::new(AtomicBool::new(false));
    let (moody, other) = (moody(&is_well).await, Backend::echo().await);
    let (world, pets, token) = balanced(&[&moody.url, &other.url], checked).await;
    let condition = || world.report(&pets, &moody.url).condition;
    let answers = async || {
        let mut well = 0;
        for _ in 0..4 {
            let answer = world.calls("/pets/1.0/", &token).await;
            assert_eq!(answer.status, 200);
            well += usize::from(answer.text == "well");
        }
        well
    };

    eventually("it is found ill", || condition() == Condition::Unhealthy).await;
    assert_eq!(answers().await, 0);
    is_well.store(true, Ordering::SeqCst);
    eventually("it is found well", || condition() == Condition::Healthy).await;
    assert_eq!(answers().await, 2);
}

#[tokio::test]
async fn backends_of_others_that_let_one_wait_do_not_hold_up_a_check() {
    let silent = Backend::talking(async |stream| {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let moody = moody(&Arc::default()).await;
    let (world, pets, _) = balanced(&[&moody.url], |_| ()).await;
    for n in 0..14 {
        let mut theirs = api(&format!("theirs{n}"), "");
        let url = |n: usize| format!("{}/{n}", silent.url).as_str().into();
        theirs.definition.backends.production = (0..10).map(url).collect();
        theirs.definition.backends.health_check =
            Some(HealthCheck { interval_seconds: 1, timeout_seconds: 60, ..HealthCheck::at("/".to_owned()) });
        world.publishes(theirs).await;
    }
    eventually("all are being asked", || silent.hits() >= 14 * 8).await;

    let pets = world.replaces(&pets, checked).await;

    eventually("it is found ill", || world.report(&pets, &moody.url).condition == Condition::Unhealthy).await;
    assert_eq!(silent.hits(), 14 * 8, "no API holds more than eight");
}

#[tokio::test]
async fn where_all_are_unhealthy_calls_are_503_until_the_checks_end() {
    let is_well = Arc::new(AtomicBool::new(false));
    let moody = moody(&is_well).await;
    let (world, pets, token) = balanced(&[&moody.url], checked).await;
    eventually("it is found ill", || world.report(&pets, &moody.url).condition == Condition::Unhealthy).await;

    let refused = world.calls("/pets/1.0/", &token).await;
    assert_eq!((refused.refusal(), refused.header("retry-after")), ((503, "303001".to_owned()), "1"));
    assert!(!refused.text.contains(&moody.url));

    let pets = world.replaces(&pets, |backends| backends.retries.attempts = 0).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.refusal(), (503, "303001".to_owned()));
    world.replaces(&pets, |backends| backends.health_check = None).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, 200);
    let asked = moody.hits();
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(moody.hits(), asked, "a check goes on though no table has it");
}
