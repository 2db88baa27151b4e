//! Names that people give to things.

/// The most characters of a name.
pub const LONGEST: usize = 100;

/// Refuses names that look like another one, or that break a line of a log or a table.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn check(name: &str) -> Result<(), &'static str> {
    if name.trim() != name {
        return Err("must not begin or end with a space");
    }
    // Zero-width and direction characters make two names look like one.
    if name.chars().any(|c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')) {
        return Err("must not hold invisible characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_another_is_refused() {
        for bad in [" pets", "pets ", "pe\u{200b}ts", "\u{202e}step"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check("Pêts & Co"), Ok(()));
    }
}
