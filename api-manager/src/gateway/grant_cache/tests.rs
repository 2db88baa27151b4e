//! Late inserts, revocations, bounds.

use super::*;
use shared_claims::secret::Digest;

use crate::domain::by_grant::ByGrant;
use crate::domain::grant::Grant;
use crate::domain::ids::{ApplicationId, IdentityProviderId};
use crate::gateway::lookups::Joined;
use crate::gateway::routes::tests::grant;

fn any_grant() -> Grant {
    grant(ApplicationId::generate(), IdentityProviderId::generate())
}

fn credential(digest: Digest) -> Credential {
    Credential { scheme: Scheme::Token, digest }
}

fn is_known(cache: &GrantCache, grant: &Grant) -> bool {
    matches!(cache.get(&credential(grant.access_digest), Instant::now()), Cached::Known(_))
}

fn keep(cache: &GrantCache, grant: &Grant, heard: u64) -> Option<Arc<Entry>> {
    let kept = cache.keep(&credential(grant.access_digest), Principal::Grant(ByGrant::of(grant)), heard);
    kept.map(|kept| kept.entry)
}

fn takes_back(revocation: &Revocation, grant: &Grant) -> bool {
    speaks_of(revocation, &credential(grant.access_digest), &Principal::Grant(ByGrant::of(grant)))
}

#[test]
fn a_grant_read_before_a_revocation_of_it_is_not_kept_after() {
    let cache = GrantCache::new(CacheLimits::default());
    let (mine, other) = (any_grant(), any_grant());

    cache.forget(&Revocation::Token(mine.access_digest));

    assert!(keep(&cache, &mine, 0).is_none());
    assert!(!is_known(&cache, &mine));
    assert!(keep(&cache, &other, 0).is_some());
    assert!(keep(&cache, &mine, 1).is_some());
    assert!(is_known(&cache, &mine) && is_known(&cache, &other));
}

#[test]
fn who_asks_after_a_revocation_waits_for_no_look_up_from_before_it() {
    let cache = GrantCache::new(CacheLimits::default());
    let grant = any_grant();
    let asks = || cache.lookups.join(credential(grant.access_digest), || None);
    assert!(matches!(asks(), Joined::First(_)));
    assert!(matches!(asks(), Joined::Waiting(_)));

    // What was read is kept, and those who wait are not told yet when the revocation comes.
    let kept = cache
        .keep(&credential(grant.access_digest), Principal::Grant(ByGrant::of(&grant)), 0)
        .expect("nothing was taken back");
    cache.forget(&Revocation::Token(grant.access_digest));
    let late = asks();
    kept.waiting.tell(&Ok(Some(kept.entry)));

    let Joined::First(mut answer) = late else { panic!("it waits for what was read before") };
    assert!(answer.try_recv().is_err(), "it was told what was read before");
}

#[test]
fn every_kind_of_revocation_overtakes_its_grants_and_no_others() {
    let (mine, other) = (any_grant(), any_grant());
    let origin = mine.lineage.assertion.clone().unwrap();
    for revocation in [
        Revocation::Token(mine.access_digest),
        Revocation::Family(mine.lineage.family),
        Revocation::Application(mine.application_id),
        Revocation::IdentityProvider(origin.identity_provider_id),
    ] {
        let cache = GrantCache::new(CacheLimits::default());
        keep(&cache, &mine, 0).unwrap();
        keep(&cache, &other, 0).unwrap();
        cache.forget(&revocation);
        assert!(!is_known(&cache, &mine) && is_known(&cache, &other), "{revocation:?}");
        assert!(keep(&cache, &mine, 0).is_none() && keep(&cache, &other, 0).is_some());
    }
    let of_alice = |issuer: Option<&str>| Revocation::Subject {
        subject: "alice".to_owned(),
        issuer: issuer.map(str::to_owned),
    };
    assert!(takes_back(&of_alice(None), &mine));
    assert!(takes_back(&of_alice(Some("https://idp.example")), &mine));
    assert!(!takes_back(&of_alice(Some("https://other.example")), &mine));
    let mut by_itself = mine.clone();
    by_itself.lineage.assertion = None;
    assert!(
        takes_back(&of_alice(None), &by_itself)
            && !takes_back(&of_alice(Some("https://idp.example")), &by_itself)
    );
    let of_assertion =
        |jti: &str| Revocation::Assertion { issuer: origin.issuer.clone(), jti: jti.to_owned() };
    assert!(takes_back(&of_assertion("jti"), &mine) && !takes_back(&of_assertion("jt"), &mine));
}

