//! The same on PostgreSQL, whose commits `pgbench` measures.

use std::sync::Arc;
use std::time::Duration;

use e2e::idp::KeyKind;

use super::{MOST, exchanges, form_again, verifies};
use crate::limits::{Commit, Hello, Postgres, Verifications};
use crate::load::Load;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::statistics::{Ratio, median};
use crate::tenant::Tenant;

/// How long the limit is measured in a round.
const VERIFYING: Duration = Duration::from_millis(700);

const OURS: &str = "Countersign, with its database";

/// What was measured beside us in one round; CPU in microseconds each.
struct Round {
    verify: f64,
    hello: f64,
    /// CPU and commits a second.
    two_statements: (f64, f64),
    one_statement: (f64, f64),
}

/// Adds verdicts and a table to the outcome of the exchange.
pub(super) async fn compare(run: &Run, postgres: Postgres, hello: &Hello, outcome: &mut Outcome) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from).to_string();
    let (url, connections) = (postgres.url(), postgres.connections.to_string());
    let settings = [("WORKERS", &*cores), ("DATABASE_URL", &*url), ("DATABASE_CONNECTIONS", &*connections)];
    let server = Server::api_manager(run, "exchange-postgres", &settings).await;
    let tenant = Tenant::settle_with(&server, "http://127.0.0.1:9", KeyKind::Rsa).await;
    let turns = usize::try_from(run.seconds).unwrap_or(1) * run.rounds + 2;
    let flow = exchanges(&tenant, turns * MOST).await.on(&server.rest);
    let again = form_again(&tenant).on(&hello.origin);

    let _ = Load::Flow(flow.clone()).seconds(2).run().await;
    let verifications = Arc::new(Verifications::new());
    let mut comparison =
        Comparison::new(format!("64 clients, {}, {connections} connections, fsync on", postgres.version()));
    let mut rounds = Vec::new();
    for round in 1..=run.rounds {
        let before = postgres.process.cpu_with_ended();
        let mut sample = run.sample(server.process(), Load::Flow(flow.clone())).await;
        let spent = postgres.process.cpu_with_ended().saturating_sub(before);
        sample.cpu += sample.each(spent);
        sample.shows("exchange on PostgreSQL", round, OURS);
        comparison.add(OURS, sample);
        // What is compared with us has its turn on either side of the others.
        let mut commits = [Commit::OfTwoStatements, Commit::OfOneStatement];
        if round % 2 == 0 {
            commits.reverse();
        }
        let first = postgres.commits(run, commits[0], run.seconds).await;
        let hello = run.sample(&hello.process, Load::Flow(again.clone())).await.cpu;
        let verify = verifies(&verifications, VERIFYING).await.each();
        let second = postgres.commits(run, commits[1], run.seconds).await;
        let (two_statements, one_statement) = if round % 2 == 0 { (second, first) } else { (first, second) };
        eprintln!("exchange on PostgreSQL: round {round}: pgbench {two_statements:.0?}, {one_statement:.0?}");
        rounds.push(Round { verify, hello, two_statements, one_statement });
    }

    let all = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<f64>>();
    let cpu: fn(&Sample) -> f64 = |sample| sample.cpu;
    let ours = comparison.figures(OURS, cpu);
    for (statements, limit) in [
        ("two statements", all(|round| round.verify + round.hello + round.two_statements.0)),
        ("one statement", all(|round| round.verify + round.hello + round.one_statement.0)),
    ] {
        outcome.at_most(
            &format!(
                "PostgreSQL: CPU, the database's included, at most 1.5 × (verify + commit of {statements} by pgbench + \
                 hello over TLS)"
            ),
            Ratio::of(&ours, &limit),
            1.5,
        );
    }
    let failures = comparison.failures(OURS);
    outcome.verdict("PostgreSQL: no request failed", failures.to_string(), Some(failures == 0));
    let mut table = Table::new(
        "Two rows by pgbench; CPU of it and of the database, medians over the rounds",
        &["", "CPU µs each", "a second"],
    );
    let mut row = |name: &str, cpu: Vec<f64>, rate: Vec<f64>| {
        table.row(&[name.to_owned(), format!("{:.1}", median(&cpu)), format!("{:.0}", median(&rate))]);
    };
    row("two statements", all(|round| round.two_statements.0), all(|round| round.two_statements.1));
    row("one statement", all(|round| round.one_statement.0), all(|round| round.one_statement.1));
    for commit in [Commit::OfTwoStatements, Commit::OfOneStatement] {
        outcome.command(postgres.command(commit, run.seconds));
    }
    outcome.comparisons.push(comparison);
    outcome.tables.push(table);
}
