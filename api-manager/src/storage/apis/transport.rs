//! How backends are spoken to, as a part of the `definition` column.

use serde::{Deserialize, Serialize};
use shared_claims::secret::Digest;

use crate::domain::api::transport::{BackendTls, Protocol, Transport, parse_pin};

#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TransportRow {
    protocol: String,
    tls: Option<TlsRow>,
}

/// No defaults: a backend whose pins were lost would be taken for another one.
#[derive(Serialize, Deserialize)]
struct TlsRow {
    ca: Vec<String>,
    pinned_sha256: Vec<String>,
    server_name: Option<String>,
}

impl Default for TransportRow {
    fn default() -> Self {
        Self::of(&Transport::default())
    }
}

impl TransportRow {
    pub(super) fn of(transport: &Transport) -> Self {
        let tls = transport.tls.as_ref().map(|tls| TlsRow {
            ca: tls.ca.clone(),
            pinned_sha256: tls.pinned_keys.iter().map(Digest::hex).collect(),
            server_name: tls.server_name.clone(),
        });
        Self { protocol: transport.protocol.as_str().to_owned(), tls }
    }

    pub(super) fn read(self) -> Option<Transport> {
        let tls = self.tls.map(|tls| {
            let pins: Option<Vec<Digest>> = tls.pinned_sha256.iter().map(|pin| parse_pin(pin).ok()).collect();
            Some(BackendTls { ca: tls.ca, pinned_keys: pins?, server_name: tls.server_name })
        });
        let tls = match tls {
            None => None,
            Some(read) => Some(read?),
        };
        Some(Transport { protocol: Protocol::parse(&self.protocol)?, tls })
    }
}
