//! The work at which servers are watched before they are built for good ([`optimised`](crate::optimised)): some seconds of
//! everything that they are asked all day. What is not in it, the compiler takes for rare.

use e2e::backend::Backend;
use e2e::client::{Call, Http};
use e2e::idp::KeyKind;
use serde_json::json;

use crate::load::{Flow, Load, Pace, each_once, get, pick, post_form};
use crate::run::Run;
use crate::scenarios::{exchange, gateway, password, tokens};
use crate::server::Server;
use crate::tenant::Tenant;

/// Live tokens of the gateway's callers.
const TOKENS: usize = 1_000;
/// Exchanges of assertions that are signed with RSA, for each second of other work.
const EXCHANGES: usize = 1_300;
/// One call in so many shows a token that nobody issued: more would wait for each other, for these are refused at a pace.
const UNKNOWN: u64 = 500;

/// Puts both servers of `run` to work, each kind of work for as many seconds as the run says. They have ended when it returns.
///
/// # Panics
/// A server does not start, or what it is to answer fails.
pub async fn train(run: &Run) {
    manager(run).await;
    identity(run).await;
}

/// Assertions exchanged, APIs called, tokens introspected.
async fn manager(run: &Run) {
    let backend = Backend::start().await.expect("loopback can be listened on");
    let server = Server::api_manager(run, "training", &[]).await;
    let tenant = Tenant::settle_with(&server, &backend.url(), KeyKind::Rsa).await;
    let exchanges = usize::try_from(run.seconds).unwrap_or(1) * EXCHANGES;
    eprintln!("training: {exchanges} exchanges");
    let forms: Vec<Vec<u8>> = (0..exchanges)
        .map(|number| exchange::form(&tenant, &tenant.assertion(&format!("person-{number}"))))
        .collect();
    let form = move |number: usize| forms.get(number).cloned().unwrap_or_default();
    let failed = each_once(&server.rest, exchanges, form).await;
    assert_eq!(failed, 0, "exchanges fail");

    let live = tenant.tokens(TOKENS).await;
    let unknown: Vec<String> = (0..TOKENS).map(|_| uuid::Uuid::now_v7().to_string()).collect();
    let gets = {
        let live = live.clone();
        Flow::new(Pace::FlatOut, move |number| {
            let tokens = if number % UNKNOWN == 0 { &unknown } else { &live };
            Some(get(gateway::PATH, "localhost", pick(tokens, number)?))
        })
    };
    // Where the backend reads what it is sent; elsewhere it may end the connection under the next call.
    let operations = json!([{ "method": "POST", "path": "/length/{id}" }]);
    let _ = tenant.publishes_with("posted", &backend.url(), &operations).await;
    let posts = {
        let live = live.clone();
        Flow::new(Pace::FlatOut, move |number| Some(post("/posted/1.0/length/7", pick(&live, number)?)))
    };
    for (origin, scheme) in [(&server.gateway_http, "plain"), (&server.gateway, "TLS")] {
        works(run, &format!("calls, {scheme}"), gets.on(origin)).await;
        works(run, &format!("calls with a body, {scheme}"), posts.on(origin)).await;
    }
    let token = live.first().map(String::as_str).unwrap_or_default();
    let application = (tenant.application.key.as_str(), tenant.application.secret.as_str());
    let asks = post_form("/oauth2/introspect", "localhost", application, &format!("token={token}"));
    works(run, "introspection by the API manager", tokens::always(asks).on(&server.rest)).await;
}

/// A call with a body.
fn post(path: &str, token: &str) -> Vec<u8> {
    let body = json!({ "name": "a thing", "tags": ["one", "another"], "about": "x".repeat(200) }).to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Tokens signed, introspected, and had by passwords.
async fn identity(run: &Run) {
    let server = Server::identity_server(run, "training-identity", &[]).await;
    for algorithm in tokens::ALGORITHMS {
        let (id, secret) = tokens::client(&server, algorithm, &["client_credentials"]).await;
        let request =
            post_form("/oauth2/token", "localhost", (&id, &secret), "grant_type=client_credentials");
        works(run, &format!("tokens, {algorithm}"), tokens::always(request).on(&server.rest)).await;

        let call = Call::post(format!("{}/oauth2/token", server.rest)).basic(&id, &secret);
        let jwt = Http::new().send(call.form(&[("grant_type", "client_credentials")])).await.token();
        let asks = post_form("/oauth2/introspect", "localhost", (&id, &secret), &format!("token={jwt}"));
        works(run, "introspection by the identity server", tokens::always(asks).on(&server.rest)).await;
    }
    works(run, "sign-ins", password::sign_ins(&server).await).await;
}

/// Puts that load on a server; nearly all of it has to be answered with success.
async fn works(run: &Run, what: &str, load: Flow) {
    let done = Load::Flow(load).seconds(run.seconds).run().await;
    eprintln!("training: {what}: {} answers, {} refused", done.requests, done.failures);
    assert!(done.requests > 0 && done.failures * 20 < done.requests, "{what} fails");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn built_servers_do_all_of_the_work() {
        let test = std::env::current_exe().unwrap();
        // Cargo builds the binaries of packages that have integration tests, as the servers do.
        let built = test.ancestors().nth(2).unwrap().to_owned();
        train(&Run::prepare(1, 1, built)).await;
    }
}
