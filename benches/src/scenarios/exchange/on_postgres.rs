//! The same on PostgreSQL, whose commits `pgbench` measures.

use std::sync::Arc;
use std::time::Duration;

use e2e::idp::KeyKind;

use super::{MOST, exchanges, form_again, verifies};
use crate::limits::{Hello, Postgres, Verifications};
use crate::load::Load;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::server::Server;
use crate::statistics::{Ratio, median};
use crate::tenant::Tenant;

/// How long the limit is measured in a round.
const VERIFYING: Duration = Duration::from_millis(700);

/// One round's figures; CPU in microseconds each.
struct Round {
    ours: f64,
    rate: f64,
    limit: f64,
    commit: f64,
    commits: f64,
}

/// Adds verdicts and a table to the outcome of the exchange.
pub(super) async fn compare(run: &Run, postgres: Postgres, hello: &Hello, outcome: &mut Outcome) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from).to_string();
    let (url, connections) = (postgres.url(), postgres.connections.to_string());
    let settings = [("WORKERS", &*cores), ("DATABASE_URL", &*url), ("DATABASE_CONNECTIONS", &*connections)];
    let server = Server::api_manager(run, "exchange-postgres", &settings).await;
    let tenant = Tenant::settle_with(&server, "http://127.0.0.1:9", KeyKind::Rsa).await;
    let turns = usize::try_from(run.seconds).unwrap_or(1) * run.rounds + 2;
    // Four fifths of what SQLite may reach: more than was seen.
    let flow = exchanges(&tenant, turns * MOST * 4 / 5).await.on(&server.rest);
    let again = form_again(&tenant).on(&hello.origin);

    let _ = Load::Flow(flow.clone()).seconds(2).run().await;
    let verifications = Arc::new(Verifications::new());
    let (mut rounds, mut failures) = (Vec::new(), 0);
    for round in 1..=run.rounds {
        let before = postgres.process.cpu_with_ended();
        let sample = run.sample(server.process(), Load::Flow(flow.clone())).await;
        let spent = postgres.process.cpu_with_ended().saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
        let ours = sample.cpu + spent.as_secs_f64() * 1e6 / sample.requests as f64;
        failures += sample.failures;
        let (commit, commits) = postgres.commits(run, run.seconds).await;
        let hello = run.sample(&hello.process, Load::Flow(again.clone())).await.cpu;
        let verify = verifies(&verifications, VERIFYING).await.each();
        eprintln!(
            "exchange on PostgreSQL: round {round}: {ours:.0} µs, {:.0}/s, {commits:.0} commits/s",
            sample.rate()
        );
        rounds.push(Round { ours, rate: sample.rate(), limit: verify + commit + hello, commit, commits });
    }

    let all = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<f64>>();
    let (ours, limit) = (all(|round| round.ours), all(|round| round.limit));
    outcome.at_most(
        "PostgreSQL: CPU, the database's included, at most 1.5 × (verify + commit of pgbench + hello over TLS)",
        Ratio::of(&ours, &limit),
        1.5,
    );
    outcome.verdict("PostgreSQL: no request failed", failures.to_string(), Some(failures == 0));
    outcome.command(postgres.command());
    let mut table = Table::new(
        format!("PostgreSQL, {connections} connections, fsync on, medians over the rounds"),
        &["", "CPU µs each", "a second"],
    );
    let row = |name: &str, cpu: Vec<f64>, rate: Vec<f64>| {
        [name.to_owned(), format!("{:.1}", median(&cpu)), format!("{:.0}", median(&rate))]
    };
    table.row(&row("exchange, server and database", ours, all(|round| round.rate)));
    table.row(&row(
        "two rows by pgbench, pgbench and database",
        all(|round| round.commit),
        all(|round| round.commits),
    ));
    outcome.tables.push(table);
}
