//! What tokens leave behind that are over.

use std::time::Duration;

use shared_claims::clock::Clock;
use tokio::time::Instant;

use super::exchange::{MOST, exchanges};
use crate::backend::Backend;
use crate::load::Opened;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::stock;
use crate::tenant::Tenant;
use crate::turns::LONG_TURN;

const LIVE: usize = 100_000;
const OVER: usize = 10_000_000;
/// The server that has to remove what is over, and the one that has nothing to remove.
const SWEEPING: &str = "while it sweeps";
const BARE: &str = "nothing is over";
/// How long the sweeping server is left alone between two rounds.
const BETWEEN: Duration = Duration::from_secs(40);
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
            "Two API managers on SQLite, each with 100,000 live tokens. Into one, {over} more, with the assertions that bought them, were written
             by SQL while it was down, as if bought one after the other, 3,000 a second, the last of which was over two hours before; its own
             sweeping removes them. Exchanges (64 clients flat out over keep-alive TLS, ES256, assertions that were
             signed before) are measured at both, again and again until it has, in turns of half a second, there and back; whose turn it is not is held by SIGSTOP, and
             for {} s between two rounds the one that sweeps is left alone. Whatever is bought is bought at both, and both share the disk and
             what others leave of it, so that what differs is what is over. The size is that of the database without its write-ahead
             log (16 MiB at most while nobody writes much).",
            BETWEEN.as_secs()
        ),
    );
    let backend = Backend::start(run).await;
    let mut sweeping = Shop::opens(run, (SWEEPING, "store-sweeping"), &backend).await;
    let mut bare = Shop::opens(run, (BARE, "store-bare"), &backend).await;
    let mut before = Comparison::new("The same before anything was over");
    for number in 0..=run.rounds {
        let samples = round(run, [&mut sweeping, &mut bare]).await;
        // The first one counts for nothing: caches are cold.
        if number > 0 {
            keep(&samples, number, &mut before);
        }
    }
    let full = sweeping.stocks_what_is_over(over).await;

    let began = Instant::now();
    let mut comparison = Comparison::new("Exchanges, 64 clients, flat out, in short turns");
    let columns = ["seconds", "MiB", "MiB for what is live", "exchanges/s", "exchanges/s with nothing over"];
    let mut table = Table::new("The sweep", &columns);
    let mut row = |at: &str, [size, needed]: [f64; 2], [rate, bare]: [f64; 2]| {
        let figures = [size, needed, rate, bare].map(|figure| format!("{figure:.0}"));
        table.row(&[&[at.to_owned()], &figures[..]].concat());
    };
    let (live, rates) = (sweeping.live, [SWEEPING, BARE].map(|name| before.median(name, Sample::rate)));
    row("before", [live, live], rates);
    let mut number = 0;
    tokio::time::sleep(FIRST_SWEEP).await;
    let (end, needed) = loop {
        let seconds = began.elapsed().as_secs();
        let samples = round(run, [&mut sweeping, &mut bare]).await;
        number += 1;
        keep(&samples, number, &mut comparison);
        let (size, needed) = (sweeping.size(), sweeping.needs());
        row(&seconds.to_string(), [size, needed], samples.map(|(_, sample)| sample.rate()));
        eprintln!("store: {seconds} s, {size:.0} MiB, of which {needed:.0} are needed");
        if size <= needed * SPARE || began.elapsed() > PATIENCE {
            break (size, needed);
        }
        sweeping.server.process().goes_on();
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
    outcome.at_least(
        "the exchange rate does not fall (by a tenth at most, to that of a server with nothing over)",
        comparison.ratio(SWEEPING, BARE, Sample::rate),
        0.9,
    );
    let failures = [SWEEPING, BARE].map(|name| before.failures(name) + comparison.failures(name));
    let failures: u64 = failures.iter().sum();
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    outcome.comparisons.extend([comparison, before]);
    outcome
}

