//! What tokens leave behind that are over.

use std::time::Duration;

use shared_claims::clock::Clock;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::server::Server;
use crate::statistics::median;
use crate::stock;
use crate::tenant::Tenant;

const LIVE: usize = 100_000;
const OVER: usize = 10_000_000;
/// Exchanges of one measurement.
const EXCHANGES: usize = 6_000;
/// How long the server is left alone between two measurements.
const BETWEEN: Duration = Duration::from_secs(20);
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
             sweeping removes them, while the rate of exchanges ({EXCHANGES}, 32 at once, over TLS) is measured again and
             again, with {} s between in which nobody else writes, as it was before. The size is that of the database without its write-ahead
             log (16 MiB at most while nobody writes much).",
            BETWEEN.as_secs()
        ),
    );
    let backend = Backend::start(run).await;
    let mut server = Server::api_manager(run, "store", &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let template = tenant.token().await;
    server.stops();
    let _ = stock::tokens(&server, &template, LIVE, |_| {}).await;
    let _ = server.starts().await;
    let mut shop = Shop { tenant, bought: 0 };
    let _ = shop.rate().await;
    let mut before = Vec::new();
    for _ in 0..run.rounds {
        // As between those that are to be compared with it: connections are made anew, and caches are cold.
        tokio::time::sleep(BETWEEN).await;
        before.push(shop.rate().await);
    }
    eprintln!("store: before {before:.0?} exchanges/s");
    server.stops();
    let (live, stock) = (mib(server.database_size()), LIVE + shop.bought);
    eprintln!("store: {live:.0} MiB live; writing {over} grants that are over");
    let began = Instant::now();
    stock::tokens_that_are_over(&server, over, Clock::System.now().minus(7_200));
    let full = mib(server.database_size());
    eprintln!("store: {full:.0} MiB, written in {} s", began.elapsed().as_secs());

    let _ = server.starts().await;
    let began = Instant::now();
    let mut table = Table::new("The sweep", &["seconds", "MiB", "MiB for what is live", "exchanges/s"]);
    table.row(&[
        "before".to_owned(),
        format!("{live:.0}"),
        format!("{live:.0}"),
        format!("{:.0}", median(&before)),
    ]);
    let mut during = Vec::new();
    let (end, needed) = loop {
        during.push(shop.rate().await);
        let needed = live * share(LIVE + shop.bought, stock);
        let (size, rate) = (mib(server.database_size()), during.last().copied().unwrap_or(f64::NAN));
        let seconds = began.elapsed().as_secs();
        table.row(&[seconds.to_string(), format!("{size:.0}"), format!("{needed:.0}"), format!("{rate:.0}")]);
        eprintln!("store: {seconds} s, {size:.0} MiB, {rate:.0} exchanges/s");
        if size <= needed * SPARE || began.elapsed() > PATIENCE {
            break (size, needed);
        }
        tokio::time::sleep(BETWEEN).await;
    };
    outcome.tables.push(table);

    outcome.verdict(
        "the database is no larger than the live set needs",
        format!(
            "{live:.0} MiB before, {full:.0} MiB full, {end:.0} MiB after {} s, when {needed:.0} were live",
            began.elapsed().as_secs()
        ),
        Some(end <= needed * SPARE),
    );
    let (before, during, slowest) =
        (median(&before), median(&during), during.iter().copied().fold(f64::INFINITY, f64::min));
    outcome.verdict(
        "the exchange rate does not fall",
        format!(
            "{before:.0}/s before, {during:.0}/s during the sweep (medians), {slowest:.0}/s at the slowest"
        ),
        Some(during >= before * 0.9),
    );
    outcome
}

/// Who exchanges.
struct Shop {
    tenant: Tenant,
    bought: usize,
}

impl Shop {
    /// How many exchanges a second are made now.
    async fn rate(&mut self) -> f64 {
        let began = Instant::now();
        let tokens = self.tenant.tokens(EXCHANGES).await;
        self.bought += tokens.len();
        share(tokens.len(), 1) / began.elapsed().as_secs_f64()
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
