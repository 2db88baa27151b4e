//! The contract's own walk against the real binaries, where the contract is at hand.

use std::path::Path;

use test_support::{leave_out, on_every_stage};

use crate::process::Server;

on_every_stage! {
    async fn the_contract_holds(stage: Stage) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/contract/contract.py");
        if !script.is_file() {
            // Not an error in CI either: the script is not part of this repository.
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "LEFT OUT  contract: {} is not there", script.display());
            return;
        }
        if tokio::process::Command::new("python3").arg("--version").output().await.is_err() {
            leave_out("contract", "python3 is not there");
            return;
        }
        let identity = Server::identity_server(&stage.database_url().await).await;
        let manager = Server::api_manager(&stage.database_url().await).await;

        let mut walk = tokio::process::Command::new("python3");
        walk.arg(script).args(["--identity", &identity.url, "--manager", &manager.url]);
        walk.args(["--gateway", &manager.gateway, "--admin", "admin:admin"]);
        let told = walk.output().await.unwrap();

        let text = String::from_utf8_lossy(&told.stdout);
        let failures: Vec<&str> = text.lines().filter(|line| line.starts_with("FAILS")).collect();
        assert!(told.status.success(), "{}\n{}", failures.join("\n"), String::from_utf8_lossy(&told.stderr));
    }
}
