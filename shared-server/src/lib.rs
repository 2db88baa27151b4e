//! What both servers stand on, and nothing that only one of them knows.
//!
//! Below: settings, sealing of private keys, database, TLS, telemetry, hashing, outgoing HTTP. At the edge: the
//! extractors, error bodies and lists that both servers' HTTP must spell alike.

pub mod administrator;
pub mod database;
pub mod docs;
pub mod etag;
pub mod fields;
pub mod hashing;
pub mod health;
pub mod listing;
pub mod memory;
pub mod oauth;
pub mod outbound;
pub mod problem;
pub mod sealing;
pub mod settings;
pub mod telemetry;
pub mod tls;
