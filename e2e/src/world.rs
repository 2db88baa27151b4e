//! Both servers in this process, on ports of the system's choice, with data directories that end with the world.

use std::path::Path;
use std::sync::Arc;

use shared_claims::clock::Clock;
use shared_server::database::DatabaseUrl;
use tempfile::TempDir;
use uuid::Uuid;

use crate::actors::{Administrator, Application, Client, Developer, Publisher};
use crate::backend::Backend;
use crate::client::Http;
use crate::idp::Idp;

/// The administrator's password of every server of a world.
pub const ADMIN_PASSWORD: &str = "admin";

/// Where the parts of a world answer; actors hold it.
#[derive(Clone, Debug)]
pub struct Places {
    /// The identity server, `https://…` without a slash at the end; empty where the world has none.
    pub identity: String,
    /// The API manager's token endpoint and management REST.
    pub manager: String,
    /// The gateway.
    pub gateway: String,
}

/// Both servers, a backend, and what actors need to reach them. Stops the servers when it is dropped, for which the
/// runtime has to have several threads.
pub struct World {
    /// What the servers and the identity provider take for the time.
    pub clock: Clock,
    /// The backend of the APIs.
    pub backend: Backend,
    /// The client that all actors share.
    pub http: Http,
    places: Arc<Places>,
    identity: Option<identity_server::Running>,
    manager: Option<api_manager::Running>,
    manager_settings: api_manager::Settings,
    _data: TempDir,
}

/// Which databases a world uses, as URLs; `sqlite://…` counts from the server's data directory.
#[derive(Clone, Debug)]
pub struct Databases {
    /// The identity server's; a world without one runs the API manager only.
    pub identity: Option<String>,
    /// The API manager's.
    pub manager: String,
}

impl World {
    /// Starts the servers. They accept connections when this returns.
    ///
    /// # Panics
    /// One of them does not start.
    pub async fn start(databases: Databases, clock: Clock) -> Self {
        let data = TempDir::new().expect("a temporary directory");
        let identity = match &databases.identity {
            Some(url) => Some(start_identity_server(&data.path().join("identity-server"), url, &clock).await),
            None => None,
        };
        let manager_dir = data.path().join("api-manager");
        let mut settings = api_manager::Settings::for_tests(&manager_dir);
        settings.database_url = database(&databases.manager, &manager_dir);
        let manager = start_manager(&settings, &clock).await;
        // A restart has to answer where the actors left off.
        (settings.listen, settings.gateway_listen) = (manager.management, manager.gateway);
        settings.gateway_http_listen = manager.gateway_http;

        let places = Places {
            identity: identity
                .as_ref()
                .map(|running| format!("https://{}", running.address))
                .unwrap_or_default(),
            manager: format!("https://{}", manager.management),
            gateway: format!("https://{}", manager.gateway),
        };
        Self {
            clock,
            backend: Backend::start().await.expect("a free port for the backend"),
            http: Http::new(),
            places: Arc::new(places),
            identity,
            manager: Some(manager),
            manager_settings: settings,
            _data: data,
        }
    }

    /// Where everything answers.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Stops the API manager and starts it again on the same data and ports.
    ///
    /// # Panics
    /// It does not start.
    pub async fn restarts_the_manager(&mut self) {
        if let Some(manager) = self.manager.take() {
            manager.stop().await;
        }
        self.manager = Some(start_manager(&self.manager_settings, &self.clock).await);
    }

    /// Who trusts identity providers and revokes.
    #[must_use]
    pub fn administrator(&self) -> Administrator {
        Administrator::new(&self.http, &self.places)
    }

    /// Who publishes APIs.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher::new(&self.http, &self.places)
    }

    /// Who has applications.
    #[must_use]
    pub fn developer(&self) -> Developer {
        Developer::new(&self.http, &self.places)
    }

    /// An identity provider that the API manager trusts, with a name that nobody else has.
    pub async fn trusted_idp(&self) -> Idp {
        let idp = self.strange_idp();
        self.administrator().trusts(&idp).await;
        idp
    }

    /// An identity provider that nobody trusts yet.
    #[must_use]
    pub fn strange_idp(&self) -> Idp {
        let tag = Uuid::now_v7().simple();
        Idp::new(&format!("https://{tag}.example"), &format!("client-{tag}"), &self.clock)
    }

    /// Publishes an API `/{context}/1.0` in front of the backend, and subscribes a new application with keys to it.
    pub async fn subscribed_application(&self, context: &str) -> Application {
        let api = self.publisher().publishes(context, &self.backend.url()).await;
        let application = self.developer().registers(&format!("{context}-app")).await;
        self.developer().subscribes(&application, &api).await;
        application
    }

    /// A client of the identity server whose people may sign in with their passwords.
    pub async fn client(&self) -> Client {
        Client::register(&self.http, &self.places).await
    }
}

impl Drop for World {
    /// A server that nobody stops would go on, with its threads and its connections to the database, until the
    /// process of the tests ends.
    fn drop(&mut self) {
        let (manager, identity) = (self.manager.take(), self.identity.take());
        if manager.is_none() && identity.is_none() {
            return;
        }
        // Without an idle connection of ours they have nothing to wait for.
        self.http = Http::new();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                if let Some(manager) = manager {
                    manager.stop().await;
                }
                if let Some(identity) = identity {
                    identity.stop().await;
                }
            });
        });
    }
}

async fn start_identity_server(data_dir: &Path, url: &str, clock: &Clock) -> identity_server::Running {
    let mut settings = identity_server::Settings::for_tests(data_dir);
    settings.database_url = database(url, data_dir);
    match Box::pin(identity_server::run(settings, clock.clone())).await {
        Ok(running) => running,
        Err(why) => panic!("the identity server does not start: {why}"),
    }
}

async fn start_manager(settings: &api_manager::Settings, clock: &Clock) -> api_manager::Running {
    match Box::pin(api_manager::run(settings.clone(), clock.clone())).await {
        Ok(running) => running,
        Err(why) => panic!("the API manager does not start: {why}"),
    }
}

fn database(url: &str, data_dir: &Path) -> DatabaseUrl {
    DatabaseUrl::parse(url, data_dir).expect("a database URL")
}
