//! What callers without a token can do to those who have one.

use super::gateway::PATH;
use crate::backend::Backend;
use crate::load::{Flow, Load, Pace, Tokens, Wrk};
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::tenant::Tenant;

const ALONE: &str = "valid callers alone";
const BESIDE: &str = "valid callers beside the flood";
/// Requests a second of valid callers.
const RATE: f64 = 500.0;
/// Invalid tokens that are sent again and again.
const REPEATED: usize = 1_000;

/// Target 4.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Invalid tokens",
        "One worker, plain HTTP/1.1. 64 connections ask as fast as they are answered, each time with a random UUID that nobody
         issued; the server refuses unknown tokens at a pace, so that how many it answers says how much it slows them, not what it
         can do. Meanwhile valid callers (16 connections, 10,000 tokens) send 500 requests/s evenly, their latency counted from when a
         request was meant to be sent. Then 1,000 invalid tokens are repeated as fast as they are answered. Look-ups are those that the server
         counts (`gateway_lookups_total`).",
    );
    let backend = Backend::start(run).await;
    let server = Server::api_manager(run, "junk", &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let tokens = tenant.tokens(10_000).await;
    let repeated: Vec<String> = (0..REPEATED).map(|_| uuid::Uuid::now_v7().to_string()).collect();

    let paths = [PATH.to_owned()];
    let flood = Wrk::new(run, "junk", &paths, Tokens::Random).on(&server.gateway_http);
    let again = Wrk::new(run, "junk-again", &paths, Tokens::Of(&repeated)).on(&server.gateway_http);
    outcome.command(flood.on("http://…").seconds(run.seconds).command());
    outcome.command(again.on("http://…").seconds(run.seconds).command());
    let valid = Flow::any_of(Pace::PerSecond(RATE), tokens, paths.to_vec());
    let valid = valid.on(&server.gateway_http).connections(16);
    let _ = Load::Flow(valid.clone()).seconds(2).run().await;

    let mut callers = Comparison::new(format!("Valid callers, {RATE} requests/s"));
    let mut table = Table::new(
        "The flood",
        &[
            "round",
            "random UUIDs answered/s",
            "look-ups/s",
            "CPU of the server",
            "resident MiB after",
            "repeated tokens answered/s",
            "look-ups/s per token",
        ],
    );
    let (mut resident, mut most) = (Vec::new(), f64::NEG_INFINITY);
    for round in 1..=run.rounds {
        callers.add(ALONE, run.sample(server.process(), Load::Flow(valid.clone())).await);

        let (before, spent) = (server.lookups().await, server.process().cpu());
        let (flooded, beside) = tokio::join!(
            Load::Wrk(flood.clone()).seconds(run.seconds).run(),
            Load::Flow(valid.clone()).seconds(run.seconds).run(),
        );
        let spent = server.process().cpu().saturating_sub(spent).as_secs_f64();
        let asked = per_second(before, server.lookups().await, &flooded);
        // Whose CPU time it was cannot be told.
        callers.add(BESIDE, Sample { cpu: f64::NAN, resident: server.process().resident_mib(), ..beside });

        let before = server.lookups().await;
        let repeating = run.sample(server.process(), Load::Wrk(again.clone())).await;
        #[expect(clippy::cast_precision_loss, reason = "it is a thousand")]
        let each = per_second(before, server.lookups().await, &repeating) / REPEATED as f64;
        // Where the server does not count, there is no greatest.
        most = if each.is_nan() { f64::NAN } else { most.max(each) };
        resident.push(server.process().resident_mib());
        table.row(&[
            round.to_string(),
            format!("{:.0}", flooded.rate()),
            format!("{asked:.0}"),
            format!("{:.0} %", spent / flooded.seconds * 100.0),
            format!("{:.1}", server.process().resident_mib()),
            format!("{:.0}", repeating.rate()),
            format!("{each:.2}"),
        ]);
        eprintln!("junk: round {round} done");
    }
    outcome.tables.push(table);

    outcome.verdict(
        "no more than one look-up a second per distinct token (1.1 at the ends of a round)",
        if most.is_nan() { "not counted by the server".to_owned() } else { format!("{most:.2}") },
        // The load lasts a little longer than its look-ups are counted for.
        (!most.is_nan()).then_some(most <= 1.1),
    );
    let (first, last) =
        (resident.first().copied().unwrap_or(f64::NAN), resident.last().copied().unwrap_or(f64::NAN));
    let flat = (run.rounds > 1).then_some(last <= first * 1.05);
    outcome.verdict(
        "flat memory (within 5 %)",
        format!("{first:.1} MiB after the first round, {last:.1} after the last"),
        flat,
    );
    let p99: fn(&Sample) -> f64 = |sample| sample.p99;
    outcome.at_most("valid callers' p99 at most doubled", callers.ratio(BESIDE, ALONE, p99), 2.0);
    let failed = callers.failures(ALONE) + callers.failures(BESIDE);
    outcome.verdict("no valid request failed", failed.to_string(), Some(failed == 0));
    outcome.comparisons.push(callers);
    outcome
}

fn per_second(before: f64, after: f64, sample: &Sample) -> f64 {
    (after - before) / sample.seconds
}
