//! `cargo optimise`: builds the servers by what they do most.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it talks to whoever started it")]

use std::process::ExitCode;

use benches::optimised;

#[tokio::main]
async fn main() -> ExitCode {
    match optimised::build().await {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
