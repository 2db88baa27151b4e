//! Limits together, and buckets that outlive what they limit.

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn limit(requests: u32, burst: Option<u32>) -> Limit {
    Limit { requests, per_seconds: 60, burst }
}

#[test]
fn a_call_that_one_limit_refuses_costs_the_others_nothing() {
    let buckets = Buckets::new(Clock::manual(NOW));
    let (application, api) = (ApplicationId::generate(), ApiId::generate());
    let wide = buckets.by_tier(Key::Subscription(application, api), Some(&limit(10, None))).unwrap();
    let narrow = buckets.by_tier(Key::Application(application), Some(&limit(1, None))).unwrap();
    let both = [wide.clone(), narrow];
    let now = buckets.ticker.now();

    assert_eq!(take_all(both.iter(), now, NOW).unwrap().unwrap().remaining, 0);
    for _ in 0..100 {
        assert_eq!(take_all(both.iter(), now, NOW).unwrap_err().words().0, "900803");
    }
    assert_eq!(take_all([wide].iter(), now, NOW).unwrap().unwrap().remaining, 8);
}

#[test]
fn the_next_access_time_is_spelled_as_the_original_does() {
    let next = |at| {
        Throttled { kind: Kind::Application, is_burst: false, most: 1, seconds: 1, next: UnixTime(at) }
            .next_access_time()
    };
    assert_eq!(next(0), "1970-Jan-01 00:00:00+0000 UTC");
    assert_eq!(next(1_800_000_000), "2027-Jan-15 08:00:00+0000 UTC");
    assert_eq!(next(1_827_500_000), "2027-Nov-29 14:53:20+0000 UTC");
}

#[test]
fn a_bucket_outlives_its_table_until_it_is_full() {
    let clock = Clock::manual(NOW);
    let buckets = Buckets::new(clock.clone());
    let api = ApiId::generate();
    let limited = buckets.by_max_tps(api, Some(1)).unwrap();
    assert!(take_all([&limited].into_iter(), buckets.ticker.now(), NOW).is_ok());
    drop(limited);

    buckets.forget_unused();
    let again = buckets.by_max_tps(api, Some(1)).unwrap();
    assert!(take_all([&again].into_iter(), buckets.ticker.now(), NOW).is_err());
    drop(again);

    clock.advance(1);
    buckets.forget_unused();
    assert!(buckets.made.lock().unwrap().is_empty());
}
