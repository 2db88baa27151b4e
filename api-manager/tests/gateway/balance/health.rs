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
