//! An API as the gateway needs it, compiled.

use std::sync::Arc;

use http::HeaderName;
use shared_claims::clock::UnixTime;

use super::clients::{Client, Clients, Profile};
use super::cors;
use super::headers::ASSERTION;
use super::identity::{self, Told};
use super::limits::shared::Shared;
use super::limits::{Buckets, Limited};
use super::operations::Operations;
use super::subscribers::Tiers;
use super::transforms::Shapes;
use super::upstream::{Upstream, Upstreams};
use super::usage::Tally;
use crate::ahead::fetch;
use crate::domain::api::transport::Protocol;
use crate::domain::api::{Api, Timeouts};
use crate::domain::application::KeyType;
use crate::domain::ids::ApiId;
use crate::domain::lifecycle::State;
use crate::domain::openapi::contract::Contract;
use crate::domain::scheme::{Scheme, Schemes};

/// What outlives tables, and what their parts are made of.
#[derive(Clone, Copy)]
pub struct Parts<'p> {
    /// What connects to backends.
    pub clients: &'p Clients,
    /// What limits calls.
    pub buckets: &'p Buckets,
    /// What is known of backends.
    pub upstreams: &'p Upstreams,
}

/// Where an API answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Context and version, without slashes at either end.
    pub versioned: Arc<str>,
    /// The context alone, where it wants to answer there too and is in service: one out of service does not hold the place
    /// against one that is.
    pub bare: Option<Arc<str>>,
    /// Of several that want the same, the last one made has it.
    pub made: (UnixTime, ApiId),
}

impl Place {
    fn of(api: &Api) -> Self {
        let context = api.context.trim_matches('/');
        let bare = api.definition.default_version && is_in_service(api.state);
        Self {
            versioned: format!("{context}/{}", api.version).into(),
            bare: bare.then(|| context.into()),
            made: (api.created_at, api.id),
        }
    }
}

/// An API as the gateway needs it.
///
/// In memory as written: first what every call reads, and behind references what few APIs have. Of thousands of them none is
/// at hand, and a call waits for each line of memory that it reads.
#[repr(C)]
pub struct Route {
    /// Its id.
    pub id: ApiId,
    /// Where it is in its life.
    pub state: State,
    /// How callers may prove who they are.
    pub security: Schemes,
    /// Whether the caller's `Authorization` is passed on.
    pub forward_authorization: bool,
    /// What its backends are spoken to in, but for WebSockets.
    pub protocol: Protocol,
    /// Whether examples answer in the place of its backends.
    pub mock: bool,
    /// Whether requests are judged by it.
    pub validates: bool,
    /// Whether any of its operations has its answers kept.
    pub keeps_answers: bool,
    /// What it says to pages of other origins; `None` leaves that to the backend.
    pub cors: Option<Box<cors::Policy>>,
    /// Where its calls are counted.
    pub tally: Tally,
    /// What its backend hears of it with each call; `None` where it wants to hear nothing.
    pub told: Option<Box<Told>>,
    /// How long the backend may take.
    pub timeouts: Timeouts,
    /// What connects to its backends.
    pub client: Client,
    assertion_header: Option<Box<HeaderName>>,
    /// What is changed of its messages.
    pub shapes: Shapes,
    /// What all its callers share, where they share anything.
    pub shared: Option<Box<Shared>>,
    /// What its backends can bear.
    pub max_tps: Option<Box<Limited>>,
    /// What may be called.
    pub operations: Operations,
    production: Upstream,
    /// Few have one, and those that have none are the smaller for it.
    sandbox: Option<Box<Upstream>>,
    /// What connects to its backends for WebSockets.
    pub websockets: Client,
    /// The API's revision.
    pub revision: i64,
    /// Where it answers.
    pub place: Box<Place>,
    /// What its OpenAPI document promises, where that is needed.
    pub contract: Option<Arc<Contract>>,
}

