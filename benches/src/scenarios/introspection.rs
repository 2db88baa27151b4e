//! What it costs to be asked about a token.

use e2e::client::{Call, Http};

use super::tokens::{always, client};
use crate::load::{Load, post_form};
use crate::outcome::Outcome;
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::tenant::Tenant;

const MANAGER: &str = "api-manager";
const IDENTITY: &str = "identity-server";

/// Target 8.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Introspection",
        "Both servers with one worker each, 32 keep-alive connections over TLS 1.3, SQLite. The API manager is asked about an
         opaque token that an assertion bought, by the application's key that bought it: the key with its secret, the grant and
         its provider are read each time. The identity server is asked about one JWT (RS256) by its client: the revocation is read each
         time; the client is read once a second and the signature verified when the token is first seen, for both are
         kept. A core's rate is the inverse of the CPU time of
         the whole process a request.",
    );
    let manager = Server::api_manager(run, "introspection", &[]).await;
    let tenant = Tenant::settle(&manager, "http://127.0.0.1:9").await;
    let token = tenant.application.exchanges(&tenant.assertion("somebody")).await.token();
    let application = (tenant.application.key.as_str(), tenant.application.secret.as_str());
    let of_manager = post_form("/oauth2/introspect", "localhost", application, &format!("token={token}"));

    let identity = Server::identity_server(run, "introspection-identity", &[]).await;
    let (id, secret) = client(&identity, "RS256", &["client_credentials"]).await;
    let call = Call::post(format!("{}/oauth2/token", identity.rest)).basic(&id, &secret);
    let jwt = Http::new().send(call.form(&[("grant_type", "client_credentials")])).await.token();
    let of_identity = post_form("/oauth2/introspect", "localhost", (&id, &secret), &format!("token={jwt}"));

    let asks = async |origin: &str, (id, secret): (&str, &str), token: &str| {
        let call = Call::post(format!("{origin}/oauth2/introspect")).basic(id, secret);
        let answer = Http::new().send(call.form(&[("token", token)])).await.expect(200).json();
        assert_eq!(answer.get("active"), Some(&true.into()), "{origin}: what is asked about is not active");
    };
    asks(&manager.rest, application, &token).await;
    asks(&identity.rest, (&id, &secret), &jwt).await;

    let both = [(MANAGER, &manager, of_manager), (IDENTITY, &identity, of_identity)];
    let mut comparison = Comparison::new("32 connections, flat out");
    for round in 0..=run.rounds {
        for (name, server, request) in &both {
            let load = Load::Flow(always(request.clone()).on(&server.rest));
            let sample = run.sample(server.process(), load).await;
            // The first round warms up.
            if round > 0 {
                comparison.add(name, sample);
            }
        }
        eprintln!("introspection: round {round} done");
    }
    asks(&manager.rest, application, &token).await;
    asks(&identity.rest, (&id, &secret), &jwt).await;
    for (name, ..) in &both {
        let cpu: fn(&Sample) -> f64 = |sample| sample.cpu;
        let rate = 1e6 / comparison.median(name, cpu);
        outcome.verdict(
            &format!("{name}: at least 10,000/s a core"),
            format!("{rate:.0}/s"),
            Some(rate >= 10_000.0),
        );
    }
    let failures = comparison.failures(MANAGER) + comparison.failures(IDENTITY);
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    outcome.comparisons.push(comparison);
    outcome
}
