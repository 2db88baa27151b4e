//! Starting, stopping and starting again.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use api_manager::{Settings, StartError};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shared_claims::clock::Clock;
use tempfile::TempDir;

use super::{As, Manager, api, connector};

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_the_remedy() {
    let data = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for setting in ["API_MANAGER_LISTEN", "gateway"] {
        let mut settings = Settings::for_tests(&data.path().join("data"));
        let address = taken.local_addr().unwrap();
        match setting {
            "gateway" => settings.gateway_listen = address,
            _ => settings.listen = address,
        }

        let refused = Box::pin(api_manager::run(settings, Clock::System)).await.err().unwrap();

        assert!(matches!(refused, StartError::Listen { .. } | StartError::Gateway(_)));
        assert!(
            refused.to_string().contains(&address.to_string()) && refused.to_string().contains(setting),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_made_up_once_and_what_was_made_stays() {
    let data = TempDir::new().unwrap();
    let mut settings = Settings::for_tests(&data.path().join("data"));
    settings.admin_password = None;
    let first = Box::pin(api_manager::run(settings.clone(), Clock::System)).await.unwrap();
    let password = first.administrator_password.clone().unwrap();
    assert!(password.expose().len() >= 20);
    let mode = std::fs::metadata(&settings.data_dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    first.stop().await;

    let again = Box::pin(api_manager::run(settings.clone(), Clock::System)).await.unwrap();
    assert!(again.administrator_password.is_none());
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_live_and_ready_and_counts() {
    let manager = Manager::start().await;
    assert_eq!(manager.get(&As::nobody(), "/health/live").await.expect(200)["status"], "live");
    assert_eq!(manager.get(&As::nobody(), "/health/ready").await.expect(200)["status"], "ready");
    assert_eq!(manager.get(&As::nobody(), "/metrics").await.status, 200);
    assert_eq!(manager.get(&As::nobody(), "/docs").await.status, 308);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_when_the_server_stops_and_idle_connections_are_not_waited_for() {
    let manager = Manager::start().await;
    manager.api("idle").await;
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    let whole = api("slow").to_string();
    let (head, tail) = whole.split_at(20);
    let pieces =
        [Ok::<_, std::convert::Infallible>(Bytes::from(head.to_owned())), Ok(Bytes::from(tail.to_owned()))];
    let mut finished = Some(finished);
    let body = StreamBody::new(stream::iter(pieces.into_iter().enumerate()).then(move |(place, piece)| {
        let wait = if place == 1 { finished.take() } else { None };
        async move {
            if let Some(wait) = wait {
                wait.await.unwrap();
            }
            piece.map(Frame::data)
        }
    }));
    let request = manager
        .request(&As::admin(), Method::POST, "/api/v1/apis")
        .header("content-type", "application/json");
    let client = Client::builder(TokioExecutor::new()).build(connector());
    let answer = tokio::spawn(client.request(request.body(Box::pin(body)).unwrap()));

    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let stopping = tokio::spawn(manager.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    finish.send(()).unwrap();

    assert_eq!(answer.await.unwrap().unwrap().status(), 201);
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
