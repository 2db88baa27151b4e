//! One file for each thing that a caller can make happen: load, decide, save, in that order. No actix types.

mod api_rules;
mod audit;
pub mod block_subscription;
pub mod browse_apis;
pub mod browse_applications;
pub mod browse_subscriptions;
pub mod browse_tiers;
pub mod change_keys;
pub mod change_lifecycle;
pub mod change_subscription;
pub mod copy_api;
pub mod create_api;
pub mod create_application;
pub mod create_tier;
pub mod default_application;
pub mod delete_api;
pub mod delete_application;
pub mod delete_tier;
mod error;
pub mod generate_keys;
pub mod replace_api;
pub mod replace_application;
pub mod replace_tier;
pub mod rotate_secret;
pub mod subscribe;
pub mod unsubscribe;

pub use error::FlowError;
