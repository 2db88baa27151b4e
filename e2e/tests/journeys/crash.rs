//! A killed API manager has lost no token that it gave out, and no assertion that it took.

use std::sync::Arc;

use e2e::actors::{Administrator, Developer, Publisher};
use e2e::backend::Backend;
use e2e::client::Http;
use e2e::idp::Idp;
use e2e::world::Places;
use shared_claims::clock::Clock;
use test_support::on_every_stage;

use crate::process::Server;

on_every_stage! {
    async fn a_token_bought_before_a_kill_works_afterwards(stage: Stage) {
        let mut manager = Server::api_manager(&stage.database_url().await).await;
        let backend = Backend::start().await.unwrap();
        let places = Places { identity: String::new(), manager: manager.url.clone(), gateway: manager.gateway.clone() };
        let (http, places) = (Http::new(), Arc::new(places));
        let idp = Idp::new("https://idp.example", "us", &Clock::System);
        Administrator::new(&http, &places).trusts(&idp).await;
        let api = Publisher::new(&http, &places).publishes("pets", &backend.url()).await;
        let application = Developer::new(&http, &places).registers("app").await;
        Developer::new(&http, &places).subscribes(&application, &api).await;
        let assertion = idp.sign_for("alice");
        let token = application.exchanges(&assertion).await.token();

        manager.is_killed();
        manager.starts_again().await;

        let answer = application.calls("/pets/1.0/cats", &token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(application.exchanges(&assertion).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(application.exchanges(&idp.sign_for("alice")).await.status, 200);
    }
}
