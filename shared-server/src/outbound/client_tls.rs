//! The TLS settings of outgoing connections, made when the first of them needs them.

use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::trust::{self, Trusted};

/// The settings; clones share them.
#[derive(Clone)]
pub(super) struct ClientTls(Arc<Inner>);

struct Inner {
    wanted: Wanted,
    made: OnceCell<SslConnector>,
}

#[derive(Clone, Copy)]
struct Wanted {
    http2: bool,
    verifies: bool,
}

impl ClientTls {
    /// Settings that trust `ca`, or the system's certificates alone: these take three megabytes when they are read, which a
    /// server that never speaks TLS to others does without. What somebody has named is read now, so that its faults are heard
    /// of now.
    ///
    /// # Errors
    /// The certificates are unusable.
    pub(super) fn new(http2: bool, verifies: bool, ca: Option<Trusted>) -> Result<Self, ErrorStack> {
        let wanted = Wanted { http2, verifies };
        let named = if verifies && ca.is_none() { None } else { Some(wanted.make(ca)?) };
        Ok(Self(Arc::new(Inner { wanted, made: OnceCell::new_with(named) })))
    }

    /// The settings, which the first caller has made, on a thread that may block.
    ///
    /// # Errors
    /// The system's certificates are unusable; what is wrong.
    pub(super) async fn get(&self) -> Result<&SslConnector, String> {
        let Inner { wanted, made } = &*self.0;
        let wanted = *wanted;
        let make = || async move {
            let made = spawn_blocking(move || wanted.make(None)).await;
            let made = made.map_err(|_| "reading the system's certificates panicked".to_owned())?;
            made.map_err(|why| format!("the system's certificates cannot be used: {why}"))
        };
        made.get_or_try_init(make).await
    }
}

impl Wanted {
    fn make(self, ca: Option<Trusted>) -> Result<SslConnector, ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_alpn_protos(if self.http2 { b"\x02h2\x08http/1.1" } else { b"\x08http/1.1" })?;
        if self.verifies {
            trust::trust(&mut builder, ca)?;
        } else {
            builder.set_verify(SslVerifyMode::NONE);
        }
        Ok(builder.build())
    }
}
