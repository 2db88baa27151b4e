//! The callers that are remembered, found without a lock.
//!
//! A hash table in shards, by open addressing with linear probing (Knuth, volume 3, section 6.4, algorithms L and R). Whoever
//! looks a caller up reads a slot and the caller: two lines of memory, each of which can be asked for before it is read. Whoever changes
//! a shard holds its lock; those who read meanwhile may miss a caller that is being moved, and ask the database as they
//! would for any other that is not remembered. What was taken out is found by nobody who begins to look afterwards.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{Entry, Place, lock};
use crate::ahead;
use crate::gateway::slots::places;

/// So many that none has more than some ten thousand callers: whoever changes one waits for as long as it takes to write it anew.
const SHARDS: usize = 64;
/// The fewest slots of a shard that has any.
const FEW: usize = 8;
/// A table that is less full than this is written anew, a smaller one.
const SPARSE: usize = 8;

/// The callers.
pub struct Known {
    shards: [Shard; SHARDS],
    len: AtomicUsize,
}

struct Shard {
    slots: ArcSwap<Slots>,
    /// How many are taken. Locked by whoever changes them.
    taken: Mutex<usize>,
}

/// None, or a power of two of them.
type Slots = Box<[Slot]>;

/// Room for one caller; aligned so that it never lies in two lines of memory.
#[derive(Default)]
#[repr(align(16))]
struct Slot {
    /// [`Place::tag`] of the caller; [`EMPTY`] where there is none.
    tag: AtomicU64,
    entry: ArcSwapOption<Entry>,
}

/// The size of a slot, in bytes.
#[cfg(test)]
pub const SLOT: usize = size_of::<Slot>();

/// No caller's tag.
const EMPTY: u64 = 0;

impl Place {
    /// The bytes of a digest are as good as random.
    fn hash(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    /// What tells those apart that may lie in the same slot, in nearly all cases.
    fn tag(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]).max(EMPTY + 1)
    }
}

impl Slot {
    /// A caller in the place of another one, or of none. Who looks for the other one sees by the caller that it is not the one.
    fn put(&self, entry: Arc<Entry>) {
        let tag = entry.place.tag();
        self.entry.store(Some(entry));
        self.tag.store(tag, Ordering::Release);
    }

    fn empty(&self) {
        self.tag.store(EMPTY, Ordering::Release);
        self.entry.store(None);
    }
}

/// So many slots, all empty.
fn empty(wide: usize) -> Slots {
    let mut slots = Vec::new();
    slots.resize_with(wide, Slot::default);
    slots.into()
}

/// How many slots there have to be for so many callers: a third of them stay empty, so that searches end soon.
fn width(taken: usize) -> usize {
    (taken + taken / 2 + 1).next_power_of_two().max(FEW)
}

/// Puts a caller in its place; whether there was none.
fn put(slots: &Slots, entry: Arc<Entry>) -> bool {
    for slot in places(entry.place.hash(), slots.len()).filter_map(|at| slots.get(at)) {
        let tag = slot.tag.load(Ordering::Relaxed);
        if tag == EMPTY {
            slot.put(entry);
            return true;
        }
        let is_its = |old: &Entry| old.place == entry.place;
        if tag == entry.place.tag() && slot.entry.load().as_deref().is_some_and(is_its) {
            slot.entry.store(Some(entry));
            return false;
        }
    }
    false
}

/// Empties a slot, and moves those up that were further from where they belong because it was taken.
fn remove(slots: &Slots, at: usize) {
    let mask = slots.len().wrapping_sub(1);
    let mut hole = at;
    for next in places(at as u64, slots.len()).skip(1) {
        let Some(entry) = slots.get(next).and_then(|slot| slot.entry.load_full()) else { break };
        #[expect(clippy::cast_possible_truncation, reason = "only the lower bits count")]
        let home = entry.place.hash() as usize;
        let distance = |from: usize| next.wrapping_sub(from) & mask;
        if distance(home) >= distance(hole) {
            if let Some(slot) = slots.get(hole) {
                slot.put(entry);
            }
            hole = next;
        }
    }
    if let Some(slot) = slots.get(hole) {
        slot.empty();
    }
}

impl Shard {
    /// Writes the table anew, with so many slots.
    fn resize(&self, wide: usize) {
        let (old, new) = (self.slots.load(), empty(wide));
        for entry in old.iter().filter_map(|slot| slot.entry.load_full()) {
            put(&new, entry);
        }
        self.slots.store(Arc::new(new));
    }
}

