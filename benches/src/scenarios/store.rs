//! What tokens leave behind that are over.

use std::time::Duration;

use shared_claims::clock::Clock;
use tokio::time::Instant;

use super::exchange::{MOST, exchanges};
use crate::backend::Backend;
use crate::load::Load;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::stock;
use crate::tenant::Tenant;

const LIVE: usize = 100_000;
const OVER: usize = 10_000_000;
const BEFORE: &str = "before";
const DURING: &str = "during the sweep";
/// How long the server is left alone between two measurements.
const BETWEEN: Duration = Duration::from_secs(20);
/// When a server that was started sweeps for the first time.
const FIRST_SWEEP: Duration = Duration::from_secs(30);
/// How long the sweeping may take.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// An eighth of the pages may be free for the next tokens, and pages are not quite full after a sweep.
const SPARE: f64 = 1.25;

/// Target 11.
pub async fn run(run: &Run) -> Outcome {
    // A run of fewer rounds than the default is a trial.
    let over = if run.rounds >= 7 { OVER } else { OVER / 10 };
    let mut outcome = Outcome::new(
        "The store",
        &format!(
            "An API manager on SQLite with 100,000 live tokens; {over} more, with the assertions that bought them, were written
             by SQL while it was down, as if bought one after the other, and were over two hours before. The server's own
             sweeping removes them, while exchanges (64 clients flat out over keep-alive TLS, ES256, assertions that were
             signed before) are measured again and again, with {} s between in which nobody else writes, as they were before. The size is that of the database without its write-ahead
             log (16 MiB at most while nobody writes much).",
            BETWEEN.as_secs()
        ),
    );
    let backend = Backend::start(run).await;
    let mut server = Server::api_manager(run, "store", &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let template = tenant.token().await;
    server.stops();
    let _ = stock::tokens(&server, &template, LIVE).await;
    let _ = server.starts().await;
    let mut shop = Shop { tenant, bought: 0 };
    let mut comparison = Comparison::new("Exchanges, 64 clients, flat out");
    let _ = shop.sells(run, &server).await;
    for round in 1..=run.rounds {
        // As between those that are to be compared with it: connections are made anew, and caches are cold.
        tokio::time::sleep(BETWEEN).await;
        let sample = shop.sells(run, &server).await;
        sample.shows("store", round, BEFORE);
        comparison.add(BEFORE, sample);
    }
    server.stops();
    let (live, stock) = (mib(server.database_size()), LIVE + shop.bought);
    eprintln!("store: {live:.0} MiB live; writing {over} grants that are over");
    let began = Instant::now();
    stock::tokens_that_are_over(&server, over, Clock::System.now().minus(7_200));
    let full = mib(server.database_size());
    eprintln!("store: {full:.0} MiB, written in {} s", began.elapsed().as_secs());

    let _ = server.starts().await;
    let began = Instant::now();
    let columns = ["seconds", "MiB", "MiB for what is live", "exchanges/s", "CPU µs/exchange"];
    let mut table = Table::new("The sweep", &columns);
    let mut row = |at: String, size: f64, needed: f64, rate: f64, cpu: f64| {
        let [size, needed, rate, cpu] = [size, needed, rate, cpu].map(|figure| format!("{figure:.0}"));
        table.row(&[at, size, needed, rate, cpu]);
    };
    let (rate, cpu) = (comparison.median(BEFORE, Sample::rate), comparison.median(BEFORE, |s| s.cpu));
    row("before".to_owned(), live, live, rate, cpu);
    // It was just started: that it is slower for that is not the sweep's doing.
    let _ = shop.sells(run, &server).await;
    let (end, needed) = loop {
        let is_swept = began.elapsed() >= FIRST_SWEEP;
        let sample = shop.sells(run, &server).await;
        let needed = live * share(LIVE + shop.bought, stock);
        let (size, seconds) = (mib(server.database_size()), began.elapsed().as_secs());
        row(seconds.to_string(), size, needed, sample.rate(), sample.cpu);
        eprintln!("store: {seconds} s, {size:.0} MiB, {:.0} exchanges/s", sample.rate());
        if is_swept {
            comparison.add(DURING, sample);
        }
        if size <= needed * SPARE || began.elapsed() > PATIENCE {
            break (size, needed);
        }
        tokio::time::sleep(BETWEEN).await;
    };
    outcome.tables.push(table);

    outcome.verdict(
        "the database is no larger than the live set needs (a quarter more at most)",
        format!(
            "{live:.0} MiB before, {full:.0} MiB full, {end:.0} MiB after {} s, when {needed:.0} were live",
            began.elapsed().as_secs()
        ),
        Some(end <= needed * SPARE),
    );
    let [before, during] = [BEFORE, DURING].map(|name| comparison.median(name, Sample::rate));
    let slowest = comparison.figures(DURING, Sample::rate).into_iter().fold(f64::INFINITY, f64::min);
    outcome.verdict(
        "the exchange rate does not fall (by a tenth at most)",
        format!(
            "{before:.0}/s before, {during:.0}/s during the sweep (medians), {slowest:.0}/s at the slowest"
        ),
        Some(during >= before * 0.9),
    );
    let failures = comparison.failures(BEFORE) + comparison.failures(DURING);
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    outcome.comparisons.push(comparison);
    outcome
}

/// Who exchanges.
struct Shop {
    tenant: Tenant,
    bought: usize,
}

impl Shop {
    /// Exchanges for as long as a turn lasts, with assertions that are signed before.
    async fn sells(&mut self, run: &Run, server: &Server) -> Sample {
        let most = usize::try_from(run.seconds).unwrap_or(1) * MOST;
        let flow = exchanges(&self.tenant, most).await.on(&server.rest);
        let sample = run.sample(server.process(), Load::Flow(flow)).await;
        self.bought += usize::try_from(sample.requests).unwrap_or_default();
        sample
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens are far fewer than 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
