//! The token endpoint and its neighbours, through the real application, with an identity provider of the test's own.

mod assertions;
mod clients;
// The journeys' identity provider, which signs anything; one source for both.
#[allow(dead_code, reason = "the journeys use the rest of it")]
#[path = "../../../e2e/src/idp.rs"]
pub(crate) mod idp;
mod kept_facts;
mod providers;
mod refreshing;
mod replays;
mod revoking;
mod sweeping;
mod tokens;

use std::sync::{Arc, Mutex};

use actix_web::http::{Method, StatusCode, header};
use actix_web::{test, web};
use api_manager::app::App;
use api_manager::backend_key::BackendKey;
use api_manager::backend_states::BackendStates;
use api_manager::bootstrap::MIGRATIONS;
use api_manager::changes::{Change, Changes};
use api_manager::http::wrapped;
use api_manager::issuers::Issuers;
use api_manager::settings::Settings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared_claims::clock::{Clock, UnixTime};
use shared_claims::oauth::JWT_BEARER;
use shared_server::administrator::Administrator;
use shared_server::database::{Database, DatabaseUrl};
use shared_server::hashing::HashingPool;
use shared_server::health::Health;
use shared_server::sealing::MasterKey;
use shared_server::telemetry::Metrics;
use tempfile::TempDir;
use test_support::Stage;

use idp::Idp;

pub const NOW: UnixTime = UnixTime(1_800_000_000);

