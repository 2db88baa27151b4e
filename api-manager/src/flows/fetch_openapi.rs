//! A publisher names a URL where an OpenAPI document is.

use std::time::Duration;

use bytes::Bytes;
use shared_server::outbound::{Fetcher, OutboundPolicy};

use super::FlowError;
use crate::app::App;
use crate::domain::openapi::LONGEST;

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The document at `url`, where the operator allows fetching at all; the addresses are those that backends may have.
///
/// # Errors
/// [`FlowError::Fields`] that blames `url`.
pub async fn fetch_openapi(app: &App, url: &str) -> Result<Bytes, FlowError> {
    if !app.settings.allow_openapi_fetch {
        let detail = "is not fetched; send the document itself, or have the operator set allow_openapi_fetch";
        return Err(FlowError::field("url", detail));
    }
    let policy = OutboundPolicy {
        allow_private: app.settings.allow_private_backends,
        verify_tls: true,
        ca: None,
        connect_timeout: CONNECT_PATIENCE,
    };
    // Where private backends are allowed the operator's own network is meant, which may do without TLS.
    let fetcher = Fetcher::new(policy, !app.settings.allow_private_backends, LONGEST, PATIENCE);
    let fetcher = fetcher.map_err(|error| FlowError::Fault(error.to_string()))?;
    fetcher.get(url).await.map_err(|error| FlowError::field("url", format!("could not be fetched: {error}")))
}
