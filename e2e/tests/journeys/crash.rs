//! A killed API manager has lost no token that it gave out, and no assertion that it took.

use std::sync::Arc;

use e2e::actors::{Administrator, Application, Developer, JWT_BEARER, Publisher};
use e2e::backend::Backend;
use e2e::client::Http;
use e2e::idp::Idp;
use futures_util::future::join_all;
use shared_claims::clock::Clock;
use test_support::{Stage, on_every_stage};
use tokio::sync::Semaphore;

use crate::process::Server;

/// A real process, and what a test needs beside it.
struct Outside {
    manager: Server,
    http: Http,
    idp: Idp,
    application: Application,
    _backend: Backend,
}

impl Outside {
    async fn new(stage: Stage) -> Self {
        let manager = Server::api_manager(&stage.database_url().await).await;
        let backend = Backend::start().await.unwrap();
        let (http, places) = (Http::new(), manager.places());
        let idp = Idp::new("https://idp.example", "us", &Clock::System);
        Administrator::new(&http, &places).trusts(&idp).await;
        let api = Publisher::new(&http, &places).publishes("pets", &backend.url()).await;
        let application = Developer::new(&http, &places).registers("app").await;
        Developer::new(&http, &places).subscribes(&application, &api).await;
        Self { manager, http, idp, application, _backend: backend }
    }
}

on_every_stage! {
    async fn a_token_bought_before_a_kill_works_afterwards(stage: Stage) {
        let mut outside = Outside::new(stage).await;
        let application = outside.application.clone();
        let assertion = outside.idp.sign_for("alice");
        let token = application.exchanges(&assertion).await.token();

        outside.manager.is_killed();
        outside.manager.starts_again().await;

        let answer = application.calls("/pets/1.0/cats", &token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(application.exchanges(&assertion).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(application.exchanges(&outside.idp.sign_for("alice")).await.status, 200);
    }

    async fn kills_under_load_lose_nothing_that_was_answered(stage: Stage) {
        let mut outside = Outside::new(stage).await;
        let application = outside.application.clone();
        let mut bought: Vec<(String, String)> = Vec::new();
        for _ in 0..3 {
            let given = Arc::new(Semaphore::new(0));
            let buyers: Vec<_> = (0..4)
                .map(|_| tokio::spawn(buy_until_it_dies(outside.http.clone(), outside.idp.clone(), application.clone(), Arc::clone(&given))))
                .collect();
            given.acquire_many(20).await.unwrap().forget();

            outside.manager.is_killed();
            for buyer in join_all(buyers).await {
                bought.extend(buyer.unwrap());
            }
            outside.manager.starts_again().await;
        }

        for (assertion, token) in &bought {
            assert_eq!(application.calls("/pets/1.0/cats", token).await.status, 200);
            assert_eq!(application.exchanges(assertion).await.refusal(), (400, "invalid_grant".into()));
        }
        let different: std::collections::BTreeSet<_> = bought.iter().map(|(_, token)| token).collect();
        assert_eq!(different.len(), bought.len());
    }
}

/// Every assertion with the token that it bought, until the server answers no more.
async fn buy_until_it_dies(
    http: Http,
    idp: Idp,
    application: Application,
    given: Arc<Semaphore>,
) -> Vec<(String, String)> {
    let mut bought = Vec::new();
    loop {
        let assertion = idp.sign_for("alice");
        let call = application.token_request().basic(&application.key, &application.secret);
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
        match http.try_send(call.form(&form)).await {
            Ok(answer) => bought.push((assertion.clone(), answer.token())),
            Err(_) => return bought,
        }
        given.add_permits(1);
    }
}
