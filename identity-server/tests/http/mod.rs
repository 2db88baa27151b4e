//! Every route through the real listener.

mod clients;
mod edge;
mod keys;
mod nodes;
mod refresh;
mod scim;
mod signup;
mod token;
mod tokens_looked_at;
