//! `cargo compare`: runs scenarios and writes `BENCHMARKS.md`.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it talks to whoever started it")]

use std::path::PathBuf;
use std::process::ExitCode;

use benches::run::{self, Run};
use benches::{limits, optimised, report, scenarios};
use clap::Parser;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Compares the servers with their peers and with physical limits, and writes BENCHMARKS.md. The results of scenarios that
/// are not run stay as they were.
#[derive(Parser)]
struct Arguments {
    /// The scenarios to run; all of them where none is named.
    scenarios: Vec<String>,
    /// How many rounds; a ratio is the median over them.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of load for each contender in a round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// A folder of built servers; they are built in release where none is given.
    #[arg(long)]
    built: Option<PathBuf>,
    /// Builds them as `cargo optimise` does.
    #[arg(long, conflicts_with = "built")]
    optimised: bool,
    /// Only builds the servers, and says where they are.
    #[arg(long)]
    build: bool,
    /// Only lists the scenarios.
    #[arg(long)]
    list: bool,
    /// Only writes BENCHMARKS.md anew, from the results that are there.
    #[arg(long)]
    render: bool,
    /// Serves the hello that exchanges are compared with, and nothing else: on this address, with TLS where a certificate
    /// and its key are named.
    #[arg(long, hide = true, num_args = 1..=3)]
    hello: Vec<String>,
    /// Keeps no results and leaves BENCHMARKS.md alone: for trying out.
    #[arg(long)]
    dry: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("there is no runtime: {why}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        tokio::select! {
            code = work(arguments) => code,
            // The work is dropped, and with it every process and the work folder.
            () = told_to_end() => {
                eprintln!("told to end: the servers have been stopped");
                ExitCode::FAILURE
            }
        }
    });
    // Not waited for: a load that nobody wants any more may have minutes to go.
    runtime.shutdown_background();
    code
}

/// Returns at SIGTERM or SIGINT; never where these cannot be waited for.
async fn told_to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn work(arguments: Arguments) -> ExitCode {
    if let [address, files @ ..] = arguments.hello.as_slice() {
        limits::serve(address, files).await;
        return ExitCode::SUCCESS;
    }
    if arguments.list {
        println!("{}", scenarios::NAMES.join("\n"));
        return ExitCode::SUCCESS;
    }
    if arguments.render {
        report::write();
        return ExitCode::SUCCESS;
    }
    let all = || scenarios::NAMES.map(str::to_owned).to_vec();
    let names = if arguments.scenarios.is_empty() { all() } else { arguments.scenarios };
    if let Some(unknown) = names.iter().find(|name| !scenarios::NAMES.contains(&name.as_str())) {
        eprintln!("There is no scenario {unknown}; there are: {}", scenarios::NAMES.join(", "));
        return ExitCode::FAILURE;
    }

    let built = match arguments.built {
        Some(built) => Ok(built),
        None if arguments.optimised => optimised::build().await,
        None => Ok(run::build()),
    };
    let built = match built {
        Ok(built) => built,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.build {
        println!("{}", built.display());
        return ExitCode::SUCCESS;
    }
    let run = Run::prepare(arguments.rounds, arguments.seconds, built);
    for name in names {
        let Some(outcome) = scenarios::outcome(&name, &run).await else { continue };
        for verdict in &outcome.verdicts {
            println!("{name}: {}: {} (met: {:?})", verdict.target, verdict.figure, verdict.met);
        }
        if !arguments.dry {
            report::keep(&name, &outcome);
            report::write();
        }
    }
    ExitCode::SUCCESS
}
