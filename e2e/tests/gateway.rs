//! What the gateway offers to APIs, each feature once as its users meet it; the fine print is tested beside the gateway.

use e2e::actors::{Administrator, Api, Application, Developer, Publisher};
use e2e::client::{Answer, Call, Http};
use e2e::idp::Idp;
use e2e::world::{ADMIN_PASSWORD, Databases, World};
use serde_json::{Value, json};
use shared_claims::clock::Clock;
use test_support::Stage;

use crate::process::Server;

mod backends;
mod decisions;
mod deny_rules;
mod identity;
mod idle;
mod limits;
mod live;
mod memory;
mod openapi;
mod other_clients;
mod protocols;
mod schemes;
mod shaping;
mod ssrf;
mod usage;

/// The API manager as a process of its own, whose memory can be looked at, with one API and a token for it.
struct Outside {
    manager: Server,
    application: Application,
    token: String,
}

impl Outside {
    async fn with_api(context: &str, backend: &str, members: &Value) -> Self {
        let manager = Server::api_manager("sqlite://api-manager.db").await;
        let (http, places) = (Http::new(), manager.places());
        let idp = Idp::new("https://idp.example", "us", &Clock::System);
        Administrator::new(&http, &places).trusts(&idp).await;
        let api = Publisher::new(&http, &places).publishes_with(context, backend, members).await;
        let developer = Developer::new(&http, &places);
        let application = developer.registers("app").await;
        developer.subscribes(&application, &api).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        Self { manager, application, token }
    }
}

/// The API manager in this process, with one API and a token for it.
struct Inside {
    world: World,
    idp: Idp,
    api: Api,
    application: Application,
    subscription: String,
    token: String,
}

impl Inside {
    async fn with_api(context: &str, members: &Value) -> Self {
        let databases = Databases { identity: None, manager: Stage::sqlite().database_url().await };
        let world = World::start(databases, Clock::System).await;
        let idp = world.trusted_idp().await;
        let api = world.publisher().publishes_with(context, &world.backend.url(), members).await;
        let application = world.developer().registers(&format!("{context}-app")).await;
        let subscription = world.developer().subscribes(&application, &api).await;
        let token = application.exchanges(&idp.sign_for("alice")).await.token();
        Self { world, idp, api, application, subscription, token }
    }

    /// `GET` at the gateway with the token.
    async fn calls(&self, path: &str) -> Answer {
        self.application.calls(path, &self.token).await
    }

    /// What the management answers to the administrator.
    async fn asks(&self, path: &str) -> Value {
        let url = format!("{}/api/v1/{path}", self.world.places().manager);
        self.world.http.send(Call::get(url).basic("admin", ADMIN_PASSWORD)).await.expect(200).json()
    }
}

/// Everything may be read and written.
fn read_and_write() -> Value {
    json!({ "operations": [{ "method": "GET", "path": "/*" }, { "method": "PUT", "path": "/*" }] })
}
