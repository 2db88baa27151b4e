//! The command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command answers goes to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use identity_server::commands::{self, NewClient};
use identity_server::settings::{PREFIX, Settings, read_password};
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

/// Signs people in and issues self-contained JWTs.
#[derive(Parser)]
#[command(name = "identity-server", version)]
struct Cli {
    /// A TOML file with settings; the environment (IDENTITY_SERVER_…) overrides it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves; this is what happens without a command.
    Serve,
    /// Prints the certificate of the key that signs now.
    Certificate,
    /// Keeps clients.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Keeps users.
    #[command(subcommand)]
    User(UserCommand),
    /// Keeps signing keys.
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Registers a client and prints its identifier and its secret, once.
    Create(ClientArguments),
}

#[derive(Args)]
struct ClientArguments {
    /// For people.
    #[arg(long)]
    name: String,
    /// password, client_credentials, refresh_token; separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    grant_types: Vec<String>,
    /// Further audiences of its tokens, separated by commas.
    #[arg(long, value_delimiter = ',')]
    audiences: Vec<String>,
    /// What it may ask for, separated by commas.
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Makes a user and prints its identifier.
    Create(UserArguments),
}

#[derive(Args)]
struct UserArguments {
    /// The name to sign in with.
    #[arg(long)]
    username: String,
    /// Reads the password from standard input.
    #[arg(long, conflicts_with = "password_file", required_unless_present = "password_file")]
    password_stdin: bool,
    /// Reads the password from a file.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Makes the next RSA signing key and prints its kid.
    Rotate,
}

fn main() -> ExitCode {
    let small = Small::begin();
    let cli = Cli::parse();
    // One thread: requests are answered by the workers that the server starts for itself.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(obey(cli, small)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("identity-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(cli: Cli, small: Small) -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::read(Loader::from_system(PREFIX, cli.config.as_deref())?)?;
    init_logging(&settings.log, settings.log_format);
    let clock = Clock::System;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            tokio::spawn(small.watch());
            let running = identity_server::run(settings, clock).await?;
            if let Some(password) = &running.administrator_password {
                // Exposed to be shown this once.
                eprintln!(
                    "The administrator is `admin`, the password (shown only now): {}",
                    password.expose()
                );
            }
            running.wait().await;
        }
        Command::Certificate => print!("{}", commands::certificate(&settings, &clock).await?),
        Command::Client(ClientCommand::Create(arguments)) => {
            let ClientArguments { name, grant_types, audiences, scopes } = arguments;
            let new = NewClient { name, grant_types, audiences, scopes };
            let (id, secret) = commands::create_client(&settings, &clock, new).await?;
            println!("client_id: {id}\nclient_secret: {}", secret.expose());
        }
        Command::User(UserCommand::Create(arguments)) => {
            let password = read_password(arguments.password_file.as_deref())?;
            println!(
                "id: {}",
                commands::create_user(&settings, &clock, &arguments.username, password).await?
            );
        }
        Command::Keys(KeysCommand::Rotate) => {
            println!("kid: {}", commands::rotate_keys(&settings, &clock).await?)
        }
    }
    Ok(())
}
