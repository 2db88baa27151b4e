//! The server as others meet it: storage on both databases, and HTTP through a real listener.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "tests say what they expect"
)]

mod actors;
mod command_line;
mod http;
mod storage_contract;
