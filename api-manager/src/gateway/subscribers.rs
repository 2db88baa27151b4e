//! Applications as the gateway needs them: what each may call, and on which tier.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::limits::{Buckets, Key, Limited};
use super::shards::Shards;
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

/// The limits of tiers by name.
#[derive(Default)]
pub struct Tiers(HashMap<Arc<str>, Option<Limit>>);

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
/// small. Of thousands of subscriptions a search would read a dozen that lie far apart, a map reads two.
enum Rights {
    /// In the order of the APIs.
    Few(Box<[(ApiId, Right)]>),
    Many(HashMap<ApiId, Right, RandomState>),
}

/// The most that are searched.
const FEW: usize = 16;

impl Rights {
    fn of(mut all: Vec<(ApiId, Right)>) -> Self {
        if all.len() > FEW {
            return Self::Many(all.into_iter().collect());
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
            Self::Many(all) => all.get(&api),
        }
    }
}

/// What an application may do at one API.
pub struct Right {
    /// Whether the subscription counts.
    pub state: SubscriptionState,
    /// Of the subscription's tier.
    pub limited: Option<Limited>,
    /// The subscription's tier.
    pub tier: Arc<str>,
}

impl Tiers {
    /// Of these.
    #[must_use]
    pub fn of(tiers: Vec<Tier>) -> Self {
        Self(tiers.into_iter().map(|tier| (tier.name.into(), tier.limit)).collect())
    }

    /// The limit of the tier of that name, where it has one.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<&Limit> {
        self.0.get(name)?.as_ref()
    }

    /// The name, without a copy of it where that can be.
    fn name(&self, name: &str) -> Arc<str> {
        self.0.get_key_value(name).map_or_else(|| name.into(), |(name, _)| Arc::clone(name))
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
                let limited = buckets.by_tier(key, tiers.limit(&subscription.tier));
                let tier = tiers.name(&subscription.tier);
                (subscription.api_id, Right { state: subscription.state, limited, tier })
            })
            .collect();
        let limited = buckets.by_tier(Key::Application(id), limit);
        Self { about, limited, revision, rights: Rights::of(rights) }
    }

    /// The application's subscription to an API.
    #[must_use]
    pub fn at(&self, api: ApiId) -> Option<&Right> {
        self.rights.at(api)
    }
}
