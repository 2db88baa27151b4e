//! The gateway against what else could stand there: opaque token, subscription, limit and usage, 1 KiB answers.

use crate::backend::Backend;
use crate::load::{Flow, Load, Pace, Tokens, Wrk};
use crate::outcome::Outcome;
use crate::peers::{ENVOY, NGINX_LUA, Peer, all};
use crate::run::{Contender, Run};
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::statistics::Ratio;
use crate::tenant::Tenant;

/// What the tables call us.
pub const OURS: &str = "Countersign";
/// Live tokens.
const TOKENS: usize = 10_000;
/// The path of every request.
pub(crate) const PATH: &str = "/measured/1.0/thing";

/// Targets 1 and 2.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "The gateway",
        "One worker each, 64 keep-alive connections, `GET` with one of 10,000 live tokens at random, 1 KiB from a keep-alive
         backend over HTTP/1.1. Countersign checks token, provider, subscription and operation, enforces a limit and records usage;
         nginx + Lua and HAProxy only look the token up, nginx checks nothing, Envoy verifies JWTs and remembers them.",
    );
    let backend = Backend::start(run).await;
    let server = Server::api_manager(run, "gateway", &[]).await;
    let tenant = Tenant::settle(&server, &backend.url()).await;
    eprintln!("buying {TOKENS} tokens");
    let tokens = tenant.tokens(TOKENS).await;
    let (peers, missing) = all(run, &backend, &tokens).await;
    outcome.missing = missing;

    let paths = [PATH.to_owned()];
    let wrk = Wrk::new(run, "gateway", &paths, Tokens::Of(&tokens));
    // Envoy takes tokens of its own.
    let own = peers.iter().find_map(|peer| Some((peer.name, peer.tokens.as_ref()?)));
    let own = own.map(|(name, tokens)| (name, Wrk::new(run, "envoy", &paths, Tokens::Of(tokens))));
    let load = |contender: &Contender<'_>| {
        let own = own.as_ref().filter(|(name, _)| *name == contender.name);
        Load::Wrk(own.map_or(&wrk, |(_, wrk)| wrk).on(contender.origin))
    };
    outcome.command(wrk.on("http://…").seconds(run.seconds).command());

    let plain = contenders(ours(&server, &server.gateway_http), peers.iter().map(Peer::plain));
    let plain = run.compare("Plain HTTP/1.1", &plain, load).await;
    outcome.at_most("plain: CPU per request at most that of nginx + Lua", cpu(&plain, NGINX_LUA), 1.0);
    outcome.at_most("plain: CPU per request at most half of Envoy's", cpu(&plain, ENVOY), 0.5);

    let secure = contenders(ours(&server, &server.gateway), peers.iter().map(Peer::secure));
    let secure = run.compare("TLS 1.3, HTTP/1.1", &secure, load).await;
    outcome.at_most("TLS: CPU per request at most 0.95 × nginx + Lua", cpu(&secure, NGINX_LUA), 0.95);

    let close = closely(run, &server, &peers, &tokens, &plain).await;
    if let Some([plain, secure, same]) = &close {
        let name = "plain, in short turns: CPU per request at most that of nginx + Lua";
        outcome.at_most(name, cpu(plain, NGINX_LUA), 1.0);
        let name = "TLS, in short turns: CPU per request at most 0.95 × nginx + Lua";
        outcome.at_most(name, cpu(secure, NGINX_LUA), 0.95);
        tail(&mut outcome, same);
    }
    outcome.comparisons = [plain, secure].into_iter().chain(close.into_iter().flatten()).collect();
    failures(&mut outcome);
    outcome
}

/// The two that stand close together, in short turns: flat out, over TLS too, and at the same rate.
///
/// That is a third of what the slower of both can answer, offered to both, with latency counted from when a request was meant to be
/// sent. With half of it two cores are full of gateway, backend and load generator: the median is then what these wait for each
/// other, four milliseconds, whoever is asked.
async fn closely(
    run: &Run,
    server: &Server,
    peers: &[Peer],
    tokens: &[String],
    flat_out: &Comparison,
) -> Option<[Comparison; 3]> {
    let peer = peers.iter().find(|peer| peer.name == NGINX_LUA)?;
    let rate = [OURS, NGINX_LUA]
        .map(|name| flat_out.median(name, Sample::rate))
        .into_iter()
        .fold(f64::MAX, f64::min);
    let rate = (rate / 3.0).round();
    let flow = |pace| Flow::any_of(pace, tokens.to_vec(), vec![PATH.to_owned()]);
    let (most, same) = (flow(Pace::FlatOut), flow(Pace::PerSecond(rate)));
    let plain = [ours(server, &server.gateway_http), peer.plain()];
    let secure = [ours(server, &server.gateway), peer.secure()];
    let title = format!("Plain HTTP/1.1, {rate} requests/s offered (open loop), in short turns");
    Some([
        run.compare_closely("Plain HTTP/1.1, in short turns", &plain, |one| most.on(one.origin)).await,
        run.compare_closely("TLS 1.3, HTTP/1.1, in short turns", &secure, |one| most.on(one.origin)).await,
        run.compare_closely(&title, &plain, |one| same.on(one.origin)).await,
    ])
}

/// Whether the p99 at the same rate is no worse: turn by turn, for a turn in which the machine stops for some milliseconds decides the
/// p99 of its whole round, whoever's turn it is.
fn tail(outcome: &mut Outcome, same: &Comparison) {
    let (turns, rounds) = (same.tails(OURS, NGINX_LUA), same.ratio(OURS, NGINX_LUA, |sample| sample.p99));
    let figure = format!("{:.2} in {} pairs of turns; by rounds {rounds}", turns.median, turns.rounds);
    outcome.verdict("p99 no worse than nginx + Lua at the same offered load", figure, turns.is_at_most(1.0));
}

fn ours<'a>(server: &'a Server, origin: &'a str) -> Contender<'a> {
    Contender { name: OURS, process: server.process(), origin }
}

fn contenders<'a>(ours: Contender<'a>, peers: impl Iterator<Item = Contender<'a>>) -> Vec<Contender<'a>> {
    std::iter::once(ours).chain(peers).collect()
}

fn cpu(comparison: &Comparison, peer: &str) -> Ratio {
    comparison.ratio(OURS, peer, |sample| sample.cpu)
}

/// A load of valid requests has to go through: whatever failed of ours is a fault.
fn failures(outcome: &mut Outcome) {
    let failed: u64 = outcome.comparisons.iter().map(|comparison| comparison.failures(OURS)).sum();
    outcome.verdict("no request failed", failed.to_string(), Some(failed == 0));
}
