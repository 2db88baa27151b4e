//! What of a grant decides about calls. Gateways keep a million of these: what repeats from one to the next is shared, and
//! what is rare is elsewhere.

mod subject;

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use super::application::KeyType;
use super::grant::Grant;
use super::ids::{ApplicationId, GrantId, IdentityProviderId};
use super::principal::Origin;
use super::revocation::Revocation;
use subject::Subject;

/// A caller by an opaque token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByGrant {
    terms: Arc<Terms>,
    id: GrantId,
    rare: Option<Box<Rare>>,
    /// In seconds since 1970; what ends after 2106 ends then.
    expires_at: u32,
    /// In seconds.
    lifetime: u32,
    /// Of the assertion's `jti`; 0 where it has none. A revocation that names another with the same number only has the
    /// grant read again.
    jti: u32,
    subject: Subject,
}

/// What many grants have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    application_id: ApplicationId,
    consumer_key: String,
    key_type: KeyType,
    scopes: ScopeSet,
    origin: Option<(IdentityProviderId, String)>,
}

/// What few grants have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    /// The first of the line, where that is another.
    family: Option<GrantId>,
    revoked_at: Option<UnixTime>,
    /// One that [`Subject`] cannot hold.
    subject: Option<Box<str>>,
}

impl ByGrant {
    /// By this grant.
    #[must_use]
    pub fn of(grant: &Grant) -> Self {
        let origin = grant.lineage.assertion.as_ref();
        let terms = Terms {
            application_id: grant.application_id,
            consumer_key: grant.consumer_key.clone(),
            key_type: grant.key_type,
            scopes: grant.scopes.clone(),
            origin: origin.map(|origin| (origin.identity_provider_id, origin.issuer.clone())),
        };
        let subject = Subject::of(&grant.subject);
        let rare = Rare {
            family: (grant.lineage.family != grant.id).then_some(grant.lineage.family),
            revoked_at: grant.revoked_at,
            subject: subject.is_elsewhere().then(|| grant.subject.as_str().into()),
        };
        Self {
            terms: Arc::new(terms),
            id: grant.id,
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            expires_at: seconds(grant.expires_at.0),
            lifetime: seconds(grant.expires_at.0.saturating_sub(grant.issued_at.0)),
            jti: number_of(origin.and_then(|origin| origin.jti.as_deref())),
            subject,
        }
    }

    /// Shares its terms with those that are `known`, and makes them known where they are not.
    pub fn share(&mut self, known: &mut HashSet<Arc<Terms>>) {
        if let Some(same) = known.get(&self.terms) {
            self.terms = Arc::clone(same);
        } else {
            known.insert(Arc::clone(&self.terms));
        }
    }

    /// The grant.
    #[must_use]
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The first grant of the line.
    #[must_use]
    pub fn family(&self) -> GrantId {
        self.rare.as_ref().and_then(|rare| rare.family).unwrap_or(self.id)
    }

    /// Whose key bought it.
    #[must_use]
    pub fn application_id(&self) -> ApplicationId {
        self.terms.application_id
    }

    /// Which backends it reaches.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.terms.key_type
    }

    /// The assertion's `sub`, or the consumer key where no person is involved.
    #[must_use]
    pub fn subject(&self) -> Cow<'_, str> {
        let elsewhere = || self.rare.as_ref().and_then(|rare| rare.subject.as_deref()).unwrap_or_default();
        self.subject.name().unwrap_or_else(|| elsewhere().into())
    }

    /// What was granted.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.terms.scopes
    }

    /// The first moment at which it is refused.
    #[must_use]
    pub fn expires_at(&self) -> UnixTime {
        UnixTime(self.expires_at.into())
    }

    /// When it was made.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.expires_at().minus(self.lifetime.into())
    }

    /// When it was revoked, where that was before it was looked up.
    #[must_use]
    pub fn revoked_at(&self) -> Option<UnixTime> {
        self.rare.as_ref()?.revoked_at
    }

    /// Who vouched for the subject.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'_>> {
        let (identity_provider_id, issuer) = self.terms.origin.as_ref()?;
        Some(Origin { identity_provider_id: *identity_provider_id, issuer })
    }

    /// Whether `revocation` takes it back, or may do so.
    #[must_use]
    pub fn is_taken_back_by(&self, revocation: &Revocation) -> bool {
        match revocation {
            Revocation::Family(id) => self.id == *id || self.family() == *id,
            Revocation::Key(key) => self.terms.consumer_key == *key,
            Revocation::Assertion { issuer, jti } => {
                self.jti == number_of(Some(jti))
                    && self.origin().is_some_and(|origin| origin.issuer == *issuer)
            }
            // Found by the digest that the token is kept by.
            Revocation::Token(_)
            | Revocation::Application(_)
            | Revocation::Subject { .. }
            | Revocation::IdentityProvider(_)
            | Revocation::ApiKey(_)
            | Revocation::MappedClient(_)
            | Revocation::ClientCertificate(_) => false,
        }
    }
}

