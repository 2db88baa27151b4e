//! A map that is made once and then read, in one piece of memory.
//!
//! Of thousands of entries none is at hand, and whoever looks one up waits for each line of memory on the way to it: the
//! standard library's map has three (its own, a group of tags, the entry), this one the entry. It is open addressing with
//! linear probing (Knuth, volume 3, section 6.4, algorithm L); what changes is dealt out anew.

use std::borrow::Borrow;

use crate::ahead;

/// Room for one entry. Aligned so that one of up to half a line of memory never lies in two.
#[derive(Clone)]
#[repr(align(32))]
pub struct Slot<K, V>(Option<(K, V)>);

/// Deals out entries, each with its key's hash; of several with the same key the last stays. At most two thirds of the slots
/// are taken, so that those searched for are found within two or three steps.
pub fn deal<K: Eq, V>(entries: Vec<(u64, K, V)>) -> Vec<Slot<K, V>> {
    let wide = (entries.len() + entries.len() / 2 + 1).next_power_of_two();
    let mut slots = Vec::new();
    slots.resize_with(wide, || Slot(None));
    for (hash, key, value) in entries {
        let mut places = places(hash, wide);
        let is_its = |place: &usize| match slots.get(*place) {
            Some(Slot(Some((other, _)))) => *other == key,
            Some(Slot(None)) | None => true,
        };
        if let Some(slot) = places.find(is_its).and_then(|place| slots.get_mut(place)) {
            *slot = Slot(Some((key, value)));
        }
    }
    slots
}

/// What is kept under `key`, whose hash is `hash`.
#[inline]
pub fn find<'s, K, V, Q>(slots: &'s [Slot<K, V>], hash: u64, key: &Q) -> Option<&'s V>
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    for place in places(hash, slots.len()) {
        let (other, value) = slots.get(place)?.0.as_ref()?;
        if other.borrow() == key {
            return Some(value);
        }
    }
    None
}

/// Has fetched the slot in which is looked first.
#[inline]
pub fn fetch<K, V>(slots: &[Slot<K, V>], hash: u64) {
    if let Some(slot) = places(hash, slots.len()).next().and_then(|place| slots.get(place)) {
        ahead::fetch(slot);
    }
}

/// Everything.
pub fn iter<K, V>(slots: &[Slot<K, V>]) -> impl Iterator<Item = (&K, &V)> {
    slots.iter().filter_map(|Slot(entry)| entry.as_ref()).map(|(key, value)| (key, value))
}

/// All places of a power of two of slots, from the one that the hash says on.
#[inline]
pub fn places(hash: u64, wide: usize) -> impl Iterator<Item = usize> {
    #[expect(clippy::cast_possible_truncation, reason = "only the lower bits count")]
    let first = hash as usize;
    (0..wide).map(move |step| first.wrapping_add(step) & (wide - 1))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_dealt_is_found_and_nothing_else_whatever_the_hashes_are(
            entries in proptest::collection::vec((0_u64..50, any::<u32>()), 0..60),
            bits in 0_u32..8,
        ) {
            let hash = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << bits) - 1);
            let slots = deal(entries.iter().map(|(key, value)| (hash(*key), *key, *value)).collect());
            let known: HashMap<u64, u32> = entries.into_iter().collect();
            for key in 0..60 {
                prop_assert_eq!(find(&slots, hash(key), &key), known.get(&key));
            }
            prop_assert_eq!(iter(&slots).map(|(key, value)| (*key, *value)).collect::<HashMap<_, _>>(), known);
        }
    }

    #[test]
    fn a_search_meets_an_empty_slot_however_many_entries_there_are() {
        for count in 0..200 {
            let slots = deal((0..count).map(|n| (n, n, ())).collect());
            assert!(slots.iter().any(|slot| slot.0.is_none()), "{count}");
            assert_eq!(find(&slots, 7, &1_000), None);
        }
        assert_eq!(find::<u64, (), u64>(&[], 7, &7), None);
    }

    #[test]
    fn an_entry_of_half_a_line_takes_no_more() {
        assert_eq!((size_of::<Slot<[u8; 24], &u8>>(), align_of::<Slot<u8, u8>>()), (32, 32));
    }
}
