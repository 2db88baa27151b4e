//! The management REST through the running server, over TLS.

mod actors;
mod api_fields;
mod api_keys;
mod api_shaping;
mod apis;
mod applications;
mod backend_states;
mod backend_tls;
mod callers;
mod certificates;
mod decisions;
mod deleting;
mod deny_rules;
mod mapped_clients;
mod openapi;
mod other_fields;
mod starting;
mod subscriptions;
mod usage;
mod versions;

use std::time::Duration;

use api_manager::{Running, Settings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use shared_claims::clock::Clock;
use shared_server::database::DatabaseUrl;
use shared_server::outbound::{Connector, OutboundPolicy};
use tempfile::TempDir;
use test_support::Stage;

/// A running server, its data, and a client.
pub(crate) struct Manager {
    running: Running,
    base: String,
    client: Client<Connector, Full<Bytes>>,
    _data: TempDir,
}

/// Who calls: nothing, or the value of an `Authorization` header.
#[derive(Clone, Debug)]
pub(crate) struct As(pub(crate) Option<String>);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl As {
    pub(crate) fn admin() -> Self {
        Self::basic("admin", "admin")
    }

    pub(crate) fn basic(name: &str, password: &str) -> Self {
        Self(Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))))
    }

    pub(crate) fn nobody() -> Self {
        Self(None)
    }
}

/// Makes connections that take any certificate.
pub(crate) fn connector() -> Connector {
    let policy = OutboundPolicy {
        allow_private: true,
        verify_tls: false,
        ca: None,
        connect_timeout: Duration::from_secs(10),
    };
    Connector::new(policy, false).unwrap()
}

impl Manager {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn on(stage: Stage) -> Self {
        let url = stage.database_url().await;
        Self::start_with(|settings| {
            settings.database_url = DatabaseUrl::parse(&url, &settings.data_dir).unwrap();
            settings.database_connections = 8;
        })
        .await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let data = TempDir::new().unwrap();
        let mut settings = Settings::for_tests(&data.path().join("data"));
        change(&mut settings);
        let running = Box::pin(api_manager::run(settings, Clock::System)).await.unwrap();
        let client = Client::builder(TokioExecutor::new()).build(connector());
        Self { base: format!("https://{}", running.management), running, client, _data: data }
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }

    pub(crate) async fn send_raw(&self, request: Request<Full<Bytes>>) -> (u16, Bytes) {
        let answer = self.client.request(request).await.unwrap();
        (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
    }

    /// The status that the gateway answers with.
    pub(crate) async fn calls(&self, path: &str) -> u16 {
        let url = format!("http://{}{path}", self.running.gateway_http.unwrap());
        self.send_raw(Request::get(url).body(Full::default()).unwrap()).await.0
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let answer = self.client.request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }

    pub(crate) fn request(&self, caller: &As, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        match &caller.0 {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    }

    pub(crate) async fn get(&self, caller: &As, path: &str) -> Answer {
        self.send(self.request(caller, Method::GET, path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn delete(&self, caller: &As, path: &str) -> Answer {
        self.send(self.request(caller, Method::DELETE, path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn post(&self, caller: &As, path: &str, body: Value) -> Answer {
        self.send_json(self.request(caller, Method::POST, path), body).await
    }

    pub(crate) async fn put(&self, caller: &As, path: &str, body: Value) -> Answer {
        self.send_json(self.request(caller, Method::PUT, path), body).await
    }

    pub(crate) async fn put_if(&self, tag: &str, path: &str, body: Value) -> Answer {
        self.send_json(self.request(&As::admin(), Method::PUT, path).header("if-match", tag), body).await
    }

    pub(crate) async fn delete_if(&self, tag: &str, path: &str) -> Answer {
        let request = self.request(&As::admin(), Method::DELETE, path).header("if-match", tag);
        self.send(request.body(Full::default()).unwrap()).await
    }

    pub(crate) async fn send_json(&self, request: http::request::Builder, body: Value) -> Answer {
        let request = request.header("content-type", "application/json");
        self.send(request.body(Full::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn token(&self, pair: &(String, String), grant_type: &str) -> Answer {
        let request = self.request(&As::basic(&pair.0, &pair.1), Method::POST, "/oauth2/token");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Full::from(format!("grant_type={grant_type}"))).unwrap()).await
    }

    /// An API of the administrator's, created.
    pub(crate) async fn api(&self, context: &str) -> Value {
        self.post(&As::admin(), "/api/v1/apis", api(context)).await.made()
    }

    pub(crate) async fn acts(&self, caller: &As, api: &Value, action: &str) -> Answer {
        let path = format!("/api/v1/apis/{}/lifecycle", api["id"].as_str().unwrap());
        self.post(caller, &path, json!({ "action": action })).await
    }

    /// An API of the administrator's, published.
    pub(crate) async fn published(&self, context: &str) -> Value {
        let api = self.api(context).await;
        self.acts(&As::admin(), &api, "publish").await.expect(200)
    }

    pub(crate) async fn application(&self, caller: &As, name: &str) -> Value {
        self.post(caller, "/api/v1/applications", json!({"name": name, "tier": "Unlimited"})).await.made()
    }

    pub(crate) async fn subscribes(&self, caller: &As, application: &Value, api: &Value) -> Answer {
        let body = json!({"application_id": application["id"], "api_id": api["id"], "tier": "Gold"});
        self.post(caller, "/api/v1/subscriptions", body).await
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }

    /// What a creation answers: 201, where it is, and its version.
    #[track_caller]
    pub(crate) fn made(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.json);
        assert!(self.header("location").starts_with("/api/v1/"), "{:?}", self.headers);
        assert_eq!(self.header("etag"), "\"1\"");
        self.json
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields that are blamed.
    pub(crate) fn blamed(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    pub(crate) fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(self.json.to_string().contains(words), "{words}: {}", self.json);
    }

    #[track_caller]
    pub(crate) fn assert_blames(&self, field: &str) {
        assert_eq!(self.status, 422, "{field}: {}", self.json);
        assert!(self.blamed().contains(&field), "{field}: {}", self.json);
        let errors = self.json["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()));
    }
}

/// A good API.
pub(crate) fn api(context: &str) -> Value {
    json!({
        "name": format!("API {context}"),
        "context": context,
        "version": "1.0.0",
        "backends": {"production": ["http://127.0.0.1:1"]},
        "operations": [{"method": "GET", "path": "/*"}],
        "tiers": ["Unlimited", "Gold"],
    })
}

/// The same value with one member replaced; `path` may point into objects and lists.
pub(crate) fn with(mut value: Value, path: &str, member: Value) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = if parent.is_empty() { String::new() } else { format!("/{parent}") };
    let target = value.pointer_mut(&parent).unwrap();
    match target {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = member,
        other => other[name] = member,
    }
    value
}

/// The path of a resource.
pub(crate) fn at(collection: &str, resource: &Value) -> String {
    format!("/api/v1/{collection}/{}", resource["id"].as_str().unwrap())
}
