//! What answers where: an immutable table, compiled from the database and swapped as a whole.
//!
//! A table is compiled of everything once; after that of the table before it and of what has changed, and shares with it all
//! that has not.

mod prefix;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::deny::DenyTable;
use super::route::Parts;
use super::shards::Shards;
use super::subscribers::{Subscriber, Subscribers, Tiers};
use crate::domain::api::Api;
use crate::domain::application::About;
use crate::domain::deny::DenyRule;
use crate::domain::identity_provider::IdentityProvider;
use crate::domain::ids::{ApiId, ApplicationId, IdentityProviderId};
use crate::domain::openapi::contract::Contract;
use crate::domain::principal::Principal;
use crate::domain::subscription::Terms;
use crate::domain::tier::Tier;
use prefix::Prefix;

pub use super::route::Route;

/// What the documents of APIs promise that need one.
pub type Contracts = HashMap<ApiId, Arc<Contract>>;

/// Everything that a table is compiled from.
#[derive(Default)]
pub struct Sources {
    /// The counter that moves with each of these; read before them.
    pub revision: i64,
    /// Every API, in any state.
    pub apis: Vec<Api>,
    /// Every subscription.
    pub subscriptions: Vec<Terms>,
    /// Every application.
    pub applications: Vec<About>,
    /// Every tier.
    pub tiers: Vec<Tier>,
    /// Every trusted identity provider.
    pub identity_providers: Vec<IdentityProvider>,
    /// Of those APIs.
    pub contracts: Contracts,
    /// Every deny rule.
    pub deny_rules: Vec<DenyRule>,
}

/// What has changed since another table was compiled.
#[derive(Default)]
pub struct Delta {
    /// As of [`Sources`].
    pub revision: i64,
    /// APIs as they are now; nothing where one is gone.
    pub apis: Vec<(ApiId, Option<Api>)>,
    /// Applications as they are now, with all their subscriptions.
    pub applications: Vec<(ApplicationId, Option<About>, Vec<Terms>)>,
    /// Every trusted identity provider, where one changed.
    pub identity_providers: Option<Vec<IdentityProvider>>,
    /// Of those APIs.
    pub contracts: Contracts,
    /// Every deny rule, where one changed.
    pub deny_rules: Option<Vec<DenyRule>>,
}

/// So many places are no longer at hand, all of them: what is read of one is asked for ahead.
const MANY: usize = 256;

/// The table that requests are served by.
#[derive(Clone, Default)]
pub struct RouteTable {
    /// The revision of its sources.
    pub revision: i64,
    /// By context and version, or context alone, without slashes at either end.
    places: Shards<Prefix, Arc<Route>>,
    /// The segments of the longest key of `places`.
    deepest: usize,
    apis: Shards<ApiId, Arc<Route>>,
    subscribers: Subscribers,
    /// How many APIs in service take client certificates.
    certificates: usize,
    providers: Arc<Providers>,
    /// Whom it keeps away.
    pub deny: Arc<DenyTable>,
}

/// Those that are enabled.
#[derive(Default)]
struct Providers {
    by_issuer: HashMap<Box<str>, Arc<IdentityProvider>>,
    revisions: HashMap<IdentityProviderId, i64, RandomState>,
}

impl Providers {
    fn of(all: Vec<IdentityProvider>) -> Self {
        let mut providers = Self::default();
        for provider in all.into_iter().filter(|provider| provider.enabled) {
            providers.revisions.insert(provider.id, provider.revision);
            providers.by_issuer.insert(provider.issuer.as_str().into(), Arc::new(provider));
        }
        providers
    }
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
    /// Compiles a table of everything. What cannot be compiled is left out and logged: one bad row must not stop the others.
    #[must_use]
    pub fn compile(mut sources: Sources, parts: &Parts<'_>) -> Self {
        let revision = sources.revision;
        let tiers = Arc::new(Tiers::of(sources.tiers));
        let apis: Vec<(ApiId, Arc<Route>)> = sources
            .apis
            .iter()
            .map(|api| {
                let contract = sources.contracts.remove(&api.id);
                (api.id, Arc::new(Route::compile(api, parts, (&tiers, contract), revision)))
            })
            .collect();
        let (applications, subscriptions) = (sources.applications, sources.subscriptions);
        let mut table = Self {
            revision,
            certificates: apis.iter().filter(|(_, route)| route.asks_for_certificates()).count(),
            apis: Shards::of(apis),
            subscribers: Subscribers::compile(applications, subscriptions, tiers, (parts.buckets, revision)),
            providers: Arc::new(Providers::of(sources.identity_providers)),
            deny: Arc::new(DenyTable::compile(&sources.deny_rules)),
            ..Self::default()
        };
        table.put_all();
        table
    }

    /// The table that comes of this one by what has changed.
    #[must_use]
    pub fn changed(&self, mut delta: Delta, parts: &Parts<'_>) -> Self {
        let revision = delta.revision;
        let mut table = Self { revision, ..self.clone() };
        let mut moves = false;
        for (id, api) in delta.apis {
            let contract = delta.contracts.remove(&id);
            let compiled =
                api.map(|api| Route::compile(&api, parts, (table.subscribers.tiers(), contract), revision));
            moves |= table.replace(id, compiled.map(Arc::new));
        }
        if moves {
            table.put_all();
        }
        for (id, application, subscriptions) in delta.applications {
            table.subscribers.change((id, application), subscriptions, (parts.buckets, revision));
        }
        if let Some(providers) = delta.identity_providers {
            table.providers = Arc::new(Providers::of(providers));
        }
        if let Some(rules) = delta.deny_rules {
            table.deny = Arc::new(DenyTable::compile(&rules));
        }
        table
    }

