//! The order in which backends take turns: exact to their weights, and as even as they allow.

/// Some of an API's backends, by their places in its list; there are at most [`crate::domain::api::backend::MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(u32);

impl Set {
    /// The places at which `is_in` says so.
    pub fn of(is_in: impl Iterator<Item = bool>) -> Self {
        Self(is_in.take(32).zip(0_u32..).fold(0, |set, (is_in, place)| set | u32::from(is_in) << place))
    }

    /// One place.
    pub fn only(place: usize) -> Self {
        Self(u32::try_from(place).ok().and_then(|place| 1_u32.checked_shl(place)).unwrap_or(0))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has(self, place: usize) -> bool {
        self.0 & Self::only(place).0 != 0
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One round: each backend as often as its weight says, after division by what all weights have in common.
pub struct Schedule {
    /// The backends that take part.
    pub set: Set,
    slots: Box<[u8]>,
}

impl Schedule {
    /// Of the members of `set` with a weight. Smooth weighted round robin: each slot goes to the one that is owed most.
    pub fn of(set: Set, weight: impl Fn(usize) -> u8) -> Self {
        let members: Vec<(u8, i32)> = (0_u8..32)
            .filter(|place| set.has(usize::from(*place)))
            .map(|place| (place, i32::from(weight(usize::from(place)))))
            .filter(|(_, weight)| *weight > 0)
            .collect();
        let common = members.iter().fold(0, |common, (_, weight)| divisor(common, *weight)).max(1);
        let total: i32 = members.iter().map(|(_, weight)| weight / common).sum();

        let mut owed = vec![0; members.len()];
        let mut slots = Vec::new();
        for _ in 0..total {
            let mut most: Option<(usize, i32)> = None;
            for (n, ((_, weight), owed)) in members.iter().zip(&mut owed).enumerate() {
                *owed += weight / common;
                if most.is_none_or(|(_, most)| *owed > most) {
                    most = Some((n, *owed));
                }
            }
            let Some((n, _)) = most else { break };
            if let (Some((place, _)), Some(owed)) = (members.get(n), owed.get_mut(n)) {
                slots.push(*place);
                *owed -= total;
            }
        }
        Self { set, slots: slots.into() }
    }

    /// The places of one round, from the slot of `turn` on.
    pub fn from(&self, turn: usize) -> impl Iterator<Item = usize> {
        let start = turn.checked_rem(self.slots.len()).unwrap_or(0);
        let (before, after) = self.slots.split_at_checked(start).unwrap_or_default();
        after.iter().chain(before).map(|place| usize::from(*place))
    }
}

/// The greatest common divisor.
fn divisor(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(weights: &[u8]) -> Schedule {
        let set = Set::of(weights.iter().map(|weight| *weight > 0));
        Schedule::of(set, |place| weights[place])
    }

    #[test]
    fn turns_are_spread_out() {
        assert_eq!(*schedule(&[5, 1, 1]).slots, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*schedule(&[1, 0, 1]).slots, [0, 2]);
        assert_eq!(*schedule(&[100, 50]).slots, [0, 1, 0]);
        assert_eq!(schedule(&[0, 0]).from(7).next(), None);
    }

    #[test]
    fn a_round_may_begin_anywhere() {
        let schedule = schedule(&[2, 1]);
        assert_eq!(schedule.from(4).collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!(schedule.from(usize::MAX).count(), 3);
    }

    proptest! {
        #[test]
        fn each_gets_exactly_its_share_and_never_runs_far_ahead(weights in prop::collection::vec(0_u8..=100, 1..=10)) {
            let schedule = schedule(&weights);
            let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let round = schedule.slots.len();
            let mut seen = vec![0_usize; weights.len()];
            for (turn, place) in schedule.slots.iter().enumerate() {
                seen[usize::from(*place)] += 1;
                for (count, weight) in seen.iter().zip(&weights) {
                    let due = (turn + 1) * usize::from(*weight);
                    prop_assert!(count * total <= due + total * weights.len());
                }
            }
            for (count, weight) in seen.iter().zip(&weights) {
                prop_assert_eq!(count * total, round * usize::from(*weight));
            }
        }
    }
}
