//! Limits that all callers of an API, or of one of its operations, share.

use std::collections::HashMap;

use shared_claims::secret::Digest;

use super::{Buckets, Key, Limited};
use crate::domain::api::{Api, Operation};
use crate::domain::tier::Limit;
use crate::gateway::subscribers::Tiers;

/// What all callers of one API share.
pub struct Shared {
    /// Over all operations.
    api: Option<Limited>,
    /// By method and path.
    operations: HashMap<Box<str>, HashMap<Box<str>, Limited>>,
}

impl Shared {
    /// The limits that `api` names among `tiers`; `None` where it names none.
    #[must_use]
    pub fn compile(api: &Api, tiers: &Tiers, buckets: &Buckets) -> Option<Box<Self>> {
        let limit = |name: &Option<String>| -> Option<&Limit> { tiers.limit(name.as_deref()?) };
        let definition = &api.definition;
        let mut shared = Self {
            api: buckets.by_tier(Key::ApiTier(api.id), limit(&definition.limit_tier)),
            operations: HashMap::new(),
        };
        for operation in &definition.operations {
            let key = Key::Operation(api.id, number(operation));
            if let Some(limited) = buckets.by_tier(key, limit(&operation.tier)) {
                let of_method = shared.operations.entry(operation.method.as_str().into()).or_default();
                of_method.insert(operation.path.as_str().into(), limited);
            }
        }
        (shared.api.is_some() || !shared.operations.is_empty()).then(|| shared.into())
    }

    /// The operation's own limit, and the API's.
    #[must_use]
    pub fn of(&self, operation: &Operation) -> (Option<&Limited>, Option<&Limited>) {
        let own = operation.tier.as_ref().and_then(|_| {
            let of_method = self.operations.get(operation.method.as_str())?;
            of_method.get(operation.path.as_str())
        });
        (own, self.api.as_ref())
    }
}

/// Tells an operation from the others of its API, the same at every start and in every table.
fn number(operation: &Operation) -> u64 {
    let digest = Digest::of(format!("{} {}", operation.method, operation.path).as_bytes());
    digest.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
