//! One file for each table: functions on a connection, rows private to the file. Knows diesel, never http or flows.

pub mod schema;
