//! What answers where: an immutable table, compiled from the database and swapped as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use super::clients::{Client, Clients, Profile};
use super::contracts::Contracts;
use super::cors;
use super::deny::DenyTable;
use super::identity::{self, About, Told};
use super::limits::shared::Shared;
use super::limits::{Buckets, Key, Limited};
use super::operations::Operations;
use super::transforms::Shapes;
use super::upstream::{Upstream, Upstreams};
use super::usage::Tally;
use crate::domain::api::transport::Protocol;
use crate::domain::api::{Api, Timeouts};
use crate::domain::application::{Application, KeyType};
use crate::domain::deny::DenyRule;
use crate::domain::identity_provider::IdentityProvider;
use crate::domain::ids::{ApiId, ApplicationId, IdentityProviderId};
use crate::domain::lifecycle::State;
use crate::domain::openapi::contract::Contract;
use crate::domain::principal::Principal;
use crate::domain::scheme::{Scheme, Schemes};
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::domain::tier::{Limit, Tier};

/// Everything that a table is compiled from.
#[derive(Default)]
pub struct Sources {
    /// The counter that moves with each of these; read before them.
    pub revision: i64,
    /// Every API, in any state.
    pub apis: Vec<Api>,
    /// Every subscription.
    pub subscriptions: Vec<Subscription>,
    /// Every application.
    pub applications: Vec<Application>,
    /// Every tier.
    pub tiers: Vec<Tier>,
    /// Every trusted identity provider.
    pub identity_providers: Vec<IdentityProvider>,
    /// What the documents of those APIs promise that need one.
    pub contracts: Contracts,
    /// Every deny rule.
    pub deny_rules: Vec<DenyRule>,
}

/// The table that requests are served by.
#[derive(Default)]
pub struct RouteTable {
    /// The revision of its sources.
    pub revision: i64,
    /// By context and version, or context alone, without slashes at either end.
    places: HashMap<Box<str>, Arc<Route>>,
    /// The segments of the longest key of `places`.
    deepest: usize,
    /// Of its APIs, for the next table.
    pub contracts: Contracts,
    /// Whether an API in service takes client certificates.
    pub asks_for_certificates: bool,
    /// Those that are enabled, by their issuer.
    providers: HashMap<Box<str>, Arc<IdentityProvider>>,
    enabled_providers: HashMap<IdentityProviderId, i64>,
    /// Whom it keeps away.
    pub deny: DenyTable,
}

/// An API as the gateway needs it.
pub struct Route {
    /// Its id.
    pub id: ApiId,
    /// Where it is in its life.
    pub state: State,
    /// What may be called.
    pub operations: Operations,
    /// Who may call.
    pub subscribers: HashMap<ApplicationId, Subscriber>,
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

/// An application that has subscribed to an API.
pub struct Subscriber {
    /// Whether the subscription counts.
    pub state: SubscriptionState,
    /// Of the subscription's tier.
    pub subscription: Option<Limited>,
    /// Of the application's tier, over all APIs.
    pub application: Option<Limited>,
    /// The subscription's tier.
    pub tier: Box<str>,
    /// What backends hear of the application.
    pub about: Option<Arc<About>>,
}

/// A place in the table.
pub struct Found<'t, 'p> {
    /// The API.
    pub route: &'t Arc<Route>,
    /// What of the path led here, such as `/shop/pets/1.0`.
    pub prefix: &'p str,
    /// What is left: empty, or with a slash in front.
    pub rest: &'p str,
}

impl RouteTable {
    /// Compiles a table. What cannot be compiled is left out and logged: one bad row must not stop the others.
    #[must_use]
    pub fn compile(
        sources: Sources,
        clients: &Clients,
        buckets: &Buckets,
        upstreams: &Upstreams,
        tally_of: impl Fn(&Api) -> Tally,
    ) -> Self {
        let mut subscribers = subscribers(&sources, buckets);

        let mut table = Self { revision: sources.revision, ..Self::default() };
        table.deny = DenyTable::compile(&sources.deny_rules);
        for provider in sources.identity_providers.iter().filter(|provider| provider.enabled) {
            table.enabled_providers.insert(provider.id, provider.revision);
            table.providers.insert(provider.issuer.as_str().into(), Arc::new(provider.clone()));
        }

        let mut defaults: HashMap<String, (&Api, Arc<Route>)> = HashMap::new();
        for api in &sources.apis {
            let mut route = Route::compile(api, clients, upstreams, tally_of(api));
            route.subscribers = subscribers.remove(&api.id).unwrap_or_default();
            route.told = Told::of(api, sources.revision);
            route.shared = Shared::compile(api, &sources.tiers, buckets);
            route.contract = sources.contracts.of(api.id);
            route.max_tps = buckets.by_max_tps(api.id, api.definition.max_tps);
            table.asks_for_certificates |=
                route.is_in_service() && route.security.contain(Scheme::ClientCertificate);
            let route = Arc::new(route);
            let context = api.context.trim_matches('/');
            table.put(format!("{context}/{}", api.version), Arc::clone(&route));
            // An API out of service does not hold the place without a version against one in service.
            if api.definition.default_version && route.is_in_service() {
                let newer = defaults
                    .get(context)
                    .is_none_or(|(other, _)| (other.created_at, other.id) < (api.created_at, api.id));
                if newer {
                    defaults.insert(context.to_owned(), (api, route));
                }
            }
        }
        for (context, (_, route)) in defaults {
            // A place with a version outranks one without that happens to be spelled the same.
            if !table.places.contains_key(context.as_str()) {
                table.put(context, route);
            }
        }
        table.contracts = sources.contracts;
        table
    }

