//! The path of a request: what is matched is what is sent.
//!
//! Anything that a backend could read as another path than we do is refused (RFC 3986, sections 3.3 and 6.2.2;
//! decision D16): dot segments, empty segments, encoded slashes, control characters, escapes that are no UTF-8.

use std::borrow::Cow;

/// The longest request target, in bytes, query included.
pub const LONGEST_TARGET: usize = 12 * 1_024;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Longer than [`LONGEST_TARGET`].
    #[error("the request target is too long")]
    TooLong,
    /// Not a path that begins with `/`.
    #[error("the request target has no path that begins with a slash")]
    NoPath,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`, in any spelling, also before path parameters.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A slash or backslash that hides in an escape, or a plain backslash.
    #[error("the path has an encoded slash or a backslash")]
    Slash,
    /// A control character, plain or encoded.
    #[error("the path has a control character")]
    Control,
    /// A byte outside ASCII, or escapes that do not decode to UTF-8.
    #[error("the path is not ASCII with escapes of UTF-8")]
    NotText,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has a broken percent escape")]
    Escape,
}

/// The path in its one spelling: escapes of unreserved characters are decoded (RFC 3986, section 6.2.2.2), so that
/// `/%61dmin` can neither be matched nor arrive as anything but `/admin`. Everything else stays byte for byte.
///
/// # Errors
/// [`BadPath`].
pub fn canonical(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if path.len() > LONGEST_TARGET {
        return Err(BadPath::TooLong);
    }
    if is_plain(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    spelled(path)
}

/// The whole rule.
fn spelled(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if !path.starts_with('/') {
        return Err(BadPath::NoPath);
    }
    let path = decode_unreserved(path)?;
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(BadPath::EmptySegment);
        }
        check_segment(segment)?;
    }
    Ok(path)
}

/// Whether it is made of slashes and unreserved characters only, without empty segments and without any that begins with a
/// dot: nearly every path is, and then there is nothing to decode or to refuse.
fn is_plain(path: &[u8]) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    let mut before = 0;
    let holds = path.iter().all(|&byte| {
        let fits = is_unreserved(byte) || matches!(byte, b'/' | b'.') && before != b'/';
        before = byte;
        fits
    });
    holds && path.first() == Some(&b'/')
}

/// One segment of a canonical path as the text that it stands for.
#[must_use]
pub fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match (first, escaped(tail)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, BadPath> {
    let mut changed = String::new();
    // How much of `path` is in `changed` already.
    let mut copied = 0;
    let mut bytes = path.bytes().enumerate();
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b'%' => {}
            b'\\' => return Err(BadPath::Slash),
            0x21..=0x7e => continue,
            0x00..=0x20 | 0x7f => return Err(BadPath::Control),
            0x80.. => return Err(BadPath::NotText),
        }
        let byte = path.as_bytes().get(place + 1..).and_then(escaped).ok_or(BadPath::Escape)?;
        match byte {
            b'/' | b'\\' => return Err(BadPath::Slash),
            0x00..=0x1f | 0x7f => return Err(BadPath::Control),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                changed.push_str(path.get(copied..place).unwrap_or_default());
                changed.push(char::from(byte));
                copied = place + 3;
            }
            _ => {}
        }
        bytes.nth(1);
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(path));
    }
    changed.push_str(path.get(copied..).unwrap_or_default());
    Ok(Cow::Owned(changed))
}

/// The byte that the two hexadecimal digits at the front stand for.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match digits {
        [high, low, ..] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

fn check_segment(segment: &str) -> Result<(), BadPath> {
    let text = decoded(segment);
    // Some servers cut path parameters off before they look for dots: `..;x` climbs there.
    let name = text.split(';').next().unwrap_or_default();
    if name == "." || name == ".." {
        return Err(BadPath::DotSegment);
    }
    // What is no UTF-8 decodes to the replacement character, and overlong forms of dot and slash are no UTF-8.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(BadPath::NotText);
    }
    if text.chars().any(char::is_control) {
        return Err(BadPath::Control);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_stay_as_they_are() {
        for path in ["/", "/a", "/a/b/", "/a/b.c/..d/...", "/a;b=c/d@e:f", "/%C3%A9/%20/%25/%3B", "/a{b}|\"^"]
        {
            assert_eq!(canonical(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn escapes_of_unreserved_characters_are_decoded() {
        assert_eq!(canonical("/%61dmin/%7E%2Dx").as_deref(), Ok("/admin/~-x"));
        assert_eq!(canonical("/%2561").as_deref(), Ok("/%2561"));
    }

    #[test]
    fn every_way_to_climb_is_refused() {
        for path in
            ["/..", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/%2E./b", "/.", "/a/..;x/b", "/a/%2e.%3b/b", "/.;"]
        {
            assert_eq!(canonical(path), Err(BadPath::DotSegment), "{path}");
        }
        for path in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/%5C"] {
            assert_eq!(canonical(path), Err(BadPath::Slash), "{path}");
        }
        for path in ["//", "//a", "/a//b", "/a//"] {
            assert_eq!(canonical(path), Err(BadPath::EmptySegment), "{path}");
        }
    }

    #[test]
    fn controls_and_broken_escapes_are_refused() {
        for path in ["/%00", "/a%0d%0ab", "/%7f", "/a\u{1}", "/a b", "/%C2%85"] {
            assert_eq!(canonical(path), Err(BadPath::Control), "{path:?}");
        }
        for path in ["/%", "/%4", "/%zz", "/a%+1"] {
            assert_eq!(canonical(path), Err(BadPath::Escape), "{path}");
        }
        for path in ["/é", "/%c0%ae%c0%ae/", "/%ff", "/%EF%BF%BD"] {
            assert_eq!(canonical(path), Err(BadPath::NotText), "{path}");
        }
        assert_eq!(canonical("*"), Err(BadPath::NoPath));
        assert_eq!(canonical(&"/a".repeat(LONGEST_TARGET)), Err(BadPath::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_cannot_climb(path in "/([a%./;\\\\]|%2[eEfF5]|%3[bB]|%5[cC]|%00|%c0%ae){0,24}") {
            if let Ok(path) = canonical(&path) {
                for segment in path.split('/').skip(1) {
                    let text = decoded(segment);
                    let is_dots = |text: &str| text == "." || text == "..";
                    prop_assert!(!is_dots(segment) && !is_dots(&text));
                    prop_assert!(!text.contains(['/', '\\', '\0']));
                }
                prop_assert!(!path.contains("//"));
            }
        }

        #[test]
        fn the_one_spelling_is_its_own_canonical_form(path in "/[ -~]{0,60}") {
            if let Ok(once) = canonical(&path) {
                let again = canonical(&once).map(Cow::into_owned);
                prop_assert_eq!(again.as_deref(), Ok(&*once));
                // Decoding changes no segment's text.
                let texts = |path: &str| path.split('/').map(|s| decoded(s).into_owned()).collect::<Vec<_>>();
                prop_assert_eq!(texts(&path), texts(&once));
            }
        }

        #[test]
        fn a_plain_path_is_judged_as_by_the_whole_rule(path in "[/.a%é ;\\\\]{0,8}") {
            if is_plain(path.as_bytes()) {
                prop_assert_eq!(spelled(&path), Ok(Cow::Borrowed(&*path)));
            }
        }

        #[test]
        fn no_bytes_panic(path in "\\PC{0,40}") {
            let _ = canonical(&path);
        }
    }
}
