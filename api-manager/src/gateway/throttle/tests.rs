//! Buckets under one thread, under many, and against every window of any sequence.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;

const T0: u64 = 1_000 * SECOND;

fn rate(requests: u32, per_seconds: u32, burst: Option<u32>) -> Rate {
    Rate::of(&Limit { requests, per_seconds, burst })
}

#[test]
fn a_full_bucket_gives_what_it_holds_and_then_one_at_a_time() {
    let (bucket, rate) = (Bucket::default(), rate(5, 60, None));
    for left in (0..5).rev() {
        assert_eq!(bucket.take(rate, T0).map(|remaining| remaining.tokens), Ok(left));
    }
    assert_eq!(bucket.take(rate, T0), Err(RetryAfter(12 * SECOND)));
    assert_eq!(bucket.take(rate, T0 + 11 * SECOND), Err(RetryAfter(SECOND)));
    assert!(bucket.take(rate, T0 + 12 * SECOND).is_ok());
    assert!(bucket.take(rate, T0 + 12 * SECOND).is_err());
    assert!(!bucket.is_full(T0 + 71 * SECOND));
    assert!(bucket.is_full(T0 + 72 * SECOND));
}

#[test]
fn a_burst_is_all_that_passes_at_once() {
    let (bucket, rate) = (Bucket::default(), rate(60, 60, Some(2)));
    assert_eq!((0..10).filter(|_| bucket.take(rate, T0).is_ok()).count(), 2);
    assert_eq!((0..10).filter(|_| bucket.take(rate, T0 + SECOND).is_ok()).count(), 1);
}

#[test]
fn what_is_put_back_can_be_taken_again_and_a_full_bucket_never_overflows() {
    let (bucket, rate) = (Bucket::default(), rate(2, 60, None));
    assert!(bucket.take(rate, T0).is_ok());
    bucket.put_back(rate);
    assert_eq!((0..10).filter(|_| bucket.take(rate, T0).is_ok()).count(), 2);
    assert_eq!((0..10).filter(|_| bucket.take(rate, T0 + 3_600 * SECOND).is_ok()).count(), 2);
}

#[test]
fn another_rate_neither_refills_a_bucket_nor_holds_it_to_the_old_debt() {
    let (bucket, slow, fast) = (Bucket::default(), rate(1, 3_600, None), rate(60, 60, None));
    assert!(bucket.take(slow, T0).is_ok());

    assert_eq!(bucket.take(fast, T0), Err(RetryAfter(SECOND)));
    assert!(bucket.take(fast, T0 + SECOND).is_ok());
    assert!(bucket.take(fast, T0 + SECOND).is_err());
}

#[test]
fn the_largest_limits_do_not_overflow() {
    let most = 1_000_000_000;
    for (requests, per_seconds) in [(most, 1), (1, most), (most, most)] {
        let (bucket, rate) = (Bucket::default(), rate(requests, per_seconds, None));
        assert!(bucket.take(rate, u64::MAX / 4).is_ok());
        assert_eq!(bucket.take(rate, u64::MAX / 4).is_ok(), requests > 1);
    }
}

#[test]
fn threads_that_take_at_once_get_no_more_than_there_is() {
    let (bucket, rate, taken) = (Bucket::default(), rate(1_000, 3_600, None), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    if bucket.take(rate, T0).is_ok() {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 1_000);
}

proptest! {
    #[test]
    fn no_window_sees_more_than_the_burst_and_what_flowed_in(
        requests in 1_u32..200,
        per_seconds in 1_u32..200,
        burst in proptest::option::of(1_u32..200),
        steps in proptest::collection::vec(0_u64..3 * SECOND, 1..300),
    ) {
        let burst = burst.map(|burst| burst.min(requests));
        let (bucket, rate) = (Bucket::default(), rate(requests, per_seconds, burst));
        let most = u64::from(burst.unwrap_or(requests));
        let (mut now, mut passed) = (T0, VecDeque::<u64>::new());
        for step in steps {
            now += step;
            let looked = bucket.look(rate, now);
            let took = bucket.take(rate, now);
            prop_assert_eq!(looked.err(), took.err());
            match took {
                Ok(_) => passed.push_back(now),
                // The wait is exact: not a nanosecond more, not one less.
                Err(RetryAfter(wait)) => {
                    prop_assert!(bucket.look(rate, now + wait - 1).is_err());
                    prop_assert!(bucket.look(rate, now + wait).is_ok());
                }
            }
        }
        for (first, start) in passed.iter().enumerate() {
            for (count, end) in passed.iter().skip(first).enumerate() {
                let flowed = (end - start) / rate.interval;
                prop_assert!((count as u64) < most + flowed);
            }
        }
    }
}
