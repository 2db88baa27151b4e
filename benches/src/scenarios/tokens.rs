//! The identity server's own tokens against the signatures that they are made of.

use e2e::client::{Call, Http};
use e2e::world::ADMIN_PASSWORD;
use serde_json::json;

use crate::limits::{Cost, Signatures, openssl_speed};
use crate::load::{Flow, Pace, post_form};
use crate::outcome::{Outcome, Table};
use crate::run::{Contender, Run};
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::statistics::{Ratio, median};
use crate::turns::{LONG_TURN, Turns};

pub(crate) const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// Target 6.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Tokens for clients",
        "client_credentials at the identity server: 32 keep-alive connections over TLS 1.3, one worker, SQLite; each answer is
         a JWT that was signed for it. A core's rate is the inverse of the CPU time of the whole process a request. The limit is
         one RSA-2048 key and one context that signs again and again, as `openssl speed` does it, by the OpenSSL that the
         servers link. All have turns of half a second, there and back; `openssl speed` has one a round.",
    );
    let server = Server::identity_server(run, "tokens", &[]).await;
    let mut flows = Vec::new();
    for algorithm in ALGORITHMS {
        let (id, secret) = client(&server, algorithm, &["client_credentials"]).await;
        let request =
            post_form("/oauth2/token", "localhost", (&id, &secret), "grant_type=client_credentials");
        flows.push(always(request).on(&server.rest));
    }
    let contenders =
        ALGORITHMS.map(|name| Contender { name, process: server.process(), origin: &server.rest });
    let load = |one: &Contender<'_>| {
        let place = ALGORITHMS.iter().position(|name| *name == one.name).unwrap_or_default();
        flows.get(place).expect("a load for each").clone()
    };
    let title = "32 connections, flat out";
    let mut turns = Turns::open((title, LONG_TURN), &contenders, load).await;

    let mut comparison = Comparison::new(title);
    let (mut limit, mut system, mut signatures) = (Vec::new(), Vec::new(), Signatures::new());
    for round in 1..=run.rounds {
        let mut signed = Cost::default();
        for _ in 0..run.turns(LONG_TURN) {
            turns.next().await;
            let turn = move || (signatures.turn(LONG_TURN), signatures);
            let cost;
            (cost, signatures) = tokio::task::spawn_blocking(turn).await.expect("signing does not panic");
            signed += cost;
        }
        turns.samples(round, &mut comparison);
        limit.push(signed.each());
        system.extend(tokio::task::spawn_blocking(openssl_speed).await.expect("speed does not panic"));
    }

    let cpu: fn(&Sample) -> f64 = |sample| sample.cpu;
    let share = Ratio::of(&limit, &comparison.figures("RS256", cpu));
    outcome.at_least("RS256: at least 0.85 of the signatures of the linked OpenSSL, a core", share, 0.85);
    let speeds: Vec<f64> = system.iter().map(|(_, each)| *each).collect();
    let share = Ratio::of(&speeds, &comparison.figures("RS256", cpu));
    let version = system.first().map_or("openssl", |(version, _)| version.as_str());
    outcome.at_least(
        &format!("RS256: at least 0.85 of the system's `openssl speed` ({version})"),
        share,
        0.85,
    );
    for algorithm in ["ES256", "EdDSA"] {
        let rate = 1e6 / comparison.median(algorithm, cpu);
        outcome.verdict(
            &format!("{algorithm}: at least 10,000/s a core"),
            format!("{rate:.0}/s"),
            Some(rate >= 10_000.0),
        );
    }
    let mut table =
        Table::new("RSA-2048 signatures, medians over the rounds", &["", "CPU µs each", "a second"]);
    let linked = openssl::version::version().split(' ').take(2).collect::<Vec<_>>().join(" ");
    for (name, each) in
        [(linked + ", linked", &limit), (format!("{version}, the system's `openssl speed`"), &speeds)]
    {
        table.row(&[name, format!("{:.1}", median(each)), format!("{:.0}", 1e6 / median(each))]);
    }
    outcome.tables.push(table);
    outcome.command("openssl speed -seconds 1 rsa2048");
    let failures: u64 = ALGORITHMS.iter().map(|algorithm| comparison.failures(algorithm)).sum();
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    outcome.comparisons.push(comparison);
    outcome
}

/// Registers a client whose tokens are signed with that algorithm: its identifier and secret.
pub(crate) async fn client(server: &Server, algorithm: &str, grants: &[&str]) -> (String, String) {
    let body = json!({
        "client_name": algorithm, "grant_types": grants, "access_token_signed_response_alg": algorithm,
    });
    let call =
        Call::post(format!("{}/api/v1/clients", server.rest)).basic("admin", ADMIN_PASSWORD).json(&body);
    let made = Http::new().send(call).await.expect(201);
    (made.member("client_id"), made.member("client_secret"))
}

/// The same request by 32 connections, flat out.
pub(crate) fn always(request: Vec<u8>) -> Flow {
    Flow::new(Pace::FlatOut, move |_| Some(request.clone())).connections(32)
}
