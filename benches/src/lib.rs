//! The comparison: the real server processes, their peers and their backend on loopback, the same load against each in
//! turn, and what the kernel says it cost. `cargo compare` runs it and writes `BENCHMARKS.md`.
//!
//! A scenario is one file of `scenarios`. It starts what it needs (`server`, `peers`, `backend`, filled by `tenant` and
//! `stock`), puts `load` on it for as many rounds as the [`Run`](run::Run) says, keeps a [`Sample`](sample::Sample) for each
//! contender and round in a [`Comparison`](sample::Comparison), and returns an [`Outcome`](outcome::Outcome).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a benchmark that cannot go on has nothing better to do than to end, and says how far it is"
)]

pub mod backend;
pub mod limits;
pub mod load;
pub mod machine;
pub mod optimised;
pub mod outcome;
pub mod peers;
pub mod process;
pub mod report;
pub mod run;
pub mod sample;
pub mod scenarios;
pub mod server;
pub mod statistics;
pub mod stock;
pub mod tenant;
pub mod training;
pub mod turns;
