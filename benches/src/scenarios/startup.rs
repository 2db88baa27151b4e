//! How long a start takes where much is stored, and what a server weighs that has nothing to do.

use std::time::Duration;

use crate::backend::Backend;
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::server::Server;
use crate::statistics::median;
use crate::stock;
use crate::tenant::Tenant;

const APIS: usize = 1_000;
const APPLICATIONS: usize = 100_000;
const TOKENS: usize = 1_000_000;
/// How long a server is left alone before it is weighed: all that a start leaves behind has gone by then.
const IDLE: Duration = Duration::from_secs(5);

/// Target 9.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Starting",
        "An API manager with one worker on SQLite that holds 1,000 published APIs, 100,000 applications, each subscribed to one of
         them, and 1,000,000 live tokens. Counted from the start of the process to the first 200 of `/health/ready`, asked for
         every two milliseconds. Then a server with an empty store, weighed five seconds after it is ready.",
    );
    let backend = Backend::start(run).await;
    let mut server = Server::api_manager(run, "startup", &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let template = tenant.token().await;
    server.stops();
    eprintln!("startup: writing {APIS} APIs, {APPLICATIONS} applications, {TOKENS} grants");
    let _ = stock::apis(&server, &tenant.api.id, APIS - 1).await;
    stock::applications(&server, &tenant.application.id, APPLICATIONS - 1).await;
    let _ = stock::tokens(&server, &template, TOKENS).await;

    let mut table = Table::new("Starts", &["round", "ready after ms", "CPU ms", "resident MiB"]);
    let mut times = Vec::new();
    // The first one reads a file that was just written.
    let _ = server.starts().await;
    for round in 1..=run.rounds {
        server.stops();
        let took = server.starts().await.as_secs_f64() * 1e3;
        times.push(took);
        let (cpu, resident) = (server.process().cpu().as_secs_f64() * 1e3, server.process().resident_mib());
        table.row(&[round.to_string(), format!("{took:.0}"), format!("{cpu:.0}"), format!("{resident:.1}")]);
        eprintln!("startup: ready after {took:.0} ms, CPU {cpu:.0} ms");
    }
    outcome.tables.push(table);
    drop(server);

    let mut empty = Server::api_manager(run, "startup-empty", &[]).await;
    // What is made once (keys, the database, a password's hash) is made by now.
    empty.stops();
    let _ = empty.starts().await;
    tokio::time::sleep(IDLE).await;
    let resident = empty.process().resident_mib();

    let ready = median(&times);
    outcome.verdict("ready in under 500 ms", format!("{ready:.0} ms"), Some(ready < 500.0));
    outcome.verdict(
        "idle resident memory under 30 MiB with an empty store",
        format!("{resident:.1} MiB"),
        Some(resident < 30.0),
    );
    outcome
}
