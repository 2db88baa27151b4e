//! What a request handler can reach.

use std::sync::Arc;

use shared_claims::clock::Clock;
use shared_server::administrator::Administrator;
use shared_server::database::Database;
use shared_server::telemetry::Metrics;

use crate::backend_key::BackendKey;
use crate::backend_states::BackendStates;
use crate::changes::Changes;
use crate::decisions::Decisions;
use crate::exchanges::Exchanges;
use crate::facts::Facts;
use crate::issuers::Issuers;
use crate::settings::Settings;

/// The running server's parts, shared by every worker.
pub struct App {
    /// As the operator set them.
    pub settings: Settings,
    /// Where `now` comes from.
    pub clock: Clock,
    /// The database.
    pub database: Database,
    /// The bootstrap administrator.
    pub administrator: Administrator,
    /// The way of exchanges to it.
    pub exchanges: Exchanges,
    /// What the last exchanges read.
    pub facts: Facts,
    /// The keys of trusted identity providers.
    pub issuers: Issuers,
    /// What vouches for callers to backends.
    pub backend_key: BackendKey,
    /// How backends are doing.
    pub backend_states: Arc<BackendStates>,
    /// The way to the gateway of this process.
    pub changes: Changes,
    /// The last refusals of the gateway of this process.
    pub decisions: Decisions,
    /// Counters.
    pub metrics: Metrics,
}
