//! Identifiers that we make: UUIDv7 (RFC 9562), so that they sort by birth.

/// Declares a newtype over a UUIDv7 that reads, prints and stores as its lower-case hyphenated text.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id, later than every one made before it.
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7())
            }

            /// Reads the canonical text form (36 characters, lower case); every other spelling is `None`.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let id = uuid::Uuid::try_parse(text).ok()?;
                let mut plain = [0; uuid::fmt::Hyphenated::LENGTH];
                (*id.as_hyphenated().encode_lower(&mut plain) == *text).then_some(Self(id))
            }

            /// The sixteen bytes of the id.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    id_type!(
        /// An id for the tests.
        ThingId
    );

    #[test]
    fn an_id_survives_its_text() {
        let id = ThingId::generate();
        assert_eq!(ThingId::parse(&id.to_string()), Some(id));
        assert_eq!(id.as_bytes()[6] >> 4, 7, "version 7");
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let text = ThingId::generate().to_string();
        assert_eq!(ThingId::parse(&text.to_uppercase()), None);
        assert_eq!(ThingId::parse(&text.replace('-', "")), None);
        assert_eq!(ThingId::parse(&format!("{{{text}}}")), None);
    }
}
