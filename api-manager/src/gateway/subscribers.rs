//! Applications as the gateway needs them: what each may call, and on which tier.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::limits::{Buckets, Key, Limited};
use super::shards::Shards;
use super::slots::{self, Slot};
use crate::domain::application::About;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::subscription::{SubscriptionState, Terms};
use crate::domain::tier::{Limit, Tier};

/// Every application that may call something.
#[derive(Clone, Default)]
pub struct Subscribers {
    by_id: Shards<ApplicationId, Arc<Subscriber>>,
    tiers: Arc<Tiers>,
}

/// Tiers by name.
#[derive(Default)]
pub struct Tiers(HashMap<Box<str>, Arc<Named>>);

/// A tier as subscriptions refer to it.
pub struct Named {
    /// Its name.
    pub name: Box<str>,
    limit: Option<Limit>,
}

/// An application with what it has subscribed to.
pub struct Subscriber {
    /// What backends hear of the application.
    pub about: Option<About>,
    /// Of the application's tier, over all APIs.
    pub limited: Option<Limited>,
    /// Of the table in which it last changed.
    pub revision: i64,
    rights: Rights,
}

/// What an application may do, by what it has subscribed to. Most have subscribed to little: a hundred thousand of them are to be
/// small. Of thousands of subscriptions a search would read a dozen that lie far apart, a map reads one.
enum Rights {
    /// In the order of the APIs.
    Few(Box<[(ApiId, Right)]>),
    Many(RandomState, Box<[Slot<ApiId, Right>]>),
}

/// The most that are searched.
const FEW: usize = 16;

impl Rights {
    fn of(mut all: Vec<(ApiId, Right)>) -> Self {
        if all.len() > FEW {
            let hasher = RandomState::default();
            let hashed = all.into_iter().map(|(api, right)| (hasher.hash_one(api), api, right)).collect();
            return Self::Many(hasher, slots::deal(hashed).into());
        }
        all.sort_unstable_by_key(|(api, _)| *api);
        Self::Few(all.into())
    }

    fn at(&self, api: ApiId) -> Option<&Right> {
        match self {
            Self::Few(all) => {
                let place = all.binary_search_by_key(&api, |(api, _)| *api).ok()?;
                all.get(place).map(|(_, right)| right)
            }
            Self::Many(hasher, all) => slots::find(all, hasher.hash_one(api), &api),
        }
    }
}

/// What an application may do at one API. With the API's id it is as large as one line of memory: each call of another API reads
/// one that is not at hand.
pub struct Right {
    /// Whether the subscription counts.
    pub state: SubscriptionState,
    /// Of the subscription's tier.
    pub limited: Option<Limited>,
    /// The subscription's tier.
    pub tier: Arc<Named>,
}

impl Tiers {
    /// Of these.
    #[must_use]
    pub fn of(tiers: Vec<Tier>) -> Self {
        let named = |Tier { name, limit, .. }: Tier| {
            let name: Box<str> = name.into();
            (name.clone(), Arc::new(Named { name, limit }))
        };
        Self(tiers.into_iter().map(named).collect())
    }

    /// The limit of the tier of that name, where it has one.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<&Limit> {
        self.0.get(name)?.limit.as_ref()
    }

    /// The tier of that name; one that is not there has no limit.
    fn named(&self, name: &str) -> Arc<Named> {
        let unknown = || Arc::new(Named { name: name.into(), limit: None });
        self.0.get(name).map_or_else(unknown, Arc::clone)
    }
}

