//! The API manager: trusts identity providers, exchanges their JWTs for opaque tokens (RFC 7523), and guards
//! published APIs with those tokens.
//!
//! `http` speaks, `flows` act, `domain` decides, `storage` remembers, `issuers` vouch, `gateway` guards.

mod ahead;
pub mod app;
pub mod backend_key;
pub mod backend_states;
pub mod bootstrap;
pub mod changes;
pub mod commands;
pub mod decisions;
pub mod domain;
pub mod exchanges;
pub mod facts;
pub mod flows;
pub mod gateway;
pub mod http;
pub mod issuers;
pub mod settings;
pub mod storage;
pub mod ticker;

pub use bootstrap::{Running, StartError, run};
pub use settings::Settings;
