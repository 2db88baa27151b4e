//! The lines of the books: a map that grows, in one piece of memory.
//!
//! Of thousands of lines none is at hand, and what a call goes to is to be [asked for](crate::ahead) before it is read. Of the
//! standard library's map a line's place is only known after another line of memory was read, a group of tags; here both
//! lines of memory follow from the hash. Otherwise as [`slots`](crate::gateway::slots).

use crate::ahead;
use crate::domain::usage::Totals;
use crate::gateway::slots::places;

/// So many places are kept whatever is in them.
const LARGE: usize = 1_024;

/// The map.
pub struct Lines<K> {
    /// A power of two of them, or none. At most two thirds are taken.
    all: Vec<Line<K>>,
    taken: usize,
}

/// Room for one: two lines of memory, the key's and the sums'.
struct Line<K> {
    key: Option<K>,
    sums: Sums,
}

#[derive(Default)]
#[repr(align(64))]
struct Sums(Totals);

impl<K> Default for Lines<K> {
    fn default() -> Self {
        Self { all: Vec::new(), taken: 0 }
    }
}

impl<K: Eq> Lines<K> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// Has fetched where a key of that hash is looked for first.
    pub fn fetch(&self, hash: u64) {
        if let Some(line) = places(hash, self.all.len()).next().and_then(|place| self.all.get(place)) {
            ahead::fetch(&line.key);
            ahead::fetch(&line.sums);
        }
    }

    /// The sums under `key`, whose hash is `hash`.
    pub fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut Totals> {
        // To the first that is free.
        let key_at = |place: usize| Some((place, self.all.get(place)?.key.as_ref()?));
        let mut taken = places(hash, self.all.len()).map_while(key_at);
        let (place, _) = taken.find(|(_, other)| *other == key)?;
        self.all.get_mut(place).map(|line| &mut line.sums.0)
    }

    /// Adds a line for a key that has none, whose hash is `hash`; `hash_of` says that of the others.
    pub fn insert(&mut self, (hash, key): (u64, K), totals: Totals, hash_of: impl Fn(&K) -> u64) {
        if 3 * (self.taken + 1) > 2 * self.all.len() {
            self.grow(hash_of);
        }
        self.put(hash, Line { key: Some(key), sums: Sums(totals) });
    }

    fn grow(&mut self, hash_of: impl Fn(&K) -> u64) {
        let wide = (2 * self.all.len()).max(16);
        let mut new = Self { all: Vec::new(), taken: 0 };
        new.all.resize_with(wide, || Line { key: None, sums: Sums::default() });
        self.drain(|key, totals| new.put(hash_of(&key), Line { key: Some(key), sums: Sums(totals) }));
        *self = new;
    }

    fn put(&mut self, hash: u64, line: Line<K>) {
        let is_free = |place: &usize| self.all.get(*place).is_some_and(|line| line.key.is_none());
        let place = places(hash, self.all.len()).find(is_free);
        if let Some(free) = place.and_then(|place| self.all.get_mut(place)) {
            *free = line;
            self.taken += 1;
        }
    }

    /// Hands out every line, of which there is none afterwards. The memory is kept for as many, and given back where it has room
    /// for far more.
    pub fn drain(&mut self, mut each: impl FnMut(K, Totals)) {
        let taken = std::mem::take(&mut self.taken);
        for line in &mut self.all {
            if let Some(key) = line.key.take() {
                each(key, std::mem::take(&mut line.sums.0));
            }
        }
        if self.all.len() > LARGE && 8 * taken < self.all.len() {
            self.all = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn calls(calls: i64) -> Totals {
        Totals { calls, ..Totals::default() }
    }

    proptest! {
        #[test]
        fn what_was_added_is_found_and_handed_out_once_whatever_the_hashes_are(
            keys in proptest::collection::vec(0_u64..60, 0..200),
            bits in 0_u32..8,
        ) {
            let hash = |key: &u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << bits) - 1);
            let (mut lines, mut known) = (Lines::default(), BTreeMap::new());
            // Twice, for what is drained is filled again.
            for _ in 0..2 {
                for key in &keys {
                    lines.fetch(hash(key));
                    match lines.get_mut(hash(key), key) {
                        Some(sum) => sum.add(&calls(1)),
                        None => lines.insert((hash(key), *key), calls(1), hash),
                    }
                    *known.entry(*key).or_insert(0) += 1;
                    prop_assert_eq!(lines.get_mut(hash(key), key).map(|sum| sum.calls), known.get(key).copied());
                }
                prop_assert_eq!(lines.len(), known.len());
                prop_assert!(lines.get_mut(hash(&60), &60).is_none());
                let mut drained = BTreeMap::new();
                lines.drain(|key, sum| assert_eq!(drained.insert(key, sum.calls), None, "handed out twice"));
                prop_assert_eq!(&drained, &known);
                known.clear();
                prop_assert_eq!(lines.len(), 0);
            }
        }
    }

    #[test]
    fn memory_for_far_more_lines_than_there_were_is_given_back() {
        let mut lines = Lines::default();
        let hash = |key: &u64| *key;
        let mut fill = |count: u64| {
            (0..count).for_each(|key| lines.insert((hash(&key), key), calls(1), hash));
            lines.drain(|_, _| ());
            lines.all.len()
        };
        assert_eq!([fill(5_000), fill(2_000), fill(600), fill(10), fill(10)], [8_192, 8_192, 0, 16, 16]);
    }

    #[test]
    fn a_line_takes_two_lines_of_memory_and_both_are_asked_for() {
        use std::mem::offset_of;

        use crate::gateway::usage::till::Key;
        let offsets = [offset_of!(Line<Key>, key), offset_of!(Line<Key>, sums)];
        assert_eq!((size_of::<Line<Key>>(), offsets.map(|offset| offset % 64)), (128, [0, 0]));
    }
}
