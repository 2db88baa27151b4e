//! What callers can make happen: load, decide, save, in that order. No framework types.

pub mod audit;
pub mod client_credentials;
pub mod client_login;
pub mod clients;
pub mod error;
pub mod housekeeping;
pub mod issue;
pub mod keys;
pub mod live_token;
pub mod password;
pub mod refresh;
pub mod revoke;
pub mod users;

pub use error::FlowError;
pub use issue::Issued;
