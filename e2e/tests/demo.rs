//! `cargo demo` as a person runs it.

use std::net::TcpListener;
use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().unwrap()
}

/// An offset that leaves the three ports free, as far as a moment ago tells.
fn free_offset() -> u16 {
    let start = u16::try_from(std::process::id() % 20_000).unwrap() + 1_000;
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (start..start + 20_000)
        .step_by(7)
        .find(|offset| [9443, 9444, 8244].iter().all(|port| free(port + offset)))
        .expect("three free ports")
}

#[test]
fn once_walks_the_whole_scenario_and_succeeds() {
    let offset = free_offset();

    let told = demo(&["--once", "--port-offset", &offset.to_string()]);

    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{text}\n{}", String::from_utf8_lossy(&told.stderr));
    for line in [
        format!("https://localhost:{}/oauth2/token", 9443 + offset),
        format!("https://localhost:{}/oauth2/token", 9444 + offset),
        format!("https://localhost:{}/hello/1.0.0/greet", 8244 + offset),
        "grant_type=password&username=testuser".to_owned(),
        "Hello, world!".to_owned(),
        "/docs".to_owned(),
        "README.md".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is missing in:\n{text}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    let offset = free_offset() + 3;
    let Ok(_taken) = TcpListener::bind(("127.0.0.1", 9444 + offset)) else { return };

    let told = demo(&["--once", "--port-offset", &offset.to_string()]);

    let why = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(1), "{why}");
    assert!(why.contains(&format!("Port {}", 9444 + offset)) && why.contains("--port-offset"), "{why}");
}
