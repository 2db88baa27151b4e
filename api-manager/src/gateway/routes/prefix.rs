//! Where an API answers, as the key under which the table finds it.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

/// So long a one needs no memory of its own. Of thousands none is at hand: what is compared with the path is to lie where the
/// table has it and beside what it leads to, and not behind a reference.
const SHORT: usize = 22;

/// Context and version, or context alone, without slashes at either end; compared by its bytes.
#[derive(Clone)]
pub struct Prefix(Spelled);

#[derive(Clone)]
enum Spelled {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl From<&str> for Prefix {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        let fits = bytes.get_mut(..text.len()).zip(u8::try_from(text.len()).ok());
        let Some((room, length)) = fits else { return Self(Spelled::Long(text.as_bytes().into())) };
        room.copy_from_slice(text.as_bytes());
        Self(Spelled::Short { length, bytes })
    }
}

impl Borrow<[u8]> for Prefix {
    fn borrow(&self) -> &[u8] {
        match &self.0 {
            Spelled::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Spelled::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<[u8]>::borrow(self) == Borrow::<[u8]>::borrow(other)
    }
}

impl Eq for Prefix {}

impl Hash for Prefix {
    // As what is borrowed of it, by which it is looked for.
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_prefix_is_found_by_its_text_however_long(text in "[a-zä/.0-9]{0,40}", other in "[a-zä/.0-9]{0,40}") {
            let (prefix, hasher) = (Prefix::from(text.as_str()), RandomState::new());
            prop_assert_eq!(Borrow::<[u8]>::borrow(&prefix), text.as_bytes());
            prop_assert_eq!(hasher.hash_one(&prefix), hasher.hash_one(text.as_bytes()));
            prop_assert!(prefix == Prefix::from(text.as_str()));
            prop_assert_eq!(prefix == Prefix::from(other.as_str()), text == other);
        }
    }

    #[test]
    fn the_longest_of_the_short_ones_and_the_shortest_of_the_long_ones_are_no_others() {
        for (length, is_short) in [(0, true), (SHORT, true), (SHORT + 1, false), (300, false)] {
            let text = "x".repeat(length);
            let prefix = Prefix::from(text.as_str());
            assert_eq!(Borrow::<[u8]>::borrow(&prefix), text.as_bytes());
            assert_eq!(matches!(prefix.0, Spelled::Short { .. }), is_short, "{length}");
            assert!(prefix != Prefix::from("x".repeat(length + 1).as_str()));
        }
    }

    #[test]
    fn a_short_prefix_and_what_it_leads_to_are_half_a_line() {
        assert_eq!(size_of::<(Prefix, Arc<u8>)>(), 32);
    }
}
