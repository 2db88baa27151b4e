//! The API manager's tests through its own doors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail this way"
)]

mod exchange;
mod gateway;
mod http_management;
mod storage_contract;
