//! The journeys over sockets, on SQLite and PostgreSQL; the demo, the contract, compose; and the tidiness of the house.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects"
)]

mod compose;
mod contract;
mod demo;
mod gateway;
mod journeys;
mod process;
mod tidy;
