//! What connects to backends: one client for each way of connecting, shared by the APIs that connect alike.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use shared_server::outbound::{Connector, OutboundError, OutboundPolicy};

use super::bodies::Upload;
use crate::domain::api::Definition;

/// What sends requests to backends, over pooled connections.
pub type Client = legacy::Client<Connector, Upload>;

/// Connections that are kept for each backend while nobody uses them, and for how long.
const MOST_IDLE: usize = 128;
const IDLE_FOR: Duration = Duration::from_secs(30);
/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 128 * 1_024;

/// How an API's backends are connected to. APIs with the same profile share their connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// In milliseconds, for name, connection and handshake together.
    connect_timeout: u32,
}

impl Profile {
    /// As the API says.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        Self { connect_timeout: definition.timeouts.connect.max(1) }
    }
}

/// One client for each profile. There are never more than the table has APIs.
pub struct Clients {
    connector: Connector,
    made: Mutex<HashMap<Profile, Client>>,
}

impl Clients {
    /// Clients that reach private addresses or not.
    ///
    /// # Errors
    /// OpenSSL refused.
    pub fn new(allow_private: bool) -> Result<Self, OutboundError> {
        let connect_timeout = Duration::from_secs(5);
        let policy = OutboundPolicy { allow_private, verify_tls: true, ca: None, connect_timeout };
        Ok(Self { connector: Connector::new(policy, false)?, made: Mutex::default() })
    }

    /// The client that connects so.
    #[must_use]
    pub fn get(&self, profile: Profile) -> Client {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let connect_timeout = Duration::from_millis(profile.connect_timeout.into());
        let client = made.entry(profile).or_insert_with(|| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_FOR)
                .pool_max_idle_per_host(MOST_IDLE)
                .http1_max_buf_size(LARGEST_HEAD)
                .set_host(false)
                .build(self.connector.clone().with_connect_timeout(connect_timeout))
        });
        client.clone()
    }

    /// Forgets the clients whose profile no API has any more.
    pub fn keep_only(&self, in_use: &HashSet<Profile>) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|profile, _| in_use.contains(profile));
    }
}
