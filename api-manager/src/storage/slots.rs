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
const HOURS: Class = Class { first: 2 << 32, width: 4 * 3_600 };
/// Rows that live for 46 hours at most, as refresh tokens do.
const DAYS: Class = Class { first: 1 << 32, width: 48 * 3_600 };

/// Slots of one width, numbered by the time in which their rows end.
#[derive(Clone, Copy)]
struct Class {
    /// The number of the one that begins in 1970.
    first: i64,
    /// How long each lasts, in seconds.
    width: i64,
}

impl Class {
    /// Whether rows that live for so long are in two neighbouring slots, from those that are over for [`GRACE`] to those that
    /// begin now; also where the clock is put back by as much.
    fn takes(self, lifetime: i64) -> bool {
        lifetime <= self.width - 2 * GRACE
    }

    fn slot(self, end: i64) -> i64 {
        self.first + end.max(0) / self.width
    }

    /// The slots in which its rows are at `now`.
    fn around(self, now: UnixTime) -> [i64; 2] {
        let oldest = self.slot(now.minus(GRACE).0);
        [oldest, oldest + 1]
    }
}

/// The slot of a row that ends at `end` and lives for `lifetime` seconds. The schema of `grants` says the same.
#[must_use]
pub fn of(end: UnixTime, lifetime: i64) -> i64 {
    let class = [HOURS, DAYS].into_iter().find(|class| class.takes(lifetime));
    class.map_or(ANY_TIME, |class| class.slot(end.0))
}

/// Where a row is found at `now` that is not over for longer than [`GRACE`], unless the clock was put back by more than that: then
/// it is in one of [`later`].
#[must_use]
pub fn around(now: UnixTime) -> [i64; 5] {
    let ([a, b], [c, d]) = (DAYS.around(now), HOURS.around(now));
    [ANY_TIME, a, b, c, d]
}

/// Between which slots, neither of them included, those are that come after [`around`].
#[must_use]
pub fn after(now: UnixTime) -> [(i64, i64); 2] {
    let ([_, days], [_, hours]) = (DAYS.around(now), HOURS.around(now));
    [(days, HOURS.first), (hours, i64::MAX)]
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
    fn later_slots_are_found_one_after_the_other_in_either_class() {
        let now = UnixTime(1_000_000);
        let there: Vec<i64> =
            [(now.0, 60), (now.0 + 90_000, 60), (now.0 + 95_000, 60), (now.0 + 400_000, 80_000)]
                .map(|(end, lifetime)| of(UnixTime(end), lifetime))
                .to_vec();
        let found = later(now, |last, until| {
            Ok(there.iter().copied().filter(|slot| last < *slot && *slot < until).min())
        });
        assert_eq!(found, Ok(vec![there[3], there[1], there[2]]));
    }
}