#[test]
fn more_revocations_than_are_remembered_overtake_everything() {
    let cache = GrantCache::new(CacheLimits::default());
    for _ in 0..=RECENT {
        cache.forget(&Revocation::Token(Digest::of(b"other")));
    }
    assert!(keep(&cache, &any_grant(), 0).is_none());
    assert!(keep(&cache, &any_grant(), 1).is_some());
    cache.clear();
    assert!(keep(&cache, &any_grant(), 1_025).is_none());
    assert!(cache.is_empty());
}

#[test]
fn a_full_cache_lets_go_of_what_was_unused_for_longest() {
    let cache = GrantCache::new(CacheLimits { grants: 160, ..CacheLimits::default() });
    let all: Vec<Grant> = (0..300).map(|_| any_grant()).collect();
    for grant in &all[..170] {
        keep(&cache, grant, 0).unwrap();
    }
    for _ in 0..3 {
        cache.sweeps.fetch_add(1, Ordering::Relaxed);
        for grant in &all[..20] {
            assert!(is_known(&cache, grant));
        }
    }
    cache.sweep(UnixTime(600));
    assert_eq!(cache.len(), 150);
    assert!(all[..20].iter().all(|grant| is_known(&cache, grant)));
    for grant in &all[170..] {
        assert!(keep(&cache, grant, 0).is_some());
    }
    assert_eq!(cache.len(), 180);
}

#[test]
fn a_cache_that_grows_to_its_bound_holds_everybody_on_the_way() {
    let cache = GrantCache::new(CacheLimits { grants: 2_000, ..CacheLimits::default() });
    let all: Vec<Grant> = (0..2_000).map(|_| any_grant()).collect();
    for (place, grant) in all.iter().enumerate() {
        keep(&cache, grant, 0).unwrap();
        assert_eq!(cache.len(), place + 1);
    }
    assert!(all.iter().all(|grant| is_known(&cache, grant)));
}

#[test]
fn a_remembered_caller_is_as_small_as_a_million_of_them_need() {
    // With two counts in front, the next size of blocks that allocators have would be 128.
    assert!(size_of::<Entry>() <= 96 && known::SLOT == 16);
}

#[test]
fn what_has_expired_is_swept() {
    let cache = GrantCache::new(CacheLimits::default());
    let grant = any_grant();
    keep(&cache, &grant, 0).unwrap();
    for _ in 0..30 {
        cache.sweep(grant.expires_at);
    }
    assert!(cache.is_empty());
}

#[test]
fn an_unknown_token_is_unknown_for_its_time_only_and_memory_is_bounded() {
    let unknown_for = Duration::from_millis(50);
    let cache = GrantCache::new(CacheLimits { unknown: 10, unknown_for, ..CacheLimits::default() });
    for n in 0..100_u8 {
        cache.remember_unknown(&credential(Digest::of(&[n])));
    }
    assert_eq!(cache.unknown.len(), 10);
    assert!(matches!(cache.get(&credential(Digest::of(&[0])), Instant::now()), Cached::Unknown));
    std::thread::sleep(unknown_for + Duration::from_millis(5));
    assert!(matches!(cache.get(&credential(Digest::of(&[0])), Instant::now()), Cached::Miss));
    cache.sweep(UnixTime(0));
    assert_eq!(cache.unknown.len(), 0);
}

#[test]
fn without_the_feed_nothing_that_is_remembered_counts() {
    let trust = Duration::from_millis(50);
    let cache = GrantCache::new(CacheLimits { trust, ..CacheLimits::default() });
    let grant = any_grant();
    keep(&cache, &grant, 0).unwrap();
    assert!(is_known(&cache, &grant));
    std::thread::sleep(trust + Duration::from_millis(5));
    assert!(!is_known(&cache, &grant));
    cache.fed(Instant::now());
    assert!(is_known(&cache, &grant));
}
