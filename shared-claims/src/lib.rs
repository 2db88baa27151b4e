//! The wire vocabulary that both servers must spell alike.
//!
//! What belongs here: plain values with a spelling that a standard fixes — claims, scopes, credentials, opaque
//! tokens, keys, time. What does not: network, files, actix, diesel, and every decision that only one server takes.

pub mod claims;
pub mod clock;
pub mod credentials;
pub mod field_error;
pub mod ids;
pub mod jose;
pub mod jwk;
pub mod oauth;
pub mod opaque;
pub mod random;
pub mod scope;
pub mod secret;
pub mod signature;
