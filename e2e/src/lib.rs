//! The World of the tests: both servers over TLS, a backend, an identity provider of the test's own, and actors
//! who use them as people and programs would. The demo stands on the same parts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects, and a demo that cannot start has nothing better to do than to end"
)]

pub mod actors;
pub mod backend;
pub mod client;
pub mod idp;
pub mod world;
