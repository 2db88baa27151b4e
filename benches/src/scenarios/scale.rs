//! What many tokens and many APIs cost: the gateway against itself.

use super::gateway::PATH;
use crate::backend::Backend;
use crate::load::{Flow, Pace, each_once, get};
use crate::outcome::{Outcome, Table};
use crate::run::{Contender, Run};
use crate::server::Server;
use crate::stock;
use crate::tenant::Tenant;

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const APIS: usize = 5_000;
/// The most tokens that are tried again after all were used.
const SAMPLED: usize = 10_000;

const BASE: &str = "10,000 tokens, 1 API";
const MANY_TOKENS: &str = "1,000,000 tokens, 1 API";
const MANY_APIS: &str = "10,000 tokens, 5,000 APIs";

/// Target 3.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Many tokens, many APIs",
        "Three servers with one worker each, plain HTTP/1.1, 64 keep-alive connections, another token and another API each time.
         Ours is the load, and what drifts on a shared machine drifts within a second: in each round every server has ten turns of a
         tenth of a second for each second, there and back (A B C, C B A, …), over connections that stay open. The tokens were written into the stopped server's database. Every one is used once
         before the first round, and of each hundred one again without a look-up, so that they are cached. Bytes a cached token
         are what resident memory grows by in that pass, from the 10,000th token on.",
    );
    let backend = Backend::start(run).await;

    let (base, few) = with_tokens(run, &backend, "scale-base", FEW).await;
    warm(&base, &few).await;

    let (many, lots) = with_tokens(run, &backend, "scale-tokens", MANY).await;
    let (first, rest) = lots.split_at(FEW);
    warm(&many, first).await;
    let before = many.process().resident();
    warm(&many, rest).await;
    let grown = many.process().resident().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let each = grown as f64 / rest.len() as f64;
    let mut table = Table::new("Memory of the cache", &["", "value"]);
    table.row(&["tokens used once, from the 10,000th on".to_owned(), rest.len().to_string()]);
    table.row(&[
        "resident memory grew by".to_owned(),
        format!("{:.1} MiB", grown as f64 / f64::from(1 << 20)),
    ]);
    table.row(&["bytes a token".to_owned(), format!("{each:.0}")]);
    outcome.tables.push(table);

    let (wide, wide_tokens, paths) = with_apis(run, &backend, "scale-apis").await;
    warm(&wide, &wide_tokens).await;

    let one = vec![PATH.to_owned()];
    let loads = [(few, one.clone()), (lots, one), (wide_tokens, paths)]
        .map(|(tokens, paths)| Flow::any_of(Pace::FlatOut, tokens, paths));
    let servers = [(BASE, &base), (MANY_TOKENS, &many), (MANY_APIS, &wide)];
    let contenders = servers.map(|(name, server)| Contender {
        name,
        process: server.process(),
        origin: &server.gateway_http,
    });
    let load = |contender: &Contender<'_>| {
        let place = servers.iter().position(|(name, _)| *name == contender.name).unwrap_or_default();
        loads.get(place).expect("a load for each").on(contender.origin)
    };
    let comparison = run.compare_closely("Plain HTTP/1.1", &contenders, load).await;

    let to_base = |name: &str| comparison.ratio(name, BASE, |sample| sample.cpu);
    outcome.at_most("1,000,000 tokens: at most 10 % more CPU per request", to_base(MANY_TOKENS), 1.1);
    outcome.verdict("at most 200 bytes of memory a cached token", format!("{each:.0}"), Some(each <= 200.0));
    outcome.at_most("5,000 APIs: at most 5 % more CPU per request", to_base(MANY_APIS), 1.05);
    let failures: u64 = servers.iter().map(|(name, _)| comparison.failures(name)).sum();
    outcome.verdict("no request failed", failures.to_string(), Some(failures == 0));
    outcome.comparisons.push(comparison);
    outcome
}

/// A server whose database was filled with that many grants while it was down.
async fn with_tokens(run: &Run, backend: &Backend, name: &str, count: usize) -> (Server, Vec<String>) {
    let mut server = Server::api_manager(run, name, &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let template = tenant.token().await;
    server.stops();
    eprintln!("{name}: writing {count} grants");
    let tokens = stock::tokens(&server, &template, count).await;
    let took = server.starts().await;
    eprintln!("{name}: ready in {} ms", took.as_millis());
    (server, tokens)
}

/// A server with many APIs, its tokens and the paths of all the APIs.
pub(super) async fn with_apis(
    run: &Run,
    backend: &Backend,
    name: &str,
) -> (Server, Vec<String>, Vec<String>) {
    let mut server = Server::api_manager(run, name, &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    let template = tenant.token().await;
    server.stops();
    eprintln!("{name}: writing {APIS} APIs");
    let contexts = stock::apis(&server, &tenant.api.id, APIS - 1).await;
    let tokens = stock::tokens(&server, &template, FEW).await;
    let took = server.starts().await;
    eprintln!("{name}: ready in {} ms", took.as_millis());
    let paths = contexts.iter().map(|context| format!("/{context}/1.0/thing"));
    let paths = std::iter::once(PATH.to_owned()).chain(paths).collect();
    (server, tokens, paths)
}

/// Uses every token once, in order, and makes sure that the gateway remembers them.
///
/// # Panics
/// Tokens are left cold: refused, looked up more than once, or forgotten again.
async fn warm(server: &Server, tokens: &[String]) {
    eprintln!("using {} tokens once", tokens.len());
    let failed = uses(server, tokens.to_vec()).await;
    assert!(failed == 0, "{failed} of {} tokens are cold: their requests failed", tokens.len());

    let before = server.lookups().await;
    let again: Vec<String> = tokens.iter().step_by(tokens.len().div_ceil(SAMPLED)).cloned().collect();
    let many = again.len();
    let failed = uses(server, again).await;
    let cold = server.lookups().await - before;
    // Where the server does not count its look-ups, nothing is known of them.
    let is_cold = cold > 0.0;
    assert!(
        failed == 0 && !is_cold,
        "of {many} tokens that had been used, {cold} had to be looked up again and {failed} failed: the cache does not hold them"
    );
}

async fn uses(server: &Server, tokens: Vec<String>) -> usize {
    let count = tokens.len();
    each_once(&server.gateway_http, count, move |place| {
        get(PATH, "localhost", tokens.get(place).map_or("", String::as_str))
    })
    .await
}
