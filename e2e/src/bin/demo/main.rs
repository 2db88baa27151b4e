//! `cargo demo`: both servers, a backend, and the whole scenario, told as the curl lines that a person can paste.
//!
//! The administrator is `admin` with the password `admin`. That is for the demo only: no server has a default password.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "telling is what a demo is for")]
#![expect(clippy::indexing_slicing, reason = "only JSON is indexed, where a missing member reads as null")]

mod curl;
mod guide;
mod scenario;
mod seed;
mod stack;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use e2e::backend::Backend;

use guide::{Failure, Guide};
use scenario::Places;
use stack::Stack;

/// Starts both servers with a throw-away data directory, walks the scenario, and stays up until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Options {
    /// Adds N to each of the ports 9443, 9444 and 8244.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=55_000))]
    port_offset: u16,

    /// Ends after the last step: 0 where every answer was the expected one, else 1.
    #[arg(long)]
    once: bool,

    /// Starts nothing: makes the objects at servers that run already, as docker-compose.yml does.
    #[arg(long, requires_all = ["identity", "manager", "gateway", "backend_url", "admin"], conflicts_with = "backend")]
    seed: bool,

    /// With --seed: where the identity server is.
    #[arg(long, value_name = "URL")]
    identity: Option<String>,

    /// With --seed: where the API manager is.
    #[arg(long, value_name = "URL")]
    manager: Option<String>,

    /// With --seed: where the gateway is.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,

    /// With --seed: where the API manager finds the backend.
    #[arg(long, value_name = "URL")]
    backend_url: Option<String>,

    /// With --seed: the administrator of both servers.
    #[arg(long, value_name = "NAME:PASSWORD")]
    admin: Option<String>,

    /// Serves the hello-world backend alone.
    #[arg(long, value_name = "ADDRESS")]
    backend: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let told = if let Some(address) = options.backend {
        serve_backend(address).await
    } else if options.seed {
        Box::pin(seed_servers(&options)).await
    } else {
        Box::pin(walk(&options)).await
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            eprintln!("\n{why}");
            ExitCode::FAILURE
        }
    }
}

async fn walk(options: &Options) -> Result<(), Failure> {
    let stack = Stack::start(options.port_offset).await?;
    let places = stack.places();
    let guide = Guide::new();
    guide.opening(&places);
    let walked = scenario::walk(&guide, &places).await;
    if walked.is_ok() {
        guide.closing(&places);
        if !options.once {
            println!(
                "Both servers stay up until you press Ctrl-C. Then everything that they know is gone.\n"
            );
            until_asked_to_end().await;
        }
    }
    stack.stop().await;
    walked.map(drop)
}

async fn seed_servers(options: &Options) -> Result<(), Failure> {
    let text = |option: &Option<String>| option.clone().unwrap_or_default().trim_end_matches('/').to_owned();
    let admin = text(&options.admin);
    let (name, password) =
        admin.split_once(':').ok_or_else(|| Failure::new("--admin wants NAME:PASSWORD"))?;
    let places = Places {
        identity: text(&options.identity),
        manager: text(&options.manager),
        gateway: text(&options.gateway),
        backend: text(&options.backend_url),
        admin: (name.to_owned(), password.to_owned()),
    };
    let guide = Guide::quiet(&places);
    seed::wait_until_ready(&guide, &places).await?;
    let made = seed::seed(&guide, &places).await?;
    guide.your_turn(&places, &made);
    Ok(())
}

async fn serve_backend(address: SocketAddr) -> Result<(), Failure> {
    let backend =
        Backend::start_on(address).await.map_err(|why| Failure::new(format!("{address}: {why}")))?;
    println!("The hello-world backend answers on {}", backend.url());
    until_asked_to_end().await;
    Ok(())
}

/// Ctrl-C, or SIGTERM from whoever runs containers.
async fn until_asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};

    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
