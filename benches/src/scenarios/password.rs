//! A storm of sign-ins: as fast as Argon2 alone, and the API manager beside it does not notice.

use std::time::Duration;

use e2e::client::{Call, Http};
use e2e::idp::KeyKind;
use e2e::world::ADMIN_PASSWORD;
use serde_json::json;

use super::exchange::exchanges;
use super::tokens::client;
use crate::limits::hashes;
use crate::load::{Flow, Load, Pace, post_form};
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::statistics::{Ratio, median};
use crate::tenant::Tenant;

const SIGN_INS: &str = "password grants, flat out";
const AT_REST: &str = "exchanges, 200/s, at rest";
const STORM: &str = "password grants, the storm beside them";
const IN_STORM: &str = "exchanges, 200/s, during the storm";
const PASSWORD: &str = "correct horse battery staple";

/// Target 7.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Sign-ins by password",
        "The password grant at the identity server: 16 keep-alive connections over TLS 1.3, as many hashing threads as cores,
         SQLite; compared with as many threads that do nothing but Argon2id with the same cost (19 MiB, two passes) in memory
         that they keep. Then the same storm while the API manager, on the same cores, is offered 200 RS256 exchanges a second
         (open loop, latency from the moment at which a request was meant to be sent).",
    );
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = cores.to_string();
    let identity = Server::identity_server(run, "password", &[("WORKERS", &workers)]).await;
    let sign_ins = sign_ins(&identity).await;
    let manager = Server::api_manager(run, "password-manager", &[("WORKERS", &workers)]).await;
    let tenant = Tenant::settle_with(&manager, "http://127.0.0.1:9", KeyKind::Rsa).await;
    let turns = usize::try_from(run.seconds).unwrap_or(1) * (2 * run.rounds + 1);
    let mut exchanges = exchanges(&tenant, turns * 200 + 1_000).await.connections(16).on(&manager.rest);
    exchanges.pace = Pace::PerSecond(200.0);

    let _ = Load::Flow(sign_ins.clone()).seconds(1).run().await;
    let _ = Load::Flow(exchanges.clone()).seconds(1).run().await;
    let mut comparison = Comparison::new("Sign-ins and exchanges");
    let mut bare = Vec::new();
    for round in 1..=run.rounds {
        comparison.add(SIGN_INS, run.sample(identity.process(), Load::Flow(sign_ins.clone())).await);
        let turn = Duration::from_secs(run.seconds);
        bare.push(
            tokio::task::spawn_blocking(move || hashes(cores, turn)).await.expect("hashing does not panic"),
        );
        comparison.add(AT_REST, run.sample(manager.process(), Load::Flow(exchanges.clone())).await);
        // It begins before the exchanges and ends after them.
        let storm = tokio::spawn(Load::Flow(sign_ins.clone()).seconds(run.seconds + 2).run());
        tokio::time::sleep(Duration::from_secs(1)).await;
        comparison.add(IN_STORM, run.sample(manager.process(), Load::Flow(exchanges.clone())).await);
        let storm = storm.await.expect("the storm does not panic");
        eprintln!("password: round {round}: {:.0} sign-ins/s in the storm", storm.rate());
        // Whose CPU time it was cannot be told: the storm began before the exchanges.
        comparison.add(STORM, Sample { cpu: f64::NAN, resident: identity.process().resident_mib(), ..storm });
    }

    let (rates, cpus): (Vec<f64>, Vec<f64>) = bare.into_iter().unzip();
    let share = Ratio::of(&comparison.figures(SIGN_INS, Sample::rate), &rates);
    outcome.at_least("throughput at least 0.95 of bare Argon2's", share, 0.95);
    let each: Vec<f64> =
        comparison.figures(SIGN_INS, |sample| sample.cpu).iter().map(|cpu| cpu / 1e3).collect();
    let cpu = Ratio::of(&cpus, &each);
    outcome.at_least("CPU of bare Argon2 at least 0.95 of a sign-in's", cpu, 0.95);
    let p99 = comparison.median(IN_STORM, |sample| sample.p99);
    outcome.verdict(
        "p99 of exchanges during the storm under 20 ms",
        format!("{p99:.1} ms"),
        Some(p99 < 20.0),
    );
    let failures: u64 =
        [SIGN_INS, AT_REST, IN_STORM, STORM].iter().map(|name| comparison.failures(name)).sum();
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    let mut table =
        Table::new("Bare Argon2id, medians over the rounds", &["threads", "hashes/s", "CPU ms each"]);
    table.row(&[cores.to_string(), format!("{:.1}", median(&rates)), format!("{:.1}", median(&cpus))]);
    outcome.tables.push(table);
    outcome.comparisons.push(comparison);
    outcome
}

pub(crate) async fn sign_ins(identity: &Server) -> Flow {
    let (id, secret) = client(identity, "ES256", &["password"]).await;
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
    let user = json!({ "schemas": schemas, "userName": "alice", "password": PASSWORD });
    let call = Call::post(format!("{}/scim/v2/Users", identity.rest)).basic("admin", ADMIN_PASSWORD);
    let body = user.to_string();
    let _ =
        Http::new().send(call.header("content-type", "application/scim+json").body(body)).await.expect(201);
    let form = format!("grant_type=password&username=alice&password={}", PASSWORD.replace(' ', "+"));
    let request = post_form("/oauth2/token", "localhost", (&id, &secret), &form);
    Flow::new(Pace::FlatOut, move |_| Some(request.clone())).connections(16).on(&identity.rest)
}
