//! Signs people in and issues self-contained JWTs: users and clients in, access tokens out.
//!
//! `http` speaks, `flows` act, `domain` decides, `storage` remembers, `keys` sign; `bootstrap` wires them.

pub mod app;
mod bootstrap;
pub mod commands;
pub mod domain;
pub mod facts;
pub mod flows;
mod http;
pub mod keys;
pub mod settings;
pub mod storage;

pub use bootstrap::{Running, StartError, run};
pub use settings::Settings;
