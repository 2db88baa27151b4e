//! An application's right to call an API.

use shared_claims::clock::UnixTime;

use super::api::Api;
use super::ids::{ApiId, ApplicationId, SubscriptionId};
use super::lifecycle::State;

/// A subscription on a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Who subscribed.
    pub application_id: ApplicationId,
    /// To what.
    pub api_id: ApiId,
    /// The tier that limits it, one of the API's.
    pub tier: String,
    /// Whether it counts now.
    pub state: SubscriptionState,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// What of a subscription counts for calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who subscribed.
    pub application_id: ApplicationId,
    /// To what.
    pub api_id: ApiId,
    /// The tier that limits it.
    pub tier: String,
    /// Whether it counts now.
    pub state: SubscriptionState,
}

/// Why an API takes no subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSubscribable {
    /// Its state closes it to new subscriptions.
    State(State),
    /// It does not offer the tier; it offers these.
    Tier(Vec<String>),
}

impl Subscription {
    /// A new subscription, if the API takes it.
    ///
    /// # Errors
    /// [`NotSubscribable`].
    pub fn open(
        application_id: ApplicationId,
        api: &Api,
        tier: String,
        now: UnixTime,
    ) -> Result<Self, NotSubscribable> {
        if api.state != State::Published {
            return Err(NotSubscribable::State(api.state));
        }
        offered(api, &tier)?;
        Ok(Self {
            id: SubscriptionId::generate(),
            application_id,
            api_id: api.id,
            tier,
            state: SubscriptionState::Active,
            created_at: now,
            updated_at: now,
            revision: 1,
        })
    }

    /// Moves to another tier of the API, in whatever state the API is.
    ///
    /// # Errors
    /// [`NotSubscribable::Tier`].
    pub fn change_tier(&mut self, api: &Api, tier: String, now: UnixTime) -> Result<(), NotSubscribable> {
        offered(api, &tier)?;
        self.tier = tier;
        self.updated_at = now;
        self.revision += 1;
        Ok(())
    }

    /// Puts it into `state`; says whether that changed anything.
    pub fn put_into(&mut self, state: SubscriptionState, now: UnixTime) -> bool {
        if self.state == state {
            return false;
        }
        self.state = state;
        self.updated_at = now;
        self.revision += 1;
        true
    }
}

fn offered(api: &Api, tier: &str) -> Result<(), NotSubscribable> {
    let tiers = &api.definition.tiers;
    if tiers.iter().any(|offered| offered == tier) {
        Ok(())
    } else {
        Err(NotSubscribable::Tier(tiers.clone()))
    }
}

/// Whether a subscription counts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// It does.
    Active,
    /// The publisher has stopped it: 401, code 900907.
    Blocked,
}

impl SubscriptionState {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Blocked].into_iter().find(|s| s.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api::tests::api_at;

    #[test]
    fn only_a_published_api_takes_subscriptions() {
        let mut api = api_at("pets", "1");
        for state in State::ALL {
            api.state = state;
            let opened =
                Subscription::open(ApplicationId::generate(), &api, "Unlimited".to_owned(), UnixTime(1));
            match state {
                State::Published => assert!(opened.is_ok()),
                other => assert_eq!(opened, Err(NotSubscribable::State(other))),
            }
        }
    }

    #[test]
    fn only_the_apis_own_tiers_are_offered() {
        let mut api = api_at("pets", "1");
        api.state = State::Published;
        let open =
            |tier: &str| Subscription::open(ApplicationId::generate(), &api, tier.to_owned(), UnixTime(1));
        let refused = NotSubscribable::Tier(vec!["Unlimited".to_owned()]);

        assert_eq!(open("Gold"), Err(refused.clone()));
        assert_eq!(
            open("Unlimited").unwrap().change_tier(&api, "Gold".to_owned(), UnixTime(2)),
            Err(refused)
        );
    }

    #[test]
    fn blocking_twice_changes_nothing_the_second_time() {
        let mut api = api_at("pets", "1");
        api.state = State::Published;
        let mut subscription =
            Subscription::open(ApplicationId::generate(), &api, "Unlimited".to_owned(), UnixTime(1)).unwrap();

        assert!(subscription.put_into(SubscriptionState::Blocked, UnixTime(2)));
        assert!(!subscription.put_into(SubscriptionState::Blocked, UnixTime(3)));
        assert_eq!((subscription.revision, subscription.updated_at), (2, UnixTime(2)));
    }
}