/// A server, and who exchanges there.
struct Shop {
    name: &'static str,
    server: Server,
    tenant: Tenant,
    /// The size of the database with [`LIVE`] tokens, in MiB.
    live: f64,
    /// How many were bought since.
    bought: u64,
    /// Who buys in this round.
    clients: Option<Opened>,
    /// What this round's turns took of the CPU.
    spent: Duration,
}

impl Shop {
    /// One with its live tokens, held.
    async fn opens(run: &Run, (name, folder): (&'static str, &str), backend: &Backend) -> Self {
        let mut server = Server::api_manager(run, folder, &[]).await;
        let tenant = Tenant::settle(&server, &backend.url()).await;
        let template = tenant.token().await;
        server.stops();
        let _ = stock::tokens(&server, &template, LIVE).await;
        let live = mib(server.database_size());
        let _ = server.starts().await;
        server.process().holds_still();
        Self { name, server, tenant, live, bought: 0, clients: None, spent: Duration::ZERO }
    }

    /// Has what is over written into its database, and starts it anew; the size in between, in MiB.
    async fn stocks_what_is_over(&mut self, over: usize) -> f64 {
        self.server.stops();
        eprintln!("store: writing {over} grants that are over");
        let began = Instant::now();
        stock::tokens_that_are_over(&self.server, over, Clock::System.now().minus(7_200));
        let full = self.size();
        eprintln!("store: {full:.0} MiB, written in {} s", began.elapsed().as_secs());
        let _ = self.server.starts().await;
        full
    }

    /// Lets clients in, with more exchanges than a round can come to, none of which anybody has made.
    async fn begins(&mut self, run: &Run) {
        let most = usize::try_from(run.seconds).unwrap_or(1) * MOST;
        let flow = exchanges(&self.tenant, most).await.on(&self.server.rest);
        self.server.process().goes_on();
        self.clients = Some(flow.open().await);
        self.server.process().holds_still();
    }

    /// Runs for a turn.
    async fn turn(&mut self) {
        let Some(clients) = self.clients.take() else { return };
        let process = self.server.process();
        process.goes_on();
        let before = process.cpu();
        self.clients = Some(clients.turn(LONG_TURN).await);
        self.spent += process.cpu().saturating_sub(before);
        process.holds_still();
    }

    /// What came of the turns.
    fn sample(&mut self) -> (&'static str, Sample) {
        let mut sample = self.clients.take().map_or_else(Sample::default, |mut clients| clients.sample());
        let spent = std::mem::take(&mut self.spent);
        (sample.cpu, sample.resident) = (sample.each(spent), self.server.process().resident_mib());
        self.bought += sample.requests;
        (self.name, sample)
    }

    /// Waits until the kernel has written what it was left to write: it is not to be done while it is the other's turn.
    fn is_written(&self) {
        let file = std::fs::File::open(self.server.database()).expect("the database is there");
        file.sync_all().expect("the database can be synced");
    }

    /// The size of its database, in MiB.
    fn size(&self) -> f64 {
        mib(self.server.database_size())
    }

    /// The size that what is live needs, in MiB.
    #[expect(clippy::cast_precision_loss, reason = "tokens are far fewer than 2^52")]
    fn needs(&self) -> f64 {
        self.live * (1.0 + self.bought as f64 / LIVE as f64)
    }
}

/// Lets both have their turns, and leaves both held.
async fn round(run: &Run, mut shops: [&mut Shop; 2]) -> [(&'static str, Sample); 2] {
    for shop in &mut shops {
        shop.begins(run).await;
    }
    shops.iter().for_each(|shop| shop.is_written());
    for turn in 0..run.turns(LONG_TURN) {
        let [first, second] = &mut shops;
        let order = if turn % 2 == 0 { [first, second] } else { [second, first] };
        for shop in order {
            shop.turn().await;
        }
    }
    shops.map(Shop::sample)
}

fn keep(samples: &[(&'static str, Sample)], round: usize, comparison: &mut Comparison) {
    for (name, sample) in samples {
        sample.shows("store", round, name);
        comparison.add(name, sample.clone());
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
