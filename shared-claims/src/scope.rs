//! Scopes (RFC 6749, section 3.3): a set of tokens, spelled as one space-separated string.

use std::collections::BTreeSet;
use std::fmt;

/// A set of scope tokens; order and repetition in the spelling carry no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(BTreeSet<String>);

/// A scope string with a character outside RFC 6749's `scope-token`, or one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is made of printable ASCII without quotes and backslashes, separated by single spaces")]
pub struct BadScope;

/// The most tokens and the most bytes that one scope string may have.
const MOST_TOKENS: usize = 100;
const MOST_BYTES: usize = 4_096;

impl ScopeSet {
    /// Reads `scope = scope-token *( SP scope-token )`; an empty string is the empty set.
    ///
    /// # Errors
    /// [`BadScope`] for other characters, more than 100 tokens or more than 4,096 bytes.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        if text.len() > MOST_BYTES {
            return Err(BadScope);
        }
        let tokens: BTreeSet<String> = text.split(' ').filter(|t| !t.is_empty()).map(str::to_owned).collect();
        if tokens.len() > MOST_TOKENS || !tokens.iter().all(|t| is_scope_token(t)) {
            return Err(BadScope);
        }
        Ok(Self(tokens))
    }

    /// Makes a set of tokens that are known one by one.
    ///
    /// # Errors
    /// [`BadScope`] where one of them is no `scope-token`.
    pub fn from_tokens<I, S>(tokens: I) -> Result<Self, BadScope>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let tokens: BTreeSet<String> = tokens.into_iter().map(Into::into).collect();
        if tokens.len() > MOST_TOKENS || !tokens.iter().all(|t| is_scope_token(t)) {
            return Err(BadScope);
        }
        Ok(Self(tokens))
    }

    /// Whether the set holds no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `token` is in the set, by exact comparison.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.0.contains(token)
    }

    /// Whether every token of this set is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The tokens in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The tokens in either set. What is added up from many sources may hold more tokens than one string could.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The tokens in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, token) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

/// RFC 6749, appendix A.4: `%x21 / %x23-5B / %x5D-7E`, at least one character.
#[must_use]
pub fn is_scope_token(token: &str) -> bool {
    !token.is_empty()
        && token.len() <= 255
        && token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(ScopeSet::parse("b a b"), ScopeSet::parse("a b"));
        assert_eq!(ScopeSet::parse("b  a").unwrap().to_string(), "a b");
    }

    #[test]
    fn quotes_backslashes_and_controls_are_no_scope() {
        for bad in ["a\"b", "a\\b", "a\tb", "ä", "a\u{0}"] {
            assert_eq!(ScopeSet::parse(bad), Err(BadScope), "{bad:?}");
        }
    }

    #[test]
    fn an_endless_scope_is_refused() {
        assert_eq!(ScopeSet::parse(&"a".repeat(5_000)), Err(BadScope));
        let many: Vec<String> = (0..101).map(|n| format!("s{n}")).collect();
        assert_eq!(ScopeSet::parse(&many.join(" ")), Err(BadScope));
    }

    proptest! {
        #[test]
        fn what_parses_prints_and_parses_again(text in "[ -~]{0,200}") {
            if let Ok(set) = ScopeSet::parse(&text) {
                prop_assert_eq!(ScopeSet::parse(&set.to_string()), Ok(set));
            }
        }
    }
}
