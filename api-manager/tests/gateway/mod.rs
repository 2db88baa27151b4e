//! The real gateway on a port of the system's choice, with its storage filled by hand and backends of the tests' own.

mod api_keys;
mod backend;
mod backend_tls;
mod balance;
mod bodies;
mod certificates;
mod compression;
mod cors;
mod decisions;
mod deny;
mod direct_jwt;
mod faults;
mod floods;
mod forwarding;
mod frames;
mod grants;
mod grpc;
mod http2_backends;
mod identity;
mod junk;
mod limits;
mod live;
mod mock;
mod operation_limits;
mod refusals;
mod response_cache;
pub mod secure;
mod smuggling;
mod tables;
mod trace;
mod trailers;
mod transforms;
mod usage;
mod validate;
mod websocket;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use api_manager::app::App;
use api_manager::backend_key::BackendKey;
use api_manager::backend_states::BackendStates;
use api_manager::bootstrap::MIGRATIONS;
use api_manager::changes::{Change, Changes};
use api_manager::decisions::Decisions;
use api_manager::domain::api::{Api, Backends, Definition, Operation, Timeouts};
use api_manager::domain::application::{Application, KeyType};
use api_manager::domain::grant::{AssertionOrigin, Grant, Lineage};
use api_manager::domain::identity_provider::{IdentityProvider, Replay};
use api_manager::domain::ids::{ApiId, ApplicationId, GrantId, IdentityProviderId, SubscriptionId};
use api_manager::domain::lifecycle::State;
use api_manager::domain::openapi::{Document, Syntax};
use api_manager::domain::subscription::{Subscription, SubscriptionState};
use api_manager::gateway::{GatewayHandle, Limits, start_within};
use api_manager::issuers::Issuers;
use api_manager::settings::Settings;
use api_manager::storage::{
    api_documents, apis, applications, grants as stored, identity_providers, revisions, subscriptions,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shared_claims::clock::{Clock, UnixTime};
use shared_claims::opaque::OpaqueToken;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, Secret};
use shared_claims::signature::Algorithm;
use shared_server::administrator::Administrator;
use shared_server::database::{AnyConnection, Database, StorageError};
use shared_server::hashing::HashingPool;
use shared_server::outbound::{Connector, OutboundPolicy};
use shared_server::sealing::MasterKey;
use shared_server::telemetry::Metrics;
use shared_server::tls::Tls;
use tokio::time::{sleep, timeout};

pub const NOW: UnixTime = UnixTime(1_800_000_000);

