//! What tokens leave behind that are over.

use std::time::Duration;

use shared_claims::clock::Clock;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::server::Server;
use crate::stock;
use crate::tenant::Tenant;

const LIVE: usize = 100_000;
const OVER: usize = 10_000_000;
/// Exchanges of one measurement.
const EXCHANGES: usize = 3_000;
/// How long the sweeping may take.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Target 11.
pub async fn run(run: &Run) -> Outcome {
    // A run of fewer rounds than the default is a trial.
    let over = if run.rounds >= 7 { OVER } else { OVER / 10 };
    let mut outcome = Outcome::new(
        "The store",
        &format!(
            "An API manager on SQLite with 100,000 live tokens; {over} more, with the assertions that bought them, were written
             while it was down and were over two hours before. The server removes them in the background, while the rate of
             exchanges ({EXCHANGES}, 32 at once, over TLS) is measured again and again. The size is that of the database with
             its write-ahead log."
        ),
    );
    let backend = Backend::start(run).await;
    let mut server = Server::api_manager(run, "store", &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let template = tenant.token().await;
    server.stops();
    let _ = stock::tokens(&server, &template, LIVE, |_| {}).await;
    let _ = server.starts().await;
    let _ = rate(&tenant).await;
    let before = rate(&tenant).await;
    server.stops();
    let live = mib(server.database_size());
    eprintln!("store: {live:.0} MiB live; writing {over} grants that are over");
    stock::tokens_that_are_over(&server, over, Clock::System.now().minus(7_200)).await;
    let full = mib(server.database_size());

    let _ = server.starts().await;
    let began = Instant::now();
    let mut table = Table::new("The sweep", &["seconds", "MiB", "exchanges/s"]);
    table.row(&["before".to_owned(), format!("{live:.0}"), format!("{before:.0}")]);
    let mut slowest = f64::MAX;
    let end = loop {
        let present = rate(&tenant).await;
        slowest = slowest.min(present);
        let size = mib(server.database_size());
        let seconds = began.elapsed().as_secs();
        table.row(&[seconds.to_string(), format!("{size:.0}"), format!("{present:.0}")]);
        eprintln!("store: {seconds} s, {size:.0} MiB, {present:.0} exchanges/s");
        if size <= live * 1.3 || began.elapsed() > PATIENCE {
            break size;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    };
    outcome.tables.push(table);

    outcome.verdict(
        "the database is no larger than the live set needs",
        format!("{live:.0} MiB before, {full:.0} MiB full, {end:.0} MiB at the end, with the tokens bought meanwhile"),
        Some(end <= live * 1.3),
    );
    outcome.verdict(
        "the exchange rate does not fall",
        format!("{before:.0}/s before, {slowest:.0}/s at the slowest"),
        Some(slowest >= before * 0.9),
    );
    outcome
}

#[expect(clippy::cast_precision_loss, reason = "it is thousands")]
async fn rate(tenant: &Tenant) -> f64 {
    let began = Instant::now();
    let tokens = tenant.tokens(EXCHANGES).await;
    tokens.len() as f64 / began.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
