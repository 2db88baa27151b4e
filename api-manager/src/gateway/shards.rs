//! A map for tables that are swapped: a changed copy shares with the first all that did not change.
//!
//! Entries are dealt out to shards, each of which has up to sixteen times as many entries as there are shards. A copy is made of the
//! references to the shards, and of those shards that change: of four thousand entries among a million. Fewer shards than that
//! would mean that more is copied; more, that the references to them are not at hand for whoever looks something up.
//!
//! Keys are no caller's choice: ids and digests of ours, places of APIs.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::slots::{self, Slot};

type Shard<K, V> = Arc<[Slot<K, V>]>;

/// So many entries at most are dealt to a shard for each shard that there is.
const DEEP: usize = 16;

/// The map. Cloning it costs a reference a shard.
#[derive(Clone)]
pub struct Shards<K, V> {
    /// A power of two of them.
    shards: Box<[Shard<K, V>]>,
    len: usize,
    hasher: RandomState,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { shards: Box::new([Arc::new([])]), len: 0, hasher: RandomState::default() }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    /// Holds these; of several with the same key the last.
    #[must_use]
    pub fn of(entries: Vec<(K, V)>) -> Self {
        let hasher = RandomState::default();
        let wide = (entries.len() / DEEP).isqrt().next_power_of_two();
        let mut dealt: Vec<Vec<(u64, K, V)>> = Vec::new();
        dealt.resize_with(wide, Vec::new);
        for (key, value) in entries {
            let hash = hasher.hash_one(&key);
            if let Some(entries) = dealt.get_mut(place_of(hash, wide)) {
                entries.push((hash, key, value));
            }
        }
        let shards: Box<[Shard<K, V>]> =
            dealt.into_iter().map(|entries| slots::deal(entries).into()).collect();
        let len = shards.iter().map(|shard| slots::iter(shard).count()).sum();
        Self { shards, len, hasher }
    }

    /// What is kept under `key`.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        slots::find(self.shards.get(place_of(hash, self.shards.len()))?, hash, key)
    }

    /// Has fetched where `key` is looked for first.
    pub fn fetch<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        if let Some(shard) = self.shards.get(place_of(hash, self.shards.len())) {
            slots::fetch(shard, hash);
        }
    }

    /// Keeps `value` under `key`.
    pub fn insert(&mut self, key: K, value: V) {
        // Four times as many are let in before they are dealt out anew.
        if self.len >= 4 * DEEP * self.shards.len() * self.shards.len() {
            *self = Self::of(self.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
        }
        self.change(&key.clone(), Some((key, value)));
    }

    /// Keeps nothing under `key` any more.
    pub fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if self.get(key).is_some() {
            self.change(key, None);
        }
    }

    /// Deals the key's shard out anew, with another entry for it.
    fn change<Q>(&mut self, key: &Q, entry: Option<(K, V)>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let place = place_of(hash, self.shards.len());
        let Some(shard) = self.shards.get_mut(place) else { return };
        let others = slots::iter(shard).filter(|(other, _)| Borrow::<Q>::borrow(*other) != key);
        let mut entries: Vec<(u64, K, V)> =
            others.map(|(key, value)| (self.hasher.hash_one(key), key.clone(), value.clone())).collect();
        let before = slots::iter(shard).count();
        entries.extend(entry.map(|(key, value)| (hash, key, value)));
        self.len = self.len + entries.len() - before;
        *shard = slots::deal(entries).into();
    }

    /// Everything.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| slots::iter(shard))
    }

    /// How much is kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// By the upper bits: within the shard it goes by the lower ones.
fn place_of(hash: u64, wide: usize) -> usize {
    usize::try_from(hash >> 40).unwrap_or_default() & (wide - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shards: &Shards<u64, u64>) -> Vec<(u64, u64)> {
        let mut all: Vec<(u64, u64)> = shards.iter().map(|(key, value)| (*key, *value)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_changed_copy_leaves_the_first_as_it_was_and_shares_the_rest() {
        let first = Shards::of((0..10_000_u64).map(|n| (n, n)).collect());
        let mut second = first.clone();
        second.insert(5, 50);
        second.insert(20_000, 1);
        second.remove(&6);
        second.remove(&30_000);

        assert_eq!((first.get(&5), first.get(&6), first.get(&20_000)), (Some(&5), Some(&6), None));
        assert_eq!((second.get(&5), second.get(&6), second.get(&20_000)), (Some(&50), None, Some(&1)));
        assert_eq!((first.len(), second.len()), (10_000, 10_000));
        let shared = first.shards.iter().zip(&second.shards).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert!(shared >= first.shards.len() - 3 && first.shards.len() == 32);
    }

    #[test]
    fn a_map_that_grows_from_nothing_holds_what_one_made_at_once_does() {
        let mut grown = Shards::default();
        assert!(grown.is_empty() && grown.get(&1).is_none());
        for n in 0..3_000_u64 {
            grown.insert(n, n);
        }
        assert_eq!(read(&grown), read(&Shards::of((0..3_000).map(|n| (n, n)).collect())));
        assert!(grown.shards.len() >= 4 && grown.len() == 3_000);
        for n in 0..3_000_u64 {
            grown.remove(&n);
        }
        assert!(grown.is_empty() && read(&grown).is_empty());
    }
}
