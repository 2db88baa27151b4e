//! Where in time a row belongs, on SQLite. A digest is random: an index of digests alone is written all over, each row a page of its
//! own, and the more of them the more rows are there that are over. An index of slot and digest is written beside
//! the rows of the same time only. Whoever looks for a digest asks a few slots.

use diesel::QueryResult;
use shared_claims::clock::UnixTime;

/// How long a row that is over is kept and found in any case, in seconds: refusals can then still tell expired from unknown, and a
/// clock that is put back finds spent assertions spent.
pub const GRACE: i64 = 3_600;

/// The slot of what lives for long, and of what was there before there were slots: one for all times.
const ANY_TIME: i64 = 0;
/// Rows that live for two hours at most.
const HOURS: Class = Class { first: 2 << 32, width: 3_600, longest: 2 * 3_600 };
/// Rows that live for 46 hours at most, as refresh tokens do.
const DAYS: Class = Class { first: 1 << 32, width: 24 * 3_600, longest: 46 * 3_600 };

/// How many slots are asked of hours, of days, and of all times.
const ASKED: [usize; 3] = [5, 3, 1];
/// The slots in which a row is looked for.
pub type Asked = [i64; ASKED[0] + ASKED[1] + ASKED[2]];

/// Slots of one width, numbered by the time in which their rows end.
#[derive(Clone, Copy)]
struct Class {
    /// The number of the one that begins in 1970.
    first: i64,
    /// How long each lasts, in seconds.
    width: i64,
    /// How long its rows live at most, in seconds.
    longest: i64,
}

impl Class {
    fn slot(self, end: i64) -> i64 {
        self.first + end.max(0) / self.width
    }

    /// The slot of the rows that are over for [`GRACE`] at `now`.
    fn oldest(self, now: UnixTime) -> i64 {
        self.slot(now.minus(GRACE).0)
    }
}

/// From the rows that are over for [`GRACE`] to those that are made at the moment, also where the clock is put back by as much.
const fn is_all_asked(class: Class, asked: usize) -> bool {
    // Rows in so many widths may lie in one slot more, for `now` is in the midst of one.
    let span = class.longest + 2 * GRACE;
    asked as i64 > span.div_euclid(class.width) + (span.rem_euclid(class.width) > 0) as i64
}
const _: () = assert!(is_all_asked(HOURS, ASKED[0]) && is_all_asked(DAYS, ASKED[1]));

/// The slot of a row that ends at `end` and lives for `lifetime` seconds. The schema of `grants` says the same.
#[must_use]
pub fn of(end: UnixTime, lifetime: i64) -> i64 {
    let class = [HOURS, DAYS].into_iter().find(|class| lifetime <= class.longest);
    class.map_or(ANY_TIME, |class| class.slot(end.0))
}

/// Where a row is found at `now` that is not over for longer than [`GRACE`], unless the clock was put back by more than that: then
/// it is in one of [`later`].
#[must_use]
pub fn around(now: UnixTime) -> Asked {
    let (hours, days) = (HOURS.oldest(now), DAYS.oldest(now));
    [hours, hours + 1, hours + 2, hours + 3, hours + 4, days, days + 1, days + 2, ANY_TIME]
}

/// Between which slots, neither of them included, those are that come after [`around`].
#[must_use]
pub fn after(now: UnixTime) -> [(i64, i64); 2] {
    [(DAYS.oldest(now) + 2, HOURS.first), (HOURS.oldest(now) + 4, i64::MAX)]
}

/// From which slots to which, both included, all rows had ended at `old`.
pub(super) fn over(old: UnixTime) -> [(i64, i64); 2] {
    [DAYS, HOURS].map(|class| (class.first, class.slot(old.0) - 1))
}

/// The slots after [`around`] that have rows, none as a rule. `first_between` finds the first one between two, neither included.
pub(super) fn later(
    now: UnixTime,
    mut first_between: impl FnMut(i64, i64) -> QueryResult<Option<i64>>,
) -> QueryResult<Vec<i64>> {
    let mut slots = Vec::new();
    for (mut last, until) in after(now) {
        while let Some(slot) = first_between(last, until)? {
            slots.push(slot);
            last = slot;
        }
    }
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR: i64 = 31_536_000;

    proptest! {
        #[test]
        fn whatever_counts_is_in_a_slot_that_is_asked(
            made in 0..100 * YEAR,
            lifetime in prop_oneof![0..8_000_i64, 0..180_000_i64, 0..YEAR],
            passed in -GRACE..YEAR + GRACE,
        ) {
            let (slot, now) = (of(UnixTime(made + lifetime), lifetime), UnixTime(made + passed));
            let is_kept = passed < lifetime + GRACE;
            prop_assert!(!is_kept || around(now).contains(&slot));
        }

        #[test]
        fn however_far_the_clock_is_put_back_no_slot_is_lost(
            made in 0..100 * YEAR,
            lifetime in prop_oneof![0..8_000_i64, 0..180_000_i64, 0..YEAR],
            back in 0..100 * YEAR,
        ) {
            let (slot, now) = (of(UnixTime(made + lifetime), lifetime), UnixTime(made - back));
            let is_after = after(now).iter().any(|(last, until)| *last < slot && slot < *until);
            prop_assert!(around(now).contains(&slot) || is_after);
        }
    }

    #[test]
    fn a_slot_is_over_when_its_last_row_is_and_is_asked_until_then() {
        let now = UnixTime(1_000_000 * 3_600 + 1);
        for (lifetime, width) in [(60, 3_600), (80_000, 86_400)] {
            let is_over = |end: i64| {
                let slot = of(UnixTime(end), lifetime);
                let ranges = over(now.minus(GRACE));
                let is_over = ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot));
                assert!(!(is_over && around(now).contains(&slot)));
                is_over
            };
            let oldest = (now.0 - GRACE) / width * width;
            assert!(is_over(oldest - 1) && !is_over(oldest) && !is_over(now.0));
        }
    }

    #[test]
    fn later_slots_are_found_one_after_the_other_in_either_class() {
        let now = UnixTime(1_000_000);
        let there: Vec<i64> =
            [(now.0, 60), (now.0 + 90_000, 60), (now.0 + 95_000, 60), (now.0 + 400_000, 80_000)]
                .map(|(end, lifetime)| of(UnixTime(end), lifetime))
                .to_vec();
        let found = later(now, |last, until| {
            Ok(there.iter().copied().filter(|slot| last < *slot && *slot < until).min())
        });
        assert_eq!(found, Ok(vec![there[3], there[1], there[2]]), "{there:?}");
    }
}