fn seconds(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}

/// Of nothing 0, of every text another number, if not always.
fn number_of(jti: Option<&str>) -> u32 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    jti.map_or(0, |jti| u32::try_from(KEY.hash_one(jti) >> 32).unwrap_or_default().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::Principal;
    use crate::gateway::routes::tests::grant;

    fn about(subject: &str) -> Grant {
        Grant {
            subject: subject.to_owned(),
            ..grant(ApplicationId::generate(), IdentityProviderId::generate())
        }
    }

    #[test]
    fn a_caller_is_what_the_grant_says() {
        let long = "x".repeat(300);
        let (fits, is_over) = ("y".repeat(subject::SHORT), "z".repeat(subject::SHORT + 1));
        let subjects = ["", "alice", "é", "0199a3f4-7b1e-7c43-a1b2-0123456789ab", "ends in a zero\0"];
        for subject in subjects.into_iter().chain([&*fits, &*is_over, &*long]) {
            let grant = about(subject);
            let caller = ByGrant::of(&grant);
            assert_eq!(caller.subject(), subject);
            assert_eq!((caller.id(), caller.family()), (grant.id, grant.lineage.family));
            assert_eq!((caller.issued_at(), caller.expires_at()), (grant.issued_at, grant.expires_at));
            assert_eq!((caller.revoked_at(), caller.key_type()), (None, grant.key_type));
            let origin = grant.lineage.assertion.unwrap();
            let said = caller.origin().unwrap();
            assert_eq!(
                (said.issuer, said.identity_provider_id),
                (&*origin.issuer, origin.identity_provider_id)
            );
        }
        let mut later = about("alice");
        (later.lineage.family, later.revoked_at) = (GrantId::generate(), Some(UnixTime(7)));
        let caller = ByGrant::of(&later);
        assert_eq!((caller.family(), caller.revoked_at()), (later.lineage.family, later.revoked_at));
    }

    #[test]
    fn a_million_callers_fit_because_each_is_small_and_shares_its_terms() {
        assert!(size_of::<ByGrant>() <= 72, "{}", size_of::<ByGrant>());
        assert_eq!(size_of::<Principal>(), size_of::<ByGrant>());
        let mut known = HashSet::new();
        let grants = [about("alice"), Grant { subject: "bob".to_owned(), ..about("alice") }];
        let (mut one, mut same, mut other) =
            (ByGrant::of(&grants[0]), ByGrant::of(&grants[0]), ByGrant::of(&grants[1]));
        for caller in [&mut one, &mut same, &mut other] {
            caller.share(&mut known);
        }
        assert!(Arc::ptr_eq(&one.terms, &same.terms) && !Arc::ptr_eq(&one.terms, &other.terms));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn an_end_beyond_what_is_kept_comes_earlier_never_later() {
        let grant = Grant { expires_at: UnixTime(i64::MAX), ..about("alice") };
        assert_eq!(ByGrant::of(&grant).expires_at(), UnixTime(u32::MAX.into()));
        let grant = Grant { expires_at: UnixTime(-5), ..about("alice") };
        assert_eq!(ByGrant::of(&grant).expires_at(), UnixTime(0));
    }
}