    fn put(&mut self, place: String, route: Arc<Route>) {
        self.deepest = self.deepest.max(place.split('/').count());
        self.places.insert(place.into_boxed_str(), route);
    }

    /// The API with the longest context and version at the front of `path`, on whole segments; one look-up for each
    /// candidate, however many APIs there are.
    #[must_use]
    pub fn find<'t, 'p>(&'t self, path: &'p str) -> Option<Found<'t, 'p>> {
        let inner = path.strip_prefix('/')?;
        let beyond = self.deepest.checked_sub(1)?;
        let mut end = inner.match_indices('/').nth(beyond).map_or(inner.len(), |(place, _)| place);
        loop {
            let candidate = inner.get(..end)?;
            if let Some(route) = self.places.get(candidate) {
                let (prefix, rest) = path.split_at_checked(end + 1)?;
                return Some(Found { route, prefix, rest });
            }
            end = candidate.rfind('/')?;
        }
    }

    /// Whether the identity provider is trusted now.
    #[must_use]
    pub fn trusts(&self, provider: IdentityProviderId) -> bool {
        self.enabled_providers.contains_key(&provider)
    }

    /// The trusted provider of that issuer.
    #[must_use]
    pub fn provider_of(&self, issuer: &str) -> Option<&Arc<IdentityProvider>> {
        self.providers.get(issuer)
    }

    /// Whether somebody was vouched for by a provider whose terms have changed since.
    #[must_use]
    pub fn is_ahead_of(&self, caller: &Principal) -> bool {
        let verified = caller.verified_by();
        let present = verified.and_then(|(provider, _)| self.enabled_providers.get(&provider));
        verified.zip(present).is_some_and(|((_, then), now)| then < *now)
    }

    /// Every API, in any state.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.places.values()
    }

    /// The number of APIs, in any state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no API.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

fn subscribers(sources: &Sources, buckets: &Buckets) -> HashMap<ApiId, HashMap<ApplicationId, Subscriber>> {
    let limits: HashMap<&str, Option<&Limit>> =
        sources.tiers.iter().map(|tier| (tier.name.as_str(), tier.limit.as_ref())).collect();
    let limit = |tier: &str| limits.get(tier).copied().flatten();
    let applications: HashMap<ApplicationId, (Option<&Limit>, Arc<About>)> = sources
        .applications
        .iter()
        .map(|one| (one.id, (limit(&one.tier), Arc::new(About::of(one)))))
        .collect();

    let mut subscribers: HashMap<ApiId, HashMap<ApplicationId, Subscriber>> = HashMap::new();
    for subscription in &sources.subscriptions {
        let (api, application) = (subscription.api_id, subscription.application_id);
        let known = applications.get(&application);
        let of_application = known.and_then(|(limit, _)| *limit);
        let subscriber = Subscriber {
            state: subscription.state,
            subscription: buckets.by_tier(Key::Subscription(application, api), limit(&subscription.tier)),
            tier: subscription.tier.as_str().into(),
            about: known.map(|(_, about)| Arc::clone(about)),
            application: buckets.by_tier(Key::Application(application), of_application),
        };
        subscribers.entry(api).or_default().insert(application, subscriber);
    }
    subscribers
}

impl Route {
    fn compile(api: &Api, clients: &Clients, upstreams: &Upstreams, tally: Tally) -> Self {
        let definition = &api.definition;
        Self {
            id: api.id,
            state: api.state,
            operations: Operations::compile(&definition.operations),
            subscribers: HashMap::new(),
            cors: definition.cors.as_ref().map(|cors| cors::Policy::compile(cors, &definition.operations)),
            shared: Shared::default(),
            max_tps: None,
            told: None,
            security: definition.security,
            mock: definition.mock,
            validates: definition.validate_requests,
            contract: None,
            assertion_header: identity::header_of(definition),
            revision: api.revision,
            keeps_answers: definition.operations.iter().any(|operation| operation.cache.is_some()),
            shapes: Shapes::compile(definition),
            forward_authorization: definition.forward_authorization,
            timeouts: definition.timeouts,
            websockets: clients.get(Profile::of(definition).for_websockets()),
            client: clients.get(Profile::of(definition)),
            protocol: definition.transport.protocol,
            tally,
            production: upstreams.compile(api, KeyType::Production),
            sandbox: upstreams.compile(api, KeyType::Sandbox),
        }
    }

    /// Whether the API is there for its callers, if only to say that it is blocked.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        match self.state {
            State::Created | State::Retired => false,
            State::Blocked | State::Published | State::Deprecated => true,
        }
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

#[cfg(test)]
pub(crate) mod tests;