    /// Whether the places are to be [put anew](Self::put_all).
    fn replace(&mut self, id: ApiId, route: Option<Arc<Route>>) -> bool {
        let before = self.apis.get(&id).cloned();
        self.certificates += usize::from(route.as_ref().is_some_and(|route| route.asks_for_certificates()));
        self.certificates -= usize::from(before.as_ref().is_some_and(|route| route.asks_for_certificates()));
        match &route {
            Some(route) => self.apis.insert(id, Arc::clone(route)),
            None => self.apis.remove(&id),
        }
        match (before, route) {
            // Most changes move nothing: the API keeps the places that it has.
            (Some(before), Some(route)) if before.place == route.place => {
                let mut places: Vec<Arc<str>> = vec![Arc::clone(&route.place.versioned)];
                places.extend(route.place.bare.clone());
                for place in places {
                    if self.places.get(place.as_bytes()).is_some_and(|holder| holder.id == id) {
                        self.places.insert(Prefix::from(&*place), Arc::clone(&route));
                    }
                }
                false
            }
            _ => true,
        }
    }

    /// Puts every API where it answers.
    fn put_all(&mut self) {
        let mut places: HashMap<&Arc<str>, &Arc<Route>> = HashMap::with_capacity(self.apis.len());
        for (_, route) in self.apis.iter() {
            if let Some(bare) = &route.place.bare {
                let holder = places.entry(bare).or_insert(route);
                if holder.place.made < route.place.made {
                    *holder = route;
                }
            }
        }
        // A place with a version outranks one without that happens to be spelled the same.
        places.extend(self.apis.iter().map(|(_, route)| (&route.place.versioned, route)));
        self.deepest = places.keys().map(|place| place.split('/').count()).max().unwrap_or_default();
        self.places = Shards::of(
            places.into_iter().map(|(place, route)| (Prefix::from(&**place), Arc::clone(route))).collect(),
        );
    }

    /// Has fetched where [`RouteTable::find`] will look first for the path of a target.
    pub fn fetch_place(&self, target: &str) {
        if self.is_small() {
            return;
        }
        let path = target.split('?').next().unwrap_or_default();
        if let Some(first) = path.strip_prefix('/').and_then(|inner| self.first_candidate(inner)) {
            self.places.fetch(first.as_bytes());
        }
    }

    /// Has fetched what will be read first of the API that a path leads to.
    pub fn fetch_route(&self, path: &str) {
        if !self.is_small()
            && let Some(found) = self.find(path)
        {
            found.route.fetch();
        }
    }

    /// Has fetched what an application may do at an API.
    pub fn fetch_right(&self, application: ApplicationId, api: ApiId) {
        if !self.is_small()
            && let Some(subscriber) = self.subscriber(application)
        {
            subscriber.fetch(api);
        }
    }

    /// Whether everything is at hand anyway.
    fn is_small(&self) -> bool {
        self.places.len() < MANY
    }

    /// As much of a path, without its first slash, as the longest key may be.
    fn first_candidate<'p>(&self, inner: &'p str) -> Option<&'p str> {
        let beyond = self.deepest.checked_sub(1)?;
        let end = inner.match_indices('/').nth(beyond).map_or(inner.len(), |(place, _)| place);
        inner.get(..end)
    }

    /// The API with the longest context and version at the front of `path`, on whole segments; one look-up for each
    /// candidate, however many APIs there are.
    #[must_use]
    pub fn find<'t, 'p>(&'t self, path: &'p str) -> Option<Found<'t, 'p>> {
        let inner = path.strip_prefix('/')?;
        let mut end = self.first_candidate(inner)?.len();
        loop {
            let candidate = inner.get(..end)?;
            if let Some(route) = self.places.get(candidate.as_bytes()) {
                let (prefix, rest) = path.split_at_checked(end + 1)?;
                return Some(Found { route, prefix, rest });
            }
            end = candidate.rfind('/')?;
        }
    }

    /// Whether the identity provider is trusted now.
    #[must_use]
    pub fn trusts(&self, provider: IdentityProviderId) -> bool {
        self.providers.revisions.contains_key(&provider)
    }

    /// The trusted provider of that issuer.
    #[must_use]
    pub fn provider_of(&self, issuer: &str) -> Option<&Arc<IdentityProvider>> {
        self.providers.by_issuer.get(issuer)
    }

    /// Whether somebody was vouched for by a provider whose terms have changed since.
    #[must_use]
    pub fn is_ahead_of(&self, caller: &Principal) -> bool {
        let verified = caller.verified_by();
        let present = verified.and_then(|(provider, _)| self.providers.revisions.get(&provider));
        verified.zip(present).is_some_and(|((_, then), now)| then < *now)
    }

    /// The API of that id, in any state.
    #[must_use]
    pub fn api(&self, id: ApiId) -> Option<&Arc<Route>> {
        self.apis.get(&id)
    }

    /// The application of that id, where it has subscribed to anything.
    #[must_use]
    pub fn subscriber(&self, id: ApplicationId) -> Option<&Arc<Subscriber>> {
        self.subscribers.get(id)
    }

    /// Whether an API in service takes client certificates.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.certificates > 0
    }

    /// Every API, in any state.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.apis.iter().map(|(_, route)| route)
    }

    /// The number of APIs, in any state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.apis.len()
    }

    /// Whether there is no API.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apis.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests;
