//! What every table promises, on SQLite and on PostgreSQL, with writers in parallel.

mod api_documents;
mod api_keys;
mod apis;
mod applications;
mod certificates;
mod connections;
mod deny_rules;
mod families;
mod grants;
mod mapped_clients;
mod proven_grants;
mod slots;
mod tables;
mod turns;
mod usage;

use std::future::Future;

use api_manager::bootstrap::MIGRATIONS;
use api_manager::domain::api::caching::Caching;
use api_manager::domain::api::transform::{Edits, Transforms};
use api_manager::domain::api::transport::{BackendTls, Protocol, Transport};
use api_manager::domain::api::upstream::{Balance, CircuitBreaker, Ejection, HealthCheck, Retries};
use api_manager::domain::api::{
    Api, Backend, Backends, Cors, Definition, Draft, Operation, OperationAuth, Timeouts, Visibility,
};
use api_manager::domain::application::{self, Application};
use api_manager::domain::lifecycle::State;
use api_manager::domain::scheme::{Scheme, Schemes};
use api_manager::domain::subscription::Subscription;
use api_manager::storage::{apis as api_table, applications as application_table, subscriptions};
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, Database, DatabaseUrl, StorageError};
use tempfile::TempDir;
use test_support::Stage;

/// A migrated database of the test's own.
pub(crate) struct Store {
    pub(crate) database: Database,
    _data: TempDir,
}

impl Store {
    pub(crate) async fn on(stage: Stage) -> Self {
        let data = TempDir::new().unwrap();
        let url = DatabaseUrl::parse(&stage.database_url().await, data.path()).unwrap();
        let database = Database::open_and_migrate(&url, 8, MIGRATIONS).await.unwrap();
        Self { database, _data: data }
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.database.write(work).await
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        self.database.read(work).await.unwrap()
    }

    pub(crate) async fn keeps_api(&self, api: Api) -> Api {
        let kept = api.clone();
        self.write(move |c| api_table::insert(c, &kept)).await.unwrap();
        api
    }

    pub(crate) async fn keeps_application(&self, owner: &str, name: &str) -> Application {
        let application = application(owner, name);
        let kept = application.clone();
        self.write(move |c| application_table::insert(c, &kept)).await.unwrap();
        application
    }

    pub(crate) async fn subscribes(&self, application: &Application, api: &Api) -> Subscription {
        let subscription =
            Subscription::open(application.id, api, "Unlimited".to_owned(), UnixTime(5)).unwrap();
        let kept = subscription.clone();
        self.write(move |c| subscriptions::insert(c, &kept)).await.unwrap();
        subscription
    }
}

/// Runs twenty writers at once and says how each of them ended.
pub(crate) async fn twenty<T, F>(mut writer: impl FnMut(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = (0..20).map(|place| tokio::spawn(writer(place))).collect();
    let mut ended = Vec::new();
    for writer in running {
        ended.push(writer.await.unwrap());
    }
    ended
}

pub(crate) fn application(owner: &str, name: &str) -> Application {
    let draft = application::Draft { name: name.to_owned(), ..application::Draft::default_application() };
    draft.into_application(owner.to_owned(), UnixTime(3))
}

fn transforms(word: &str) -> Transforms {
    let pair = |name: &str| vec![(name.to_owned(), word.to_owned())];
    let edits = || Edits { set: pair("x-a"), add: pair("x-b"), remove: vec!["x-c".to_owned()] };
    Transforms { request_headers: edits(), query: edits(), response_headers: edits() }
}

/// A published API whose every member differs from its default.
pub(crate) fn api(context: &str, version: &str) -> Api {
    let operation = |method: &str, path: &str, scopes: &str, auth| Operation {
        scopes: ScopeSet::parse(scopes).unwrap(),
        auth,
        rewrite: Some("/v2/{id}".to_owned()),
        transforms: transforms("op"),
        cache: Some(Caching { ttl_seconds: Some(5), max_body: 6 }),
        ..Operation::new(method, path)
    };
    let definition = Definition {
        description: "two\nlines, \"quoted\"".to_owned(),
        backends: Backends {
            production: vec![
                "https://a.example".into(),
                Backend { url: "https://b.example/x".to_owned(), weight: 0 },
            ],
            sandbox: vec!["http://s.example".into()],
            balance: Balance::LeastConnections,
            ejection: Ejection { failures: 0, seconds: 7 },
            health_check: Some(HealthCheck::at("/health".to_owned())),
            retries: Retries { attempts: 3, budget_percent: 5 },
            circuit_breaker: CircuitBreaker { max_requests: Some(9), max_pending: None },
        },
        operations: vec![
            operation("GET", "/cats/{id}", "read cats:read", OperationAuth::Token),
            operation("*", "/open/*", "", OperationAuth::None),
            operation("POST", "/", "write", OperationAuth::Application),
        ],
        tiers: vec!["Unlimited".to_owned(), "Gold".to_owned()],
        tags: vec!["Tiere".to_owned(), "猫".to_owned()],
        visibility: Visibility::Private,
        cors: Some(Cors {
            allow_origins: vec!["https://app.example".to_owned()],
            allow_headers: vec!["X-A".to_owned()],
            allow_credentials: true,
        }),
        security: Schemes::of(&Scheme::ALL),
        backend_jwt: true,
        backend_jwt_header: Some("x-caller".to_owned()),
        transforms: transforms("all"),
        max_tps: Some(7),
        limit_tier: Some("Gold".to_owned()),
        timeouts: Timeouts { connect: 1_000, first_byte: 2_000, idle: 3_000 },
        forward_authorization: true,
        default_version: true,
        mock: true,
        validate_requests: true,
        transport: Transport {
            protocol: Protocol::Http2,
            tls: Some(BackendTls {
                ca: vec!["-----BEGIN CERTIFICATE-----".to_owned()],
                pinned_keys: vec![Digest::of(b"key")],
                server_name: Some("inner.example".to_owned()),
            }),
        },
    };
    let draft = Draft {
        name: format!("API of {context}"),
        context: context.to_owned(),
        version: version.to_owned(),
        definition,
    };
    Api { state: State::Published, ..draft.into_api("owner".to_owned(), UnixTime(1)) }
}