/// A gateway, what it reads, and a client.
pub struct World {
    pub app: Arc<App>,
    pub gateway: GatewayHandle,
    client: Client<Connector, Full<Bytes>>,
    _dir: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.text).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.code())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_within(Limits::default()).await
    }

    pub async fn start_within(limits: Limits) -> Self {
        Self::start_with(limits, |_| {}).await
    }

    pub async fn start_with(limits: Limits, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::for_tests(dir.path());
        change(&mut settings);
        let database = Database::open_and_migrate(&settings.database_url, 4, MIGRATIONS).await.unwrap();
        let pool = HashingPool::start(1).unwrap();
        let password = Some(Secret::new("admin"));
        let (administrator, _) = Administrator::load_or_create(&database, pool, password).await.unwrap();
        let (changes, notices) = Changes::channel();
        let master = MasterKey::load_or_create(dir.path(), None).unwrap();
        let tls = Tls::open(dir.path(), &master, None, &[], NOW).unwrap();
        let issuers = Issuers::new(&settings).unwrap();
        let backend_key = BackendKey::load_or_create(&database, &master, NOW).await.unwrap();
        let clock = Clock::manual(NOW);
        let app = Arc::new(App {
            settings,
            clock: clock.clone(),
            backend_states: Arc::new(BackendStates::new(clock)),
            exchanges: api_manager::exchanges::Exchanges::on(&database),
            database,
            administrator,
            facts: api_manager::facts::Facts::default(),
            issuers,
            backend_key,
            changes,
            decisions: Decisions::default(),
            metrics: Metrics::new(),
        });
        let gateway = start_within(Arc::clone(&app), notices, tls, limits).await.unwrap();
        Self { app, gateway, client: client(false), _dir: dir }
    }

    /// A world with one API at `/pets/1.0` that goes to `backend`, and a token of a subscribed application.
    pub async fn with_pets(backend: &str) -> (Self, Api, String) {
        Self::with_pets_as(backend, |_| ()).await
    }

    /// The same with the API changed before it is published.
    pub async fn with_pets_as(backend: &str, change: impl FnOnce(&mut Definition)) -> (Self, Api, String) {
        let world = Self::start().await;
        let mut pets = api("pets", backend);
        change(&mut pets.definition);
        let pets = world.publishes(pets).await;
        let token = world.subscribed(&pets).await;
        (world, pets, token)
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.gateway.http_address.unwrap())
    }

    pub async fn writes<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        self.app.database.write(work).await.unwrap()
    }

    /// Writes what the table is compiled from, and tells the gateway.
    pub async fn changes<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let done = self.changes_elsewhere(work).await;
        self.app.changes.announce(Change::Routes).await;
        done
    }

    /// As another process would: nobody tells the gateway.
    pub async fn changes_elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        self.writes(|connection| {
            let done = work(connection)?;
            revisions::bump(connection, "routes")?;
            Ok(done)
        })
        .await
    }

    pub async fn publishes(&self, api: Api) -> Api {
        let row = api.clone();
        self.changes(move |connection| apis::insert(connection, &row)).await;
        api
    }

    /// A published API that acts on an OpenAPI document.
    pub async fn publishes_documented(&self, api: Api, document: &serde_json::Value) -> Api {
        let document = Document::read(document.to_string().as_bytes(), Syntax::Json).unwrap();
        let row = api.clone();
        let write = move |connection: &mut AnyConnection| {
            apis::insert(connection, &row)?;
            api_documents::keep(connection, row.id, &document, NOW)
        };
        self.changes(write).await;
        api
    }

    pub async fn application(&self) -> ApplicationId {
        let id = ApplicationId::generate();
        let application = Application {
            id,
            owner: "dev".to_owned(),
            name: id.to_string(),
            tier: "Unlimited".to_owned(),
            description: String::new(),
            access_token_lifetime: 3_600,
            created_at: NOW,
            updated_at: NOW,
            revision: 1,
        };
        self.changes(move |connection| applications::insert(connection, &application)).await;
        id
    }

    pub async fn subscribes(&self, application: ApplicationId, api: &Api) -> Subscription {
        let subscription = Subscription {
            id: SubscriptionId::generate(),
            application_id: application,
            api_id: api.id,
            tier: "Gold".to_owned(),
            state: SubscriptionState::Active,
            created_at: NOW,
            updated_at: NOW,
            revision: 1,
        };
        let row = subscription.clone();
        self.changes(move |connection| subscriptions::insert(connection, &row)).await;
        subscription
    }

    /// A token of a new application that has subscribed to `api`.
    pub async fn subscribed(&self, api: &Api) -> String {
        let application = self.application().await;
        self.subscribes(application, api).await;
        self.issues(grant(application)).await
    }

    pub async fn issues(&self, mut grant: Grant) -> String {
        let token = OpaqueToken::generate().unwrap();
        grant.access_digest = token.digest();
        self.writes(move |connection| stored::insert(connection, &grant)).await;
        token.expose().to_owned()
    }

    pub async fn trusts(&self, issuer: &str) -> IdentityProvider {
        let provider = IdentityProvider {
            id: IdentityProviderId::generate(),
            name: issuer.to_owned(),
            issuer: issuer.to_owned(),
            alias: "us".to_owned(),
            certificates: Vec::new(),
            jwks_uri: Some("https://idp.example/jwks".to_owned()),
            enabled: true,
            algorithms: vec![Algorithm::RS256],
            replay: Replay::SingleUse,
            max_assertion_lifetime: 86_400,
            scopes: None,
            outlive_assertion: false,
            management: false,
            created_at: NOW,
            updated_at: NOW,
            revision: 1,
        };
        let row = provider.clone();
        self.changes(move |connection| identity_providers::insert(connection, &row)).await;
        provider
    }

    pub async fn calls(&self, path: &str, token: &str) -> Answer {
        self.sends(self.request(Method::GET, path, token)).await
    }

    pub fn request(&self, method: Method, path: &str, token: &str) -> Request<Full<Bytes>> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base()));
        let request = if token.is_empty() {
            request
        } else {
            request.header("authorization", format!("Bearer {token}"))
        };
        request.body(Full::default()).unwrap()
    }

    pub async fn sends(&self, request: Request<Full<Bytes>>) -> Answer {
        self.tries(request).await.unwrap()
    }

    /// An answer, or why there is no complete one.
    pub async fn tries(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = self.client.request(request).await.map_err(|e| format!("{e:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: parts.status, headers: parts.headers, text })
    }
}

pub fn client(alpn_h2: bool) -> Client<Connector, Full<Bytes>> {
    let connect_timeout = std::time::Duration::from_secs(5);
    let policy = OutboundPolicy { allow_private: true, verify_tls: false, ca: None, connect_timeout };
    Client::builder(TokioExecutor::new()).build(Connector::new(policy, alpn_h2).unwrap())
}

/// A published API at `/{context}/1.0` that lets any method at any path through to those with a token.
pub fn api(context: &str, backend: &str) -> Api {
    Api {
        id: ApiId::generate(),
        name: context.to_owned(),
        context: context.to_owned(),
        version: "1.0".to_owned(),
        state: State::Published,
        owner: "publisher".to_owned(),
        definition: Definition {
            backends: Backends { production: vec![backend.into()], ..Backends::default() },
            operations: vec![operation("*", "/*")],
            tiers: vec!["Gold".to_owned()],
            timeouts: Timeouts { connect: 1_000, first_byte: 3_000, idle: 3_000 },
            ..Definition::default()
        },
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
    }
}

pub fn operation(method: &str, path: &str) -> Operation {
    Operation::new(method, path)
}

/// A grant that the application bought for itself.
pub fn grant(application: ApplicationId) -> Grant {
    let id = GrantId::generate();
    Grant {
        id,
        access_digest: Digest::of(b"replaced"),
        refresh: None,
        consumer_key: "key".to_owned(),
        application_id: application,
        key_type: KeyType::Production,
        subject: "key".to_owned(),
        scopes: ScopeSet::default(),
        issued_at: NOW,
        expires_at: NOW.plus(600),
        lineage: Lineage { assertion: None, family: id, parent: None },
        revoked_at: None,
    }
}

/// A grant bought with an assertion about alice.
pub fn grant_for_alice(application: ApplicationId, provider: &IdentityProvider) -> Grant {
    let mut grant = grant(application);
    "alice".clone_into(&mut grant.subject);
    grant.lineage.assertion = Some(AssertionOrigin {
        identity_provider_id: provider.id,
        issuer: provider.issuer.clone(),
        key_thumbprint: "thumbprint".to_owned(),
        jti: Some("jti-1".to_owned()),
        digest: Digest::of(b"assertion"),
    });
    grant
}

/// Waits until it holds, for ten seconds at most.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
