//! What the gateway offers to APIs, each feature once as its users meet it; the fine print is tested beside the gateway.

use std::sync::Arc;

use e2e::actors::{Administrator, Application, Developer, Publisher};
use e2e::client::Http;
use e2e::idp::Idp;
use e2e::world::Places;
use serde_json::Value;
use shared_claims::clock::Clock;

use crate::process::Server;

mod memory;
mod other_clients;

/// The API manager as a process of its own, whose memory can be looked at, with one API and a token for it.
struct Outside {
    manager: Server,
    application: Application,
    token: String,
}

impl Outside {
    async fn with_api(context: &str, backend: &str, members: &Value) -> Self {
        let manager = Server::api_manager("sqlite://api-manager.db").await;
        let places = Places {
            identity: String::new(),
            manager: manager.url.clone(),
            gateway: manager.gateway.clone(),
        };
        let (http, places) = (Http::new(), Arc::new(places));
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

/// Everything may be read and written.
fn read_and_write() -> Value {
    serde_json::json!({ "operations": [{ "method": "GET", "path": "/*" }, { "method": "PUT", "path": "/*" }] })
}
