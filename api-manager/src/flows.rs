//! One file for each thing that a caller can make happen: load, decide, save, in that order. No actix types.

mod error;

pub use error::FlowError;
