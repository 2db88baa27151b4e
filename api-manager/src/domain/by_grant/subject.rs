//! Names of persons in few bytes: identity providers mostly give UUIDs, or short names.

use std::borrow::Cow;

use uuid::Uuid;

/// The longest name that needs no place of its own, in bytes.
pub const SHORT: usize = 27;
/// The length of a UUID as text, and in bytes.
const TEXT: usize = 36;
const BYTES: usize = 16;

/// A name, unless it is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Followed by zeros. Of a UUID with something short in front, that, and the UUID's bytes at the end.
    bytes: [u8; SHORT],
    kind: Kind,
}

/// What the bytes are. Also where a [`Principal`](crate::domain::principal::Principal) keeps which one it is, at no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Uuid,
    /// Nothing: the name is elsewhere.
    Elsewhere,
}

impl Subject {
    /// Of this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut bytes = [0; SHORT];
        let mut kind = Kind::Elsewhere;
        if let Some((front, uuid)) = with_uuid(name) {
            let (before, after) = bytes.split_at_mut(SHORT - BYTES);
            before.iter_mut().zip(front.bytes()).for_each(|(into, byte)| *into = byte);
            after.copy_from_slice(uuid.as_bytes());
            kind = Kind::Uuid;
        } else if name.len() <= SHORT && !name.ends_with('\0') {
            bytes.iter_mut().zip(name.bytes()).for_each(|(into, byte)| *into = byte);
            kind = Kind::Text;
        }
        Self { bytes, kind }
    }

    /// Whether it could not be kept here.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.kind == Kind::Elsewhere
    }

    /// The name; `None` where it is elsewhere.
    #[must_use]
    pub fn name(&self) -> Option<Cow<'_, str>> {
        let (front, uuid) = self.bytes.split_last_chunk::<BYTES>()?;
        match self.kind {
            Kind::Text => Some(text(&self.bytes).into()),
            Kind::Uuid => Some(format!("{}{}", text(front), Uuid::from_bytes(*uuid).hyphenated()).into()),
            Kind::Elsewhere => None,
        }
    }
}

/// Without the zeros behind it. It was text when it was put there.
fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
}

/// A name that ends in a UUID, spelled as it would be spelled again, with what stands in front.
fn with_uuid(name: &str) -> Option<(&str, Uuid)> {
    let (front, end) = name.split_at_checked(name.len().checked_sub(TEXT)?)?;
    let uuid = Uuid::try_parse(end).ok()?;
    let mut spelled = Uuid::encode_buffer();
    let is_same = end == uuid.hyphenated().encode_lower(&mut spelled);
    (is_same && front.len() <= SHORT - BYTES && !front.ends_with('\0')).then_some((front, uuid))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_given_back_as_it_was_or_is_said_to_be_elsewhere(
            name in prop_oneof![
                ".{0,40}",
                "[a-z|:\0-]{0,12}[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
                "[a-z]{0,4}[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\0?",
            ],
        ) {
            match Subject::of(&name).name() {
                Some(given) => prop_assert_eq!(&*given, &name),
                None => prop_assert!(name.len() > SHORT || name.ends_with('\0')),
            }
        }
    }

    #[test]
    fn uuids_with_a_short_word_in_front_need_no_place_of_their_own() {
        for name in ["0199a3f4-7b1e-7c43-a1b2-0123456789ab", "person-0199a3f4-7b1e-7c43-a1b2-0123456789ab"] {
            assert_eq!(Subject::of(name).name().as_deref(), Some(name));
        }
        let capital = "0199A3F4-7b1e-7c43-a1b2-0123456789ab";
        assert_eq!(Subject::of(capital).name(), None);
    }
}
