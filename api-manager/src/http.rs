//! Turns requests into types and results into responses. Knows actix, never SQL.

pub mod caller;
pub mod rest_error;