impl Route {
    /// Compiles an API, for a table of `revision`.
    #[must_use]
    pub fn compile(
        api: &Api,
        parts: &Parts<'_>,
        (tiers, contract): (&Tiers, Option<Arc<Contract>>),
        revision: i64,
    ) -> Self {
        let Parts { clients, buckets, upstreams } = parts;
        let definition = &api.definition;
        // Not made where nothing was named: most have none.
        let sandbox = (!definition.backends.of(KeyType::Sandbox).is_empty())
            .then(|| upstreams.compile(api, KeyType::Sandbox));
        Self {
            id: api.id,
            state: api.state,
            operations: Operations::compile(&definition.operations),
            place: Place::of(api).into(),
            cors: definition
                .cors
                .as_ref()
                .map(|cors| cors::Policy::compile(cors, &definition.operations).into()),
            shared: Shared::compile(api, tiers, buckets),
            max_tps: buckets.by_max_tps(api.id, definition.max_tps).map(Box::new),
            told: Told::of(api, revision).map(Box::new),
            security: definition.security,
            mock: definition.mock,
            validates: definition.validate_requests,
            contract,
            assertion_header: identity::header_of(definition).map(Box::new),
            revision: api.revision,
            keeps_answers: definition.operations.iter().any(|operation| operation.cache.is_some()),
            shapes: Shapes::compile(definition),
            forward_authorization: definition.forward_authorization,
            timeouts: definition.timeouts,
            websockets: clients.get(Profile::of(definition).for_websockets()),
            client: clients.get(Profile::of(definition)),
            protocol: definition.transport.protocol,
            tally: Tally::default(),
            production: upstreams.compile(api, KeyType::Production),
            sandbox: sandbox.filter(|upstream| !upstream.is_empty()).map(Box::new),
        }
    }

    /// Has fetched what a call will read of it. Some instructions later it is at hand.
    pub fn fetch(&self) {
        fetch(&self.id);
        fetch(&self.timeouts);
        fetch(&self.shared);
        self.operations.fetch();
        self.production.fetch();
    }

    /// The same of what it refers to: it is read for that itself.
    pub fn fetch_further(&self) {
        self.operations.fetch_further();
        self.production.fetch_further();
    }

    /// The header in which its backend hears who calls.
    #[must_use]
    pub fn assertion_header(&self) -> &HeaderName {
        static USUAL: HeaderName = ASSERTION;
        self.assertion_header.as_deref().unwrap_or(&USUAL)
    }

    /// Whether the API is there for its callers, if only to say that it is blocked.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        is_in_service(self.state)
    }

    /// Whether somebody may call it with a certificate.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.is_in_service() && self.security.contain(Scheme::ClientCertificate)
    }

    /// Whether its backends are asked how they are.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.production.is_checked() || self.sandbox.as_ref().is_some_and(|sandbox| sandbox.is_checked())
    }

    /// Whether keys of this type reach anything.
    #[must_use]
    pub fn serves(&self, key_type: KeyType) -> bool {
        self.mock || self.upstream(key_type).is_some()
    }

    /// The backends that keys of this type reach; `None` where they reach none.
    #[must_use]
    pub fn upstream(&self, key_type: KeyType) -> Option<&Upstream> {
        match key_type {
            KeyType::Production => Some(&self.production).filter(|production| !production.is_empty()),
            KeyType::Sandbox => self.sandbox.as_deref(),
        }
    }
}

fn is_in_service(state: State) -> bool {
    match state {
        State::Created | State::Retired => false,
        State::Blocked | State::Published | State::Deprecated => true,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn what_every_call_reads_of_a_route_lies_in_its_first_lines() {
        // Behind the two counts of its `Arc`.
        let line = |offset: usize| (16 + offset) / 64;
        assert_eq!(line(offset_of!(Route, told)), 0);
        assert_eq!(line(offset_of!(Route, max_tps)), 1);
        assert!(line(offset_of!(Route, operations)) <= 2);
        let first_of_production = offset_of!(Route, production);
        assert!(line(first_of_production + Upstream::FIRST - 1) <= 4);
        // The whole of it in eight: so many less pages are there to be found.
        assert!(line(size_of::<Route>() - 1) <= 7);
    }
}