/// The application without sockets and without a gateway; what would have been announced is noted.
pub struct World {
    pub app: web::Data<App>,
    pub clock: Clock,
    pub announced: Arc<Mutex<Vec<Change>>>,
    settings: Settings,
    dir: Arc<TempDir>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn member(&self, name: &str) -> String {
        match &self.json()[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// Status, code and description of an OAuth error.
    pub fn refusal(&self) -> (u16, String, String) {
        (self.status.as_u16(), self.member("error"), self.member("error_description"))
    }

    pub fn code(&self) -> (u16, String) {
        (self.status.as_u16(), self.member("error"))
    }
}

/// An application's key.
#[derive(Clone, Debug)]
pub struct Key {
    pub application_id: String,
    pub id: String,
    pub secret: String,
}

impl World {
    pub async fn on(stage: Stage) -> Self {
        let dir = TempDir::new().unwrap();
        let mut settings = Settings::for_tests(dir.path());
        settings.database_url = DatabaseUrl::parse(&stage.database_url().await, dir.path()).unwrap();
        Self::start(settings, Clock::manual(NOW), Arc::new(dir)).await
    }

    pub async fn new() -> Self {
        Self::on(Stage::sqlite()).await
    }

    /// Another process on the same database.
    pub async fn restarted(self) -> Self {
        Self::start(self.settings, self.clock, self.dir).await
    }

    /// A second process beside this one, on the same database.
    pub async fn neighbour(&self) -> Self {
        Self::start(self.settings.clone(), self.clock.clone(), Arc::clone(&self.dir)).await
    }

    async fn start(settings: Settings, clock: Clock, dir: Arc<TempDir>) -> Self {
        let database = Database::open_and_migrate(&settings.database_url, 8, MIGRATIONS).await.unwrap();
        let pool = HashingPool::start(2).unwrap();
        let password = settings.admin_password.clone();
        let (administrator, _) = Administrator::load_or_create(&database, pool, password).await.unwrap();
        let (changes, mut notices) = Changes::channel();
        let announced = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&announced);
        tokio::spawn(async move {
            while let Some(notice) = notices.recv().await {
                heard.lock().unwrap().push(notice.change);
                let _ = notice.done.send(());
            }
        });
        let issuers = Issuers::new(&settings).unwrap();
        let metrics = Metrics::new();
        let master = MasterKey::load_or_create(dir.path(), None).unwrap();
        let backend_key = BackendKey::load_or_create(&database, &master, clock.now()).await.unwrap();
        let kept = settings.clone();
        let app = App {
            settings,
            clock: clock.clone(),
            exchanges: api_manager::exchanges::Exchanges::on(&database),
            database,
            administrator,
            facts: api_manager::facts::Facts::default(),
            issuers,
            backend_key,
            backend_states: Arc::new(BackendStates::new(clock.clone())),
            changes,
            decisions: api_manager::decisions::Decisions::default(),
            metrics,
        };
        Self { app: web::Data::new(app), clock, announced, settings: kept, dir }
    }

    /// Sends a request to the whole application.
    pub async fn send(&self, request: test::TestRequest) -> Answer {
        let health = Health::new(self.app.database.clone(), self.app.metrics.clone());
        let service = test::init_service(wrapped(&self.app, &health)).await;
        let response = test::call_service(&service, request.to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
        Answer { status, headers, text }
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, basic: Option<(&str, &str)>, form: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(form_to(path, basic).set_payload(body)).await
    }

    /// Calls the management REST as the administrator.
    pub async fn manage(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = test::TestRequest::with_uri(path).method(method).insert_header(basic("admin", "admin"));
        self.send(if body.is_null() { request } else { request.set_json(body) }).await
    }

    /// An identity provider that is trusted by its certificate.
    pub async fn trusted_idp(&self) -> Idp {
        let idp = Idp::new("https://idp.example", "client-1", &self.clock);
        self.trusts(&idp, json!({})).await;
        idp
    }

    /// Trusts an identity provider with further fields; answers its id.
    pub async fn trusts(&self, idp: &Idp, further: Value) -> String {
        let mut body = json!({ "name": idp.issuer, "alias": idp.alias, "certificates": [idp.certificate()] });
        body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let answer = self.manage(Method::POST, "/api/v1/identity-providers", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.member("id")
    }

    /// Changes fields of a provider.
    pub async fn changes(&self, id: &str, fields: Value) -> Answer {
        let path = format!("/api/v1/identity-providers/{id}");
        let mut body = self.manage(Method::GET, &path, Value::Null).await.json();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.manage(Method::PUT, &path, body).await
    }

    /// A key of an application that is subscribed to an API with the scopes `read` and `write`.
    pub async fn key(&self) -> Key {
        self.key_for(&[JWT_BEARER, "client_credentials", "refresh_token"]).await
    }

    pub async fn key_for(&self, grant_types: &[&str]) -> Key {
        let tag = uuid::Uuid::now_v7().simple().to_string();
        let operation = json!({ "method": "GET", "path": "/*", "scopes": ["read", "write"] });
        let api = self
            .made("apis", json!({
                "name": tag, "context": tag, "version": "1", "backends": { "production": ["http://127.0.0.1:9"] },
                "operations": [operation], "tiers": ["Unlimited"],
            }))
            .await;
        let publish = format!("/api/v1/apis/{}/lifecycle", api.member("id"));
        self.manage(Method::POST, &publish, json!({ "action": "publish" })).await;
        let application =
            self.made("applications", json!({ "name": tag, "tier": "Unlimited" })).await.member("id");
        let subscription =
            json!({ "application_id": application, "api_id": api.member("id"), "tier": "Unlimited" });
        self.made("subscriptions", subscription).await;
        let keys = json!({ "key_type": "production", "grant_types": grant_types });
        let key = self.made(&format!("applications/{application}/keys"), keys).await;
        Key {
            application_id: application,
            id: key.member("consumer_key"),
            secret: key.member("consumer_secret"),
        }
    }

    async fn made(&self, what: &str, body: Value) -> Answer {
        let answer = self.manage(Method::POST, &format!("/api/v1/{what}"), body).await;
        assert_eq!(answer.status, 201, "{what}: {}", answer.text);
        answer
    }

    pub async fn token(&self, key: &Key, form: &[(&str, &str)]) -> Answer {
        self.post("/oauth2/token", Some((&key.id, &key.secret)), form).await
    }

    pub async fn exchange(&self, key: &Key, assertion: &str) -> Answer {
        self.token(key, &[("grant_type", JWT_BEARER), ("assertion", assertion)]).await
    }

    pub async fn refresh(&self, key: &Key, refresh_token: &str) -> Answer {
        self.token(key, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    pub async fn introspect(&self, token: &str) -> Value {
        let answer = self.post("/oauth2/introspect", Some(("admin", "admin")), &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn is_active(&self, token: &str) -> bool {
        self.introspect(token).await["active"].as_bool().unwrap()
    }
}

pub fn basic(name: &str, secret: &str) -> (header::HeaderName, String) {
    (header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))))
}

/// A form request without its body.
pub fn form_to(path: &str, credentials: Option<(&str, &str)>) -> test::TestRequest {
    let request = test::TestRequest::post()
        .uri(path)
        .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"));
    match credentials {
        Some((name, secret)) => request.insert_header(basic(name, secret)),
        None => request,
    }
}
