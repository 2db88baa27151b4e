//! Whether callers notice that the route table is replaced.

use std::sync::Arc;
use std::time::Duration;

use e2e::client::{Answer, Call, Http};
use e2e::world::ADMIN_PASSWORD;
use serde_json::json;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::scale::with_apis;
use crate::backend::Backend;
use crate::load::{Flow, Load, Pace, Tokens, Wrk};
use crate::outcome::{Outcome, Table};
use crate::run::Run;
use crate::sample::{Comparison, Sample};
use crate::server::Server;
use crate::statistics::median;

const REST: &str = "at rest";
const SWAPPING: &str = "20 changes a second";
/// Between two changes.
const EVERY: Duration = Duration::from_millis(50);

/// Target 10.
pub async fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::new(
        "Route table swaps",
        "5,000 published APIs, 10,000 tokens, one worker; a third of what it can answer is offered evenly (open loop, latency from
         the moment at which a request was meant to be sent), at rest and while a hundred of the APIs are replaced in turn by REST
         (`PUT`), one each 50 ms whether or not the last one was answered. Each change is answered when the gateway acts on it.",
    );
    let backend = Backend::start(run).await;
    let (server, tokens, paths) = with_apis(run, &backend, "swaps").await;

    let wrk = Wrk::new(run, "swaps", &paths, Tokens::Of(&tokens)).on(&server.gateway_http);
    let _ = Load::Wrk(wrk.clone()).seconds(2).run().await;
    let rate = (Load::Wrk(wrk).seconds(run.seconds).run().await.rate() / 3.0).round();

    let flow = Flow::any_of(Pace::PerSecond(rate), tokens, paths);
    let flow = flow.on(&server.gateway_http);

    let swapper = Arc::new(Swapper::of(&server).await);
    let mut comparison = Comparison::new(format!("{rate} requests/s offered"));
    let mut changes = Vec::new();
    for round in 1..=run.rounds {
        comparison.add(REST, run.sample(server.process(), Load::Flow(flow.clone())).await);
        let (stop, stopped) = oneshot::channel();
        let swapper = tokio::spawn(swap(Arc::clone(&swapper), stopped));
        comparison.add(SWAPPING, run.sample(server.process(), Load::Flow(flow.clone())).await);
        let _ = stop.send(());
        changes.push(swapper.await.expect("the changes do not panic"));
        let last = |name| comparison.figures(name, |sample| sample.p99).last().copied().unwrap_or(f64::NAN);
        let (rest, swapping) = (last(REST), last(SWAPPING));
        eprintln!(
            "swaps: round {round}: p99 {rest:.2} ms at rest, {swapping:.2} ms with changes, at {rate}/s"
        );
    }
    outcome.tables.push(table(&changes));

    let p99: fn(&Sample) -> f64 = |sample| sample.p99;
    outcome.at_most("p99 within 1.2 × of p99 at rest", comparison.ratio(SWAPPING, REST, p99), 1.2);
    let failures = comparison.failures(SWAPPING) + comparison.failures(REST);
    outcome.verdict("not one failed request", failures.to_string(), Some(failures == 0));
    let rate = changes.iter().map(Changes::rate).fold(f64::MAX, f64::min);
    let refused: usize = changes.iter().map(|changes| changes.refused).sum();
    let fast = rate >= 19.0 && refused == 0;
    outcome.verdict(
        "20 changes a second are taken and acted on (19 at least)",
        format!("{rate:.1}/s in the slowest round, {refused} refused"),
        Some(fast),
    );
    outcome.comparisons.push(comparison);
    outcome
}

/// What the changes of one round came to.
struct Changes {
    seconds: f64,
    /// How long each took until its answer, in milliseconds.
    took: Vec<f64>,
    refused: usize,
}

impl Changes {
    #[expect(clippy::cast_precision_loss, reason = "there are hundreds")]
    fn rate(&self) -> f64 {
        self.took.len() as f64 / self.seconds
    }
}

fn table(changes: &[Changes]) -> Table {
    let mut table =
        Table::new("The changes", &["round", "answered", "a second", "refused", "median ms", "slowest ms"]);
    for (round, changes) in changes.iter().enumerate() {
        let slowest = changes.took.iter().copied().fold(0.0, f64::max);
        table.row(&[
            (round + 1).to_string(),
            changes.took.len().to_string(),
            format!("{:.1}", changes.rate()),
            changes.refused.to_string(),
            format!("{:.0}", median(&changes.took)),
            format!("{slowest:.0}"),
        ]);
    }
    table
}

/// The APIs that are replaced in turn.
struct Swapper {
    http: Http,
    apis: Vec<Api>,
}

/// One of them as it is now, so that nobody has to ask before a change.
struct Api {
    url: String,
    now: Mutex<(String, serde_json::Value)>,
}

impl Swapper {
    async fn of(server: &Server) -> Self {
        let (http, rest) = (Http::new(), format!("{}/api/v1/apis", server.rest));
        let get = |url: String| http.send(Call::get(url).basic("admin", ADMIN_PASSWORD));
        let listed = get(format!("{rest}?limit=100")).await.expect(200).json();
        let items = listed.get("items").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let mut apis = Vec::new();
        for id in items.iter().filter_map(|item| item.get("id")?.as_str()) {
            let url = format!("{rest}/{id}");
            let found = get(url.clone()).await.expect(200);
            apis.push(Api { url, now: Mutex::new(tagged(&found)) });
        }
        Self { apis, http }
    }

    /// Replaces the API of a number by itself with another description.
    async fn change(&self, number: usize) -> Option<f64> {
        let api = self.apis.get(number % self.apis.len())?;
        // Whoever comes after a change that takes long waits for it.
        let mut now = api.now.lock().await;
        let (etag, document) = &mut *now;
        document.as_object_mut()?.insert("description".to_owned(), json!(format!("change {number}")));
        let put = Call::put(&api.url).header("if-match", etag.as_str()).json(document);
        let began = Instant::now();
        let answer = self.http.try_send(put.basic("admin", ADMIN_PASSWORD)).await;
        let took = began.elapsed().as_secs_f64() * 1e3;
        match answer {
            Ok(answer) if answer.status == 200 => {
                *now = tagged(&answer);
                Some(took)
            }
            // It may have been taken all the same: one failure is to be one.
            _ => {
                let found =
                    self.http.try_send(Call::get(&api.url).basic("admin", ADMIN_PASSWORD)).await.ok()?;
                *now = tagged(&found);
                None
            }
        }
    }
}

/// The tag of an API and its document.
fn tagged(answer: &Answer) -> (String, serde_json::Value) {
    (answer.header("etag").to_owned(), answer.json())
}

async fn swap(swapper: Arc<Swapper>, mut stopped: oneshot::Receiver<()>) -> Changes {
    let (began, mut ticks) = (Instant::now(), interval(EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = Vec::new();
    while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
        ticks.tick().await;
        let (swapper, number) = (Arc::clone(&swapper), under_way.len());
        under_way.push(tokio::spawn(async move { swapper.change(number).await }));
    }
    let (mut took, mut refused) = (Vec::new(), 0);
    for change in under_way {
        match change.await.expect("a change does not panic") {
            Some(milliseconds) => took.push(milliseconds),
            None => refused += 1,
        }
    }
    Changes { seconds: began.elapsed().as_secs_f64(), took, refused }
}
