//! An API as the gateway needs it, compiled.

use std::sync::Arc;

use http::HeaderName;
use shared_claims::clock::UnixTime;

use super::clients::{Client, Clients, Profile};
use super::cors;
use super::identity::{self, Told};
use super::limits::shared::Shared;
use super::limits::{Buckets, Limited};
use super::operations::Operations;
use super::subscribers::Tiers;
use super::transforms::Shapes;
use super::upstream::{Upstream, Upstreams};
use super::usage::Tally;
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
pub struct Route {
    /// Its id.
    pub id: ApiId,
    /// Where it is in its life.
    pub state: State,
    /// What may be called.
    pub operations: Operations,
    /// Where it answers.
    pub place: Place,
    /// What its backend hears of it with each call; `None` where it wants to hear nothing.
    pub told: Option<Told>,
    /// The header in which its backend hears it.
    pub assertion_header: HeaderName,
    /// The API's revision.
    pub revision: i64,
    /// Whether any of its operations has its answers kept.
    pub keeps_answers: bool,
    /// What is changed of its messages.
    pub shapes: Shapes,
    /// What it says to pages of other origins; `None` leaves that to the backend.
    pub cors: Option<cors::Policy>,
    /// What all its callers share.
    pub shared: Shared,
    /// What its backends can bear.
    pub max_tps: Option<Limited>,
    /// How callers may prove who they are.
    pub security: Schemes,
    /// Whether the caller's `Authorization` is passed on.
    pub forward_authorization: bool,
    /// How long the backend may take.
    pub timeouts: Timeouts,
    /// What connects to its backends.
    pub client: Client,
    /// What connects to them for WebSockets.
    pub websockets: Client,
    /// What they are spoken to in, but for WebSockets.
    pub protocol: Protocol,
    /// Whether examples answer in the place of its backends.
    pub mock: bool,
    /// Whether requests are judged by it.
    pub validates: bool,
    /// What its OpenAPI document promises, where that is needed.
    pub contract: Option<Arc<Contract>>,
    /// Where its calls are counted.
    pub tally: Tally,
    production: Upstream,
    sandbox: Upstream,
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
        Self {
            id: api.id,
            state: api.state,
            operations: Operations::compile(&definition.operations),
            place: Place::of(api),
            cors: definition.cors.as_ref().map(|cors| cors::Policy::compile(cors, &definition.operations)),
            shared: Shared::compile(api, tiers, buckets),
            max_tps: buckets.by_max_tps(api.id, definition.max_tps),
            told: Told::of(api, revision),
            security: definition.security,
            mock: definition.mock,
            validates: definition.validate_requests,
            contract,
            assertion_header: identity::header_of(definition),
            revision: api.revision,
            keeps_answers: definition.operations.iter().any(|operation| operation.cache.is_some()),
            shapes: Shapes::compile(definition),
            forward_authorization: definition.forward_authorization,
            timeouts: definition.timeouts,
            websockets: clients.get(Profile::of(definition).for_websockets()),
            client: clients.get(Profile::of(definition)),
            protocol: definition.transport.protocol,
            tally: Tally::of(api),
            production: upstreams.compile(api, KeyType::Production),
            sandbox: upstreams.compile(api, KeyType::Sandbox),
        }
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
        self.production.is_checked() || self.sandbox.is_checked()
    }

    /// Whether keys of this type reach anything.
    #[must_use]
    pub fn serves(&self, key_type: KeyType) -> bool {
        self.mock || !self.upstream(key_type).is_empty()
    }

    /// The backends that keys of this type reach.
    #[must_use]
    pub fn upstream(&self, key_type: KeyType) -> &Upstream {
        match key_type {
            KeyType::Production => &self.production,
            KeyType::Sandbox => &self.sandbox,
        }
    }
}

fn is_in_service(state: State) -> bool {
    match state {
        State::Created | State::Retired => false,
        State::Blocked | State::Published | State::Deprecated => true,
    }
}
