//! Turns requests into types and results into responses. Knows actix, never SQL.

pub mod caller;
pub mod identity_providers;
pub mod introspection;
mod oauth_error;
pub mod rest_error;
pub mod revocation;
pub mod revocations;
pub mod token;
