//! What was called is counted, and a trace goes on through the gateway.

use std::time::{Duration, Instant};

use e2e::client::Call;

use super::{Inside, read_and_write};

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_operation_and_status_and_their_times_told_on_request() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    for _ in 0..3 {
        let _ = inside.calls("/pets/1.0/cats").await.expect(200);
    }
    let _ = inside.calls("/pets/1.0/status/500").await.expect(500);
    let timed = Call::get(inside.application.gateway("/pets/1.0/cats")).bearer(&inside.token);
    let timed = inside.application.sends_as_is(timed.header("x-server-timing", "1")).await;
    let timing = timed.header("server-timing");
    assert!(timing.contains("gateway;dur=") && timing.contains("backend;dur="), "{timing}");

    let path = format!("usage?by=minute&group=api,operation,status&api_id={}", inside.api.id);
    let deadline = Instant::now() + Duration::from_secs(30);
    let calls = |usage: &serde_json::Value, status: u16| -> u64 {
        let items = usage["items"].as_array().unwrap();
        let of_status = items.iter().filter(|item| item["status"] == status && item["operation"] == "GET /*");
        of_status.map(|item| item["calls"].as_u64().unwrap()).sum()
    };
    loop {
        let usage = inside.asks(&path).await;
        if (calls(&usage, 200), calls(&usage, 500)) == (4, 1) {
            break;
        }
        assert!(Instant::now() < deadline, "{usage}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_passed_on_and_begun_where_there_is_none() {
    let inside = Inside::with_api("pets", &read_and_write()).await;
    let report = inside.calls("/pets/1.0/cats").await.expect(200).json();
    let begun = report["headers"]["traceparent"].as_str().unwrap().to_owned();
    assert_eq!((begun.len(), &begun[..3]), (55, "00-"));

    let url = inside.application.gateway("/pets/1.0/cats");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = Call::get(url)
        .bearer(&inside.token)
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let report = inside.application.sends_as_is(call).await.expect(200).json();
    let passed = report["headers"]["traceparent"].as_str().unwrap();
    assert!(passed.starts_with(&format!("00-{trace}-")) && !passed.contains("00f067aa0ba902b7"), "{passed}");
}
