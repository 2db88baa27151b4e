//! Against a map that cannot be wrong, and while others change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32};

use proptest::prelude::*;

use super::*;
use crate::domain::by_grant::ByGrant;
use crate::domain::ids::{ApplicationId, IdentityProviderId};
use crate::domain::principal::Principal;
use crate::gateway::routes::tests::grant;

/// A caller in a place whose hash and whose tag are given.
fn entry(hash: u64, tag: u64) -> Arc<Entry> {
    let grant = grant(ApplicationId::generate(), IdentityProviderId::generate());
    let principal = Principal::Grant(ByGrant::of(&grant));
    Arc::new(Entry { principal, used: AtomicU32::new(0), place: place(hash, tag) })
}

fn place(hash: u64, tag: u64) -> Place {
    let mut bytes = [0; 16];
    let (first, last) = bytes.split_at_mut(8);
    first.copy_from_slice(&hash.to_ne_bytes());
    last.copy_from_slice(&tag.to_ne_bytes());
    Place(bytes)
}

#[derive(Clone, Debug)]
enum Change {
    Insert(u64, u64),
    Remove(u64, u64),
    Retain(u64),
    Clear,
}

fn change() -> impl Strategy<Value = Change> {
    // Of few hashes, so that many are not where they belong, and around the end of a table.
    let (hash, tag) = (prop_oneof![0_u64..6, 12_u64..16, Just(u64::MAX)], 0_u64..4);
    prop_oneof![
        8 => (hash.clone(), tag.clone()).prop_map(|(hash, tag)| Change::Insert(hash, tag)),
        4 => (hash, tag).prop_map(|(hash, tag)| Change::Remove(hash, tag)),
        1 => (0_u64..4).prop_map(Change::Retain),
        1 => Just(Change::Clear),
    ]
}

proptest! {
    #[test]
    fn what_is_kept_is_found_and_nothing_else(changes in prop::collection::vec(change(), 0..120)) {
        let (known, mut model) = (Known::default(), HashMap::new());
        for change in changes {
            match change {
                Change::Insert(hash, tag) => {
                    let entry = entry(hash, tag);
                    model.insert((hash, tag), Arc::clone(&entry));
                    known.insert(entry);
                }
                Change::Remove(hash, tag) => {
                    model.remove(&(hash, tag));
                    known.remove(&place(hash, tag));
                }
                Change::Retain(tag) => {
                    model.retain(|(_, other), _| *other != tag);
                    let goes = |entry: &Entry| entry.place.0.ends_with(&tag.to_ne_bytes());
                    known.retain(|entry| !goes(entry));
                }
                Change::Clear => {
                    model.clear();
                    known.clear();
                }
            }
            for hash in (0..16).chain([u64::MAX]) {
                for tag in 0..4 {
                    let found = known.get(&place(hash, tag));
                    let kept = model.get(&(hash, tag));
                    prop_assert_eq!(found.as_ref().map(Arc::as_ptr), kept.map(Arc::as_ptr));
                }
            }
            let mut shown = 0;
            known.each(|_| shown += 1);
            prop_assert_eq!((known.len(), shown), (model.len(), model.len()));
        }
    }
}

#[test]
fn a_table_grows_with_its_callers_and_shrinks_when_they_are_gone() {
    let known = Known::default();
    let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slots = || known.shards.iter().map(|shard| shard.slots.load().len()).sum::<usize>();
    for number in 0..10_000 {
        known.insert(entry(hash(number), number));
    }
    assert!((0..10_000).all(|number| known.get(&place(hash(number), number)).is_some()));
    let grown = slots();
    assert!((15_000..=40_000).contains(&grown), "{grown}");

    known.retain(|entry| entry.place == place(hash(7), 7));

    assert_eq!((known.len(), slots()), (1, FEW * SHARDS));
    assert!(known.get(&place(hash(7), 7)).is_some() && known.get(&place(hash(8), 8)).is_none());
}

#[test]
fn whoever_looks_while_others_change_finds_the_one_that_is_meant_or_none_and_none_that_was_taken_out() {
    let (known, is_over) = (Known::default(), AtomicBool::new(false));
    // All in one shard, where they belong to eight slots.
    let places: Vec<(u64, u64)> = (0..32).map(|number| (number % 8, number)).collect();
    std::thread::scope(|scope| {
        for mine in places.chunks(16) {
            let (known, is_over) = (&known, &is_over);
            scope.spawn(move || {
                for _ in 0..2_000 {
                    mine.iter().for_each(|(hash, tag)| known.insert(entry(*hash, *tag)));
                    for (hash, tag) in mine {
                        known.remove(&place(*hash, *tag));
                        assert!(known.get(&place(*hash, *tag)).is_none());
                    }
                }
                is_over.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (hash, tag) in &places {
                    let wanted = place(*hash, *tag);
                    known.fetch_slot(&wanted);
                    known.fetch_entry(&wanted);
                    assert!(known.get(&wanted).is_none_or(|entry| entry.place == wanted));
                }
            }
        });
    });
    assert_eq!(known.len(), 0);
}
