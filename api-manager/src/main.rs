//! The command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command answers goes to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use api_manager::commands::{self, TrustAdd};
use api_manager::settings::{PREFIX, Settings};
use clap::{Args, Parser, Subcommand};
use shared_claims::clock::Clock;
use shared_server::memory::Small;
use shared_server::settings::Loader;
use shared_server::telemetry::init_logging;

/// The system's allocator, whose place mimalloc takes as it is linked (`override`), for OpenSSL, SQLite and libpq too: a request makes
/// some twenty small things and gives them back on the thread that made them. By its own name, `mimalloc::MiMalloc`, it would be asked
/// for an alignment each time, which it has anyway, and would give what is not small more room for that.
#[global_allocator]
static ALLOCATOR: std::alloc::System = std::alloc::System;
use mimalloc as _;

/// Exchanges trusted issuers' JWTs for opaque tokens, and guards APIs with them.
#[derive(Parser)]
#[command(name = "api-manager", version)]
struct Cli {
    /// A TOML file with settings; the environment (API_MANAGER_…) overrides it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves; this is what happens without a command.
    Serve,
    /// Keeps trusted identity providers.
    #[command(subcommand)]
    Trust(TrustCommand),
}

#[derive(Subcommand)]
enum TrustCommand {
    /// Trusts an identity provider and prints what was registered.
    Add(TrustArguments),
}

#[derive(Args)]
struct TrustArguments {
    /// The URL of an issuer, of its metadata or of its JWK set; or a PEM file with its certificates.
    source: String,
    /// What its tokens hold in `aud`: the client ID that they are issued for.
    #[arg(long)]
    alias: String,
    /// Its name; for a file or a JWK set also its issuer, byte for byte as in `iss`.
    #[arg(long)]
    name: Option<String>,
}

fn main() -> ExitCode {
    let small = Small::begin();
    let cli = Cli::parse();
    // For what goes on in the background; gateway and management have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(obey(cli, small)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api-manager: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(cli: Cli, small: Small) -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::read(Loader::from_system(PREFIX, cli.config.as_deref())?)?;
    init_logging(&settings.log, settings.log_format);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            tokio::spawn(small.watch());
            let running = api_manager::run(settings, Clock::System).await?;
            if let Some(password) = &running.administrator_password {
                // Exposed to be shown this once.
                eprintln!(
                    "The administrator is `admin`, the password (shown only now): {}",
                    password.expose()
                );
            }
            running.wait().await;
        }
        Command::Trust(TrustCommand::Add(TrustArguments { source, alias, name })) => {
            let provider =
                commands::trust_add(&settings, &Clock::System, TrustAdd { source, alias, name }).await?;
            println!("id      {}\nissuer  {}\nalias   {}", provider.id, provider.issuer, provider.alias);
        }
    }
    Ok(())
}
