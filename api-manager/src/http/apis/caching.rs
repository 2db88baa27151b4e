//! How answers are kept, as a publisher sends it and as it is shown.

use serde::Serialize;
use shared_server::fields::Fields;
use utoipa::ToSchema;

use crate::domain::api::caching::{self, Caching};

/// How answers to GET are kept and given to those who may have them (RFC 9111); never to another caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Caching)]
pub(super) struct CachingView {
    /// Seconds for which an answer is fresh that says nothing of it, at most a day; null keeps no such answer.
    ttl_seconds: Option<u32>,
    /// The largest body that is kept, in bytes; 1 MiB unless given, at most 8 MiB.
    max_body: u32,
}

impl CachingView {
    pub(super) fn of(caching: Caching) -> Self {
        let Caching { ttl_seconds, max_body } = caching;
        Self { ttl_seconds, max_body }
    }
}

/// Reads the member `cache`.
pub(super) fn read(fields: &mut Fields) -> Option<Caching> {
    fields.object("cache", |fields| {
        let mut read = |name, most| fields.integer(name, 1..=most).and_then(|n| u32::try_from(n).ok());
        let ttl_seconds = read("ttl_seconds", caching::LONGEST);
        let max_body = read("max_body", caching::LARGEST_BODY).unwrap_or(Caching::default().max_body);
        Caching { ttl_seconds, max_body }
    })
}
