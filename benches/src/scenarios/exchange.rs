//! The exchange against what it cannot do without: a verification, a durable insert, and being asked at all.

mod on_postgres;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::idp::KeyKind;

use crate::limits::{Cost, Hello, Inserts, Postgres, Verifications};
use crate::load::{Flow, Pace, post_form};
use crate::outcome::{Outcome, Table};
use crate::run::{Contender, Run};
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::statistics::{Ratio, median};
use crate::tenant::Tenant;
use crate::turns::{LONG_TURN, Turns};

const OURS: &str = "Countersign";
const HELLO: &str = "actix-web hello";
const HELLO_TLS: &str = "actix-web hello, TLS";
/// More exchanges a second than any run reached, which was 12,914.
pub(super) const MOST: usize = 20_000;
/// The size of the groups that commits are compared in; what 64 clients come to is about that.
const GROUP: usize = 16;
const PATH: &str = "/oauth2/token";
/// Of the server to PostgreSQL, and of pgbench.
const CONNECTIONS: u32 = 8;

/// Target 5.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "The exchange",
        "jwt-bearer at the API manager: 64 clients over keep-alive TLS 1.3, each request with an RS256 assertion of its own
         that was signed before; SQLite on disk (`synchronous = FULL`), as many workers as cores, the load generator on the
         same cores. The servers' turns are of half a second, there and back, for what drifts on a shared machine drifts
         within a second or two. The limits have theirs after each of these: an RS256 verification with a parsed key, the two rows of an exchange
         by the same statements on the same schema in durable commits of 16 and of one, and an actix-web server in a process of
         its own that reads the same form and answers `hello`.",
    );
    let cores = std::thread::available_parallelism().map_or(2, usize::from).to_string();
    let server = Server::api_manager(run, "exchange", &[("WORKERS", &cores)]).await;
    let tenant = Tenant::settle_with(&server, "http://127.0.0.1:9", KeyKind::Rsa).await;
    let turns = usize::try_from(run.seconds).unwrap_or(1) * run.rounds + 2;
    let flow = exchanges(&tenant, turns * MOST).await;
    let (hello, hello_tls) = (Hello::start(run, "http").await, Hello::start(run, "https").await);
    let again = form_again(&tenant);
    let inserts = Inserts::on_sqlite(run.work()).await;

    let (title, verifications) = ("64 clients, flat out", Arc::new(Verifications::new()));
    let contenders = [
        Contender { name: OURS, process: server.process(), origin: &server.rest },
        Contender { name: HELLO, process: &hello.process, origin: &hello.origin },
        Contender { name: HELLO_TLS, process: &hello_tls.process, origin: &hello_tls.origin },
    ];
    let load = |one: &Contender<'_>| if one.name == OURS { &flow } else { &again }.on(one.origin);
    let mut turns = Turns::open((title, LONG_TURN), &contenders, load).await;
    let mut comparison = Comparison::new(title);
    let (mut verify, mut grouped, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=run.rounds {
        let mut costs = [Cost::default(); 3];
        for _ in 0..run.turns(LONG_TURN) {
            turns.next().await;
            let [verified, together, single] = &mut costs;
            *verified += verifies(&verifications, LONG_TURN).await;
            *together += inserts.turn(GROUP, LONG_TURN).await;
            *single += inserts.turn(1, LONG_TURN).await;
        }
        turns.samples(round, &mut comparison);
        let [verified, together, single] = costs;
        verify.push(verified);
        grouped.push(together);
        alone.push(single);
    }

    let cpu: fn(&Sample) -> f64 = |sample| sample.cpu;
    let ours = comparison.figures(OURS, cpu);
    let sum = |hello: &str, inserts: &[Cost]| -> Vec<f64> {
        let hello = comparison.figures(hello, cpu);
        let costs = verify.iter().zip(inserts).map(|(verify, insert)| verify.each() + insert.each());
        costs.zip(hello).map(|(costs, hello)| costs + hello).collect()
    };
    let ratio = |hello, inserts| Ratio::of(&ours, &sum(hello, inserts));
    outcome.at_most(
        "CPU at most 1.5 × (verify + insert in groups + hello over TLS)",
        ratio(HELLO_TLS, &grouped),
        1.5,
    );
    outcome.at_most("the same with the hello of plain HTTP", ratio(HELLO, &grouped), 1.5);
    outcome.at_most("the same with an insert committed alone", ratio(HELLO, &alone), 1.5);
    let rate = comparison.median(OURS, Sample::rate);
    outcome.verdict("at least 3,000 exchanges a second", format!("{rate:.0}/s"), Some(rate >= 3_000.0));
    let failures = comparison.failures(OURS);
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    outcome.tables.push(limits(&verify, &grouped, &alone));
    outcome.comparisons.push(comparison);
    match Postgres::start(run, CONNECTIONS).await {
        Ok(postgres) => on_postgres::compare(run, postgres, &hello_tls, &mut outcome).await,
        Err(why) => outcome.missing.push(why),
    }
    outcome
}

