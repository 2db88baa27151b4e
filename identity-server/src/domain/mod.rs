//! What is decided, as plain functions over plain values: no clock, no I/O, no framework, no async.

pub mod claims;
pub mod client;
pub mod client_metadata;
pub mod key;
pub mod lockout;
pub mod password;
pub mod profile;
pub mod refresh;
pub mod user;
