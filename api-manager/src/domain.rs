//! Plain functions over plain values: what may be trusted, granted, admitted, changed. No clock, no I/O, no framework.

pub mod actor;
pub mod api;
pub mod api_key;
pub mod application;
pub mod by_grant;
pub mod certificate;
pub mod check;
pub mod client_certificate;
pub mod deny;
pub mod explanation;
pub mod grant;
pub mod identity_provider;
pub mod ids;
pub mod lifecycle;
pub mod mapped_client;
pub mod name;
pub mod openapi;
pub mod principal;
pub mod revocation;
pub mod route_change;
pub mod scheme;
pub mod subscription;
pub mod tier;
pub mod usage;
