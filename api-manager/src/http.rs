//! Turns requests into types and results into responses. Knows actix, never SQL.