impl Subscribers {
    /// Compiles all of them.
    #[must_use]
    pub fn compile(
        applications: Vec<About>,
        subscriptions: Vec<Terms>,
        tiers: Arc<Tiers>,
        (buckets, revision): (&Buckets, i64),
    ) -> Self {
        let mut by_application: HashMap<ApplicationId, Vec<Terms>, RandomState> = HashMap::default();
        for subscription in subscriptions {
            by_application.entry(subscription.application_id).or_default().push(subscription);
        }
        let mut all: Vec<(ApplicationId, Arc<Subscriber>)> = Vec::with_capacity(by_application.len());
        for about in applications {
            // One that may call nothing is as good as none.
            if let Some(subscriptions) = by_application.remove(&about.id) {
                let id = about.id;
                let one = Subscriber::compile((id, Some(about)), subscriptions, &tiers, (buckets, revision));
                all.push((id, Arc::new(one)));
            }
        }
        for (id, subscriptions) in by_application {
            let one = Subscriber::compile((id, None), subscriptions, &tiers, (buckets, revision));
            all.push((id, Arc::new(one)));
        }
        Self { by_id: Shards::of(all), tiers }
    }

    /// Takes over how one application stands now; nothing is known about one that is gone.
    pub fn change(
        &mut self,
        (id, about): (ApplicationId, Option<About>),
        subscriptions: Vec<Terms>,
        (buckets, revision): (&Buckets, i64),
    ) {
        if subscriptions.is_empty() {
            self.by_id.remove(&id);
            return;
        }
        let one = Subscriber::compile((id, about), subscriptions, &self.tiers, (buckets, revision));
        self.by_id.insert(id, Arc::new(one));
    }

    /// The application, where it has subscribed to anything.
    #[must_use]
    pub fn get(&self, id: ApplicationId) -> Option<&Arc<Subscriber>> {
        self.by_id.get(&id)
    }

    /// The limits by tier.
    #[must_use]
    pub fn tiers(&self) -> &Tiers {
        &self.tiers
    }
}

impl Subscriber {
    fn compile(
        (id, about): (ApplicationId, Option<About>),
        subscriptions: Vec<Terms>,
        tiers: &Tiers,
        (buckets, revision): (&Buckets, i64),
    ) -> Self {
        let limit = about.as_ref().and_then(|about| tiers.limit(&about.tier));
        let rights = subscriptions
            .into_iter()
            .map(|subscription| {
                let key = Key::Subscription(id, subscription.api_id);
                let tier = tiers.named(&subscription.tier);
                let limited = buckets.by_tier(key, tier.limit.as_ref());
                (subscription.api_id, Right { state: subscription.state, limited, tier })
            })
            .collect();
        let limited = buckets.by_tier(Key::Application(id), limit);
        Self { about, limited, revision, rights: Rights::of(rights) }
    }

    /// Has fetched what [`Subscriber::at`] will read, where that is one of many.
    pub fn fetch(&self, api: ApiId) {
        if let Rights::Many(hasher, all) = &self.rights {
            slots::fetch(all, hasher.hash_one(api));
        }
    }

    /// The application's subscription to an API.
    #[must_use]
    pub fn at(&self, api: ApiId) -> Option<&Right> {
        let right = self.rights.at(api)?;
        // It is taken from when everything else is decided.
        right.limited.as_ref().inspect(|limited| limited.fetch());
        Some(right)
    }
}

#[cfg(test)]
mod tests {
    use shared_claims::clock::Clock;

    use super::*;

    #[test]
    fn a_subscription_is_found_among_few_and_among_many() {
        let buckets = Buckets::new(Clock::System);
        for count in [0, 1, FEW, FEW + 1, 1_000] {
            let application = ApplicationId::generate();
            let terms: Vec<Terms> = (0..count)
                .map(|n| Terms {
                    application_id: application,
                    api_id: ApiId::generate(),
                    tier: format!("Tier{n}"),
                    state: if n % 3 == 0 { SubscriptionState::Blocked } else { SubscriptionState::Active },
                })
                .collect();
            let tiers = Tiers::default();
            let one = Subscriber::compile((application, None), terms.clone(), &tiers, (&buckets, 1));
            for terms in &terms {
                let right = one.at(terms.api_id).expect("it has subscribed");
                assert_eq!((right.state, &*right.tier.name), (terms.state, &*terms.tier), "of {count}");
            }
            assert!(one.at(ApiId::generate()).is_none(), "of {count}");
        }
    }

    #[test]
    fn a_subscription_is_as_large_as_a_line() {
        assert_eq!(size_of::<Slot<ApiId, Right>>(), 64);
    }
}