impl Default for Known {
    fn default() -> Self {
        let none = Arc::new(empty(0));
        let shard = || Shard { slots: ArcSwap::new(Arc::clone(&none)), taken: Mutex::default() };
        Self { shards: std::array::from_fn(|_| shard()), len: AtomicUsize::new(0) }
    }
}

impl Known {
    /// Slots are found by the lower bits.
    #[expect(clippy::cast_possible_truncation, reason = "they are six bits")]
    fn shard(&self, place: &Place) -> Option<&Shard> {
        self.shards.get((place.hash() >> (u64::BITS - SHARDS.ilog2())) as usize)
    }

    /// Has fetched where a caller is looked for first.
    pub fn fetch_slot(&self, place: &Place) {
        let Some(shard) = self.shard(place) else { return };
        let slots = shard.slots.load();
        if let Some(slot) = places(place.hash(), slots.len()).next().and_then(|at| slots.get(at)) {
            ahead::fetch(slot);
        }
    }

    /// Has fetched a caller, whose slot is at hand.
    pub fn fetch_entry(&self, place: &Place) {
        let Some(shard) = self.shard(place) else { return };
        let (slots, tag) = (shard.slots.load(), place.tag());
        for slot in places(place.hash(), slots.len()).filter_map(|at| slots.get(at)) {
            let other = slot.tag.load(Ordering::Acquire);
            if other == tag
                && let Some(entry) = &*slot.entry.load()
            {
                entry.fetch();
            }
            if other == tag || other == EMPTY {
                return;
            }
        }
    }

    /// The caller who is kept there.
    pub fn get(&self, place: &Place) -> Option<Arc<Entry>> {
        let slots = self.shard(place)?.slots.load();
        let tag = place.tag();
        for slot in places(place.hash(), slots.len()).filter_map(|at| slots.get(at)) {
            let other = slot.tag.load(Ordering::Acquire);
            if other == EMPTY {
                return None;
            }
            if other == tag
                && let Some(entry) = &*slot.entry.load()
                && entry.place == *place
            {
                return Some(Arc::clone(entry));
            }
        }
        None
    }

    /// Keeps a caller in its place.
    pub fn insert(&self, entry: Arc<Entry>) {
        let Some(shard) = self.shard(&entry.place) else { return };
        let mut taken = lock(&shard.taken);
        let wide = width(*taken + 1);
        if shard.slots.load().len() < wide {
            shard.resize(wide);
        }
        if put(&shard.slots.load(), entry) {
            *taken += 1;
            self.len.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a caller out.
    pub fn remove(&self, place: &Place) {
        let Some(shard) = self.shard(place) else { return };
        let mut taken = lock(&shard.taken);
        let slots = shard.slots.load();
        let is_its = |entry: &Entry| entry.place == *place;
        let is_there =
            |at: &usize| slots.get(*at).is_some_and(|slot| slot.entry.load().as_deref().is_some_and(is_its));
        let is_taken =
            |at: &usize| slots.get(*at).is_some_and(|slot| slot.tag.load(Ordering::Relaxed) != EMPTY);
        let mut places = places(place.hash(), slots.len()).take_while(is_taken);
        if let Some(at) = places.find(is_there) {
            remove(&slots, at);
            *taken -= 1;
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes out whom `keep` does not keep. It is asked at least once for each, and may be asked again for whom it keeps.
    pub fn retain(&self, mut keep: impl FnMut(&Entry) -> bool) {
        for shard in &self.shards {
            let mut taken = lock(&shard.taken);
            let before = *taken;
            let slots = shard.slots.load();
            for (at, slot) in slots.iter().enumerate() {
                // Another one may have been moved there.
                while slot.entry.load().as_deref().is_some_and(|entry| !keep(entry)) {
                    remove(&slots, at);
                    *taken -= 1;
                }
            }
            self.len.fetch_sub(before - *taken, Ordering::Relaxed);
            if slots.len() > FEW && *taken * SPARSE < slots.len() {
                shard.resize(width(*taken));
            }
        }
    }

    /// Takes out all.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut taken = lock(&shard.taken);
            shard.slots.store(Arc::new(empty(0)));
            self.len.fetch_sub(std::mem::take(&mut *taken), Ordering::Relaxed);
        }
    }

    /// Shows all; some that move meanwhile may be left out.
    pub fn each(&self, mut show: impl FnMut(&Entry)) {
        for shard in &self.shards {
            shard
                .slots
                .load()
                .iter()
                .filter_map(|slot| slot.entry.load_full())
                .for_each(|entry| show(&entry));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
