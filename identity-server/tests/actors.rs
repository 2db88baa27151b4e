//! A server under test and those who call it, each with exactly its own credentials.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use identity_server::{Running, Settings};
use serde_json::{Value, json};
use shared_claims::clock::{Clock, UnixTime};
use shared_server::database::DatabaseUrl;
use shared_server::outbound::{Connector, OutboundPolicy};
use tempfile::TempDir;
use test_support::Stage;

/// A server on a port of its own, with a clock that the test moves.
pub(crate) struct Server {
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    running: Option<Running>,
    http: Client<Connector, Full<Bytes>>,
    base: String,
    _dir: TempDir,
}

/// Who sends a request.
#[derive(Clone)]
pub(crate) enum As<'a> {
    Nobody,
    Admin,
    Basic(&'a str, &'a str),
    Bearer(&'a str),
}

/// A registered client.
#[derive(Clone)]
pub(crate) struct OAuthClient {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and `error` of an OAuth refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    /// The fields that a problem blames.
    pub(crate) fn blamed(&self) -> Vec<String> {
        assert_eq!((self.status, self.header("content-type")), (422, "application/problem+json"), "{self:?}");
        let errors = self.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn str(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned()
    }

    /// The claims of the access token.
    pub(crate) fn claims(&self) -> Value {
        part(&self.str("access_token"), 1)
    }
}

/// A part of a JWT.
pub(crate) fn part(token: &str, place: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(place).unwrap()).unwrap()).unwrap()
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn on(stage: Stage) -> Self {
        let url = stage.database_url().await;
        Self::start_with(|settings| {
            settings.database_url = DatabaseUrl::parse(&url, &settings.data_dir).unwrap()
        })
        .await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::for_tests(dir.path());
        change(&mut settings);
        let clock = Clock::manual(UnixTime(Clock::System.now().0));
        let running = identity_server::run(settings.clone(), clock.clone()).await.unwrap();
        let policy = OutboundPolicy {
            allow_private: true,
            verify_tls: false,
            ca: None,
            connect_timeout: std::time::Duration::from_secs(5),
        };
        let http = Client::builder(TokioExecutor::new()).build(Connector::new(policy, false).unwrap());
        let base = format!("https://{}", running.address);
        Self { clock, settings, running: Some(running), http, base, _dir: dir }
    }

    /// Stops the server and starts it again on what it left behind.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let running = identity_server::run(self.settings.clone(), self.clock.clone()).await.unwrap();
        self.base = format!("https://{}", running.address);
        self.running = Some(running);
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        who: As<'_>,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let basic =
            |name: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
        let authorization = match who {
            As::Nobody => None,
            As::Admin => Some(basic("admin", "admin")),
            As::Basic(name, secret) => Some(basic(name, secret)),
            As::Bearer(token) => Some(format!("Bearer {token}")),
        };
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.http.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status < 500 || status == 503, "{status} {body:?}");
        Reply { status, headers, text: String::from_utf8_lossy(&body).into_owned() }
    }

    pub(crate) async fn get(&self, path: &str, who: As<'_>) -> Reply {
        self.send("GET", path, who, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str, who: As<'_>) -> Reply {
        self.send("DELETE", path, who, &[], "").await
    }

    pub(crate) async fn put_json(
        &self,
        path: &str,
        who: As<'_>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send("PUT", path, who, &headers, body.to_string()).await
    }

    pub(crate) async fn post_json(&self, path: &str, who: As<'_>, body: Value) -> Reply {
        self.send("POST", path, who, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn scim(&self, method: &str, path: &str, body: Value) -> Reply {
        let headers = [("content-type", "application/scim+json")];
        self.send(method, &format!("/scim/v2{path}"), As::Admin, &headers, body.to_string()).await
    }

    pub(crate) async fn post_form(&self, path: &str, who: As<'_>, form: &[(&str, &str)]) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", path, who, &headers, encode(form)).await
    }

    /// Registers a client with the password, refresh and client credentials grants.
    pub(crate) async fn registers(&self, extra: Value) -> OAuthClient {
        let mut body = json!({"client_name": "shop", "grant_types": ["password", "refresh_token", "client_credentials"]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let reply = self.post_json("/api/v1/clients", As::Admin, body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        OAuthClient { id: reply.str("client_id"), secret: reply.str("client_secret") }
    }

    /// Makes a user with the password `password-of-NAME`; answers its id.
    pub(crate) async fn enrols(&self, name: &str, extra: Value) -> String {
        let mut body = json!({"userName": name, "password": password_of(name)});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let reply = self.scim("POST", "/Users", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.str("id")
    }

    pub(crate) async fn token(&self, client: &OAuthClient, form: &[(&str, &str)]) -> Reply {
        self.post_form("/oauth2/token", As::Basic(&client.id, &client.secret), form).await
    }

    pub(crate) async fn signs_in(&self, client: &OAuthClient, name: &str) -> Reply {
        self.signs_in_for(client, name, "").await
    }

    pub(crate) async fn signs_in_for(&self, client: &OAuthClient, name: &str, scope: &str) -> Reply {
        let password = password_of(name);
        let form =
            [("grant_type", "password"), ("username", name), ("password", &password), ("scope", scope)];
        self.token(client, &form).await
    }

    pub(crate) async fn refreshes(&self, client: &OAuthClient, token: &str) -> Reply {
        self.token(client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub(crate) async fn is_active(&self, client: &OAuthClient, token: &str) -> bool {
        let who = As::Basic(&client.id, &client.secret);
        let reply = self.post_form("/oauth2/introspect", who, &[("token", token)]).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"), "{reply:?}");
        let active = reply.json()["active"].as_bool().unwrap();
        assert!(active || reply.json() == json!({"active": false}));
        active
    }
}

pub(crate) fn password_of(name: &str) -> String {
    format!("password-of-{name}")
}

/// A form body.
pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    form.iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}
