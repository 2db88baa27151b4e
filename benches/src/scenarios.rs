//! The scenarios, one file each. To add one: a file with `pub async fn run(run: &Run) -> Outcome`, its name in [`NAMES`] and
//! its line in [`outcome`]; what people find out by profiling goes into `benches/findings/<name>.md`.

pub mod exchange;
pub mod gateway;
pub mod introspection;
pub mod junk;
pub mod password;
pub mod scale;
pub mod startup;
pub mod store;
pub mod swaps;
pub mod tokens;

use crate::machine::Circumstances;
use crate::outcome::Outcome;
use crate::run::{Run, workspace};

/// Their names, in the order of the page.
pub const NAMES: [&str; 10] = [
    "gateway",
    "scale",
    "junk",
    "startup",
    "swaps",
    "store",
    "exchange",
    "tokens",
    "introspection",
    "password",
];

/// Runs one, and says where and when that was; `None` where there is none of that name.
pub async fn outcome(name: &str, run: &Run) -> Option<Outcome> {
    let circumstances = Circumstances::of_now(workspace(), run.work());
    let mut outcome = match name {
        "gateway" => Box::pin(gateway::run(run)).await,
        "scale" => Box::pin(scale::run(run)).await,
        "junk" => Box::pin(junk::run(run)).await,
        "startup" => Box::pin(startup::run(run)).await,
        "swaps" => Box::pin(swaps::run(run)).await,
        "exchange" => Box::pin(exchange::run(run)).await,
        "tokens" => Box::pin(tokens::run(run)).await,
        "introspection" => Box::pin(introspection::run(run)).await,
        "password" => Box::pin(password::run(run)).await,
        "store" => Box::pin(store::run(run)).await,
        _ => return None,
    };
    let optimised = run.is_optimised();
    outcome.circumstances =
        Circumstances { rounds: run.rounds, seconds: run.seconds, optimised, ..circumstances };
    for command in &mut outcome.commands {
        *command = run.shown(command);
    }
    Some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_has_one_name() {
        let distinct: std::collections::BTreeSet<&str> = NAMES.into_iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
    }
}