fn limits(verify: &[Cost], grouped: &[Cost], alone: &[Cost]) -> Table {
    let mut table = Table::new("The limits, medians over the rounds", &["", "CPU µs each", "a second"]);
    for (name, costs) in [
        ("RS256 verification", verify),
        ("two rows in commits of 16", grouped),
        ("two rows in a commit of their own", alone),
    ] {
        let of = |figure: fn(&Cost) -> f64| median(&costs.iter().map(figure).collect::<Vec<f64>>());
        table.row(&[name.to_owned(), format!("{:.1}", of(Cost::each)), format!("{:.0}", of(Cost::rate))]);
    }
    table
}

async fn verifies(verifications: &Arc<Verifications>, lasts: Duration) -> Cost {
    let verifications = Arc::clone(verifications);
    let turn = tokio::task::spawn_blocking(move || verifications.turn(lasts));
    turn.await.expect("verifying does not panic")
}

/// One exchange's request again and again, for those who only read it.
fn form_again(tenant: &Tenant) -> Flow {
    let form = form(tenant, &tenant.assertion("somebody"));
    Flow::new(Pace::FlatOut, move |_| Some(form.clone()))
}

pub(crate) fn form(tenant: &Tenant, assertion: &str) -> Vec<u8> {
    let application = &tenant.application;
    let form =
        format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    post_form(PATH, "localhost", (&application.key, &application.secret), &form)
}

/// A load of so many exchanges, each with an assertion that nobody used.
///
/// # Panics
/// The load does, once it has none left: what follows would be a server that is said to answer nothing.
pub(super) async fn exchanges(tenant: &Tenant, count: usize) -> Flow {
    eprintln!("signing {count} assertions");
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let signed: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let sign = |first: usize| {
            (first..count)
                .step_by(threads)
                .map(|n| form(tenant, &tenant.assertion(&format!("person-{}", n % 10_000))))
                .collect::<Vec<_>>()
        };
        let parts: Vec<_> = (0..threads).map(|first| scope.spawn(move || sign(first))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("signing does not panic")).collect()
    });
    each_in_turn(signed)
}

/// Each of these once, across turns and connections.
fn each_in_turn(requests: Vec<Vec<u8>>) -> Flow {
    let next = AtomicUsize::new(0);
    Flow::new(Pace::FlatOut, move |_| {
        let request = requests.get(next.fetch_add(1, Ordering::Relaxed));
        Some(request.expect("there are more assertions than a server exchanges: see MOST").clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{HELLO, get, server};

    #[tokio::test]
    #[should_panic(expected = "there are more assertions than a server exchanges")]
    async fn a_load_that_has_no_assertion_left_breaks_the_run_off() {
        let two = vec![get("/", "x", "t"); 2];
        let opened = each_in_turn(two).on(&server(HELLO, Duration::ZERO)).connections(1).open().await;
        opened.turn(Duration::from_secs(60)).await;
    }
}
