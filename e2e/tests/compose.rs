//! `docker compose up`, the three lines that it prints, and `docker compose down`.
//!
//! It builds the image, which takes minutes: it runs in CI, and where `TEST_COMPOSE` is set.

use std::path::Path;
use std::process::{Command, Output};

use test_support::{in_ci, leave_out, postgres_tag};

use crate::process::free_addresses;

/// The stack under a project name of its own; removed when it is dropped, with its volumes.
struct Stack {
    compose: &'static [&'static str],
    project: String,
    environment: Vec<(&'static str, String)>,
    /// What the printed lines say, and where this stack's ports really are.
    ports: [(String, String); 3],
}

impl Stack {
    fn new(compose: &'static [&'static str]) -> Self {
        let ports = free_addresses::<3>().map(|address| address.port().to_string());
        let [identity, manager, gateway] = ports.clone();
        let environment = vec![
            ("IDENTITY_PORT", identity),
            ("MANAGER_PORT", manager),
            ("GATEWAY_PORT", gateway),
            ("POSTGRES_VERSION", postgres_tag()),
            ("COUNTERSIGN_TAG", "test".to_owned()),
            ("PROFILE", "dev".to_owned()),
        ];
        let mut told = ["9443", "9444", "8244"].into_iter();
        let ports = ports.map(|port| {
            (
                format!("https://localhost:{}/", told.next().unwrap_or_default()),
                format!("https://localhost:{port}/"),
            )
        });
        Self { compose, project: format!("countersign-test-{}", std::process::id()), environment, ports }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.compose[0]);
        command.args(&self.compose[1..]).args(["-p", &self.project]).args(arguments);
        command.envs(self.environment.iter().cloned());
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let told = self.run(arguments);
        if !told.status.success() {
            let logs = self.run(&["logs", "--tail=50"]);
            panic!("{arguments:?}: {}\n{}", text_of(&told), text_of(&logs));
        }
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    /// Waits for the seeding step, and returns its last three lines with this stack's ports.
    fn seeded(&self) -> String {
        let container = self.succeeds(&["ps", "-a", "-q", "seed"]).trim().to_owned();
        let code = docker(&["wait", &container]);
        let told = docker(&["logs", &container]);
        if code.trim() != "0" {
            panic!("the seeding step failed: {told}\n{}", text_of(&self.run(&["logs", "--tail=50"])));
        }
        let lines: Vec<&str> = told.lines().filter(|line| line.contains("curl ")).collect();
        let last = lines.len().checked_sub(3).unwrap_or_else(|| panic!("three lines to paste, but: {told}"));
        self.ports.iter().fold(lines[last..].join("\n"), |lines, (told, real)| lines.replace(told, real))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.run(&["down", "-v", "--remove-orphans", "-t", "5"]);
    }
}

fn docker(arguments: &[&str]) -> String {
    text_of(&Command::new("docker").args(arguments).output().unwrap())
}

fn text_of(told: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr))
}

fn answers(command: &[&str]) -> bool {
    Command::new(command[0]).args(&command[1..]).output().is_ok_and(|told| told.status.success())
}

#[test]
fn the_stack_comes_up_and_the_scenarios_lines_work_as_printed() {
    const TEST: &str = "compose";
    #[expect(clippy::disallowed_methods, reason = "a test's own switch, no setting of a server")]
    let asked = std::env::var_os("TEST_COMPOSE").is_some();
    if !in_ci() && !asked {
        leave_out(TEST, "it builds an image for minutes; set TEST_COMPOSE=1 to run it");
        return;
    }
    let compose: &[&str] = match () {
        () if !answers(&["docker", "info"]) => return leave_out(TEST, "no Docker engine answers"),
        () if answers(&["docker", "compose", "version"]) => &["docker", "compose"],
        () if answers(&["docker-compose", "version"]) => &["docker-compose"],
        () => return leave_out(TEST, "there is neither `docker compose` nor `docker-compose`"),
    };
    let stack = Stack::new(compose);
    stack.succeeds(&["build", "identity-server"]);
    stack.succeeds(&["up", "-d"]);

    for time in ["first", "second"] {
        let lines = stack.seeded();

        let told = Command::new("bash").args(["-euc", &lines]).output().unwrap();

        assert!(text_of(&told).contains("Hello, world!"), "the {time} time:\n{lines}\n{}", text_of(&told));
        // The objects are there already when it is started once more.
        stack.succeeds(&["up", "-d"]);
    }
}
