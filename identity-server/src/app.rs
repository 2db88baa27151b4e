//! What every request finds: the handles on all that lasts longer than it.

use prometheus::IntCounterVec;
use shared_claims::clock::Clock;
use shared_server::administrator::Administrator;
use shared_server::database::Database;
use shared_server::hashing::HashingPool;
use shared_server::sealing::MasterKey;
use shared_server::telemetry::Metrics;

use crate::domain::claims::Issuer;
use crate::facts::Facts;
use crate::keys::KeyRing;

/// The running server's state. Everything in it is a handle or does not change.
pub struct App {
    /// Where `now` comes from.
    pub clock: Clock,
    /// The database.
    pub database: Database,
    /// What was read of clients a moment ago.
    pub facts: Facts,
    /// The signing keys.
    pub keys: KeyRing,
    /// Opens and seals their private halves.
    pub master: MasterKey,
    /// Checks passwords.
    pub hashing: HashingPool,
    /// Checks the administrator's.
    pub administrator: Administrator,
    /// Who issues.
    pub issuer: Issuer,
    /// Where others reach this server, without a slash at the end.
    pub public_url: String,
    /// Whether anybody may make a user of their own.
    pub signup: bool,
    /// What is counted.
    pub counters: Counters,
}

/// The server's own metrics.
pub struct Counters {
    /// Token requests by grant and outcome, which is `issued` or the error code.
    pub tokens: IntCounterVec,
    /// Introspections by outcome: `active`, `inactive`, or the error code.
    pub introspections: IntCounterVec,
}

impl Counters {
    /// Registers the counters.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let tokens = metrics.counter(
            "identity_server_token_requests_total",
            "Requests to the token endpoint by grant and outcome.",
            &["grant", "outcome"],
        );
        let introspections = metrics.counter(
            "identity_server_introspections_total",
            "Requests to the introspection endpoint by outcome.",
            &["outcome"],
        );
        Self { tokens, introspections }
    }
}
