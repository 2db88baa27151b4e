//! Where an API answers: context and version, and who may stand where.

use super::Api;

/// The longest context, in characters.
const LONGEST_CONTEXT: usize = 200;
/// The longest version, in characters.
const LONGEST_VERSION: usize = 30;
/// First segments that the gateway keeps for itself.
const RESERVED: [&str; 3] = ["health", "metrics", ".well-known"];

/// Reads a context, with or without slashes at its ends; without them it is kept.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_context(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > LONGEST_CONTEXT {
        return Err("is too long; at most 200 characters are accepted");
    }
    let bare = text.strip_prefix('/').unwrap_or(text);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.is_empty() {
        return Err("must name at least one path segment, such as pets");
    }
    if bare.contains('%') {
        return Err("must not hold percent-encoding; write the path as clients send it");
    }
    for segment in bare.split('/') {
        check_segment(segment)?;
    }
    if bare.split('/').next().is_some_and(|first| RESERVED.contains(&first)) {
        return Err("begins with a segment that the gateway keeps for itself (health, metrics, .well-known)");
    }
    Ok(bare.to_owned())
}

/// Reads a version: one path segment.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_version(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > LONGEST_VERSION {
        return Err("is too long; at most 30 characters are accepted");
    }
    if text.contains('/') {
        return Err("must be one path segment, such as 1.0.0");
    }
    check_segment(text)?;
    Ok(text.to_owned())
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    match segment {
        "" => Err("must not hold empty segments (//)"),
        "." | ".." => Err("must not hold the segments . and .."),
        // RFC 3986's unreserved characters: every client and proxy sends them as they are.
        _ if segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) => Ok(()),
        _ => Err("may hold letters of a to z, digits and - . _ ~ only"),
    }
}

/// Whether two APIs would answer below one another: one's path is the beginning of the other's.
#[must_use]
pub fn overlap(one: &Api, other: &Api) -> bool {
    paths(one).iter().any(|a| paths(other).iter().any(|b| is_below(a, b) || is_below(b, a)))
}

/// Whether two APIs would answer at the very same path. Of one context's default versions the latest takes over, so
/// those do not collide.
#[must_use]
pub fn collide(one: &Api, other: &Api) -> bool {
    if one.context == other.context {
        return one.version == other.version;
    }
    paths(one).iter().any(|path| paths(other).contains(path))
}

fn paths(api: &Api) -> Vec<String> {
    let mut paths = vec![format!("{}/{}", api.context, api.version)];
    if api.definition.default_version {
        paths.push(api.context.clone());
    }
    paths
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::api::tests::api_at;

    #[test]
    fn slashes_at_the_ends_do_not_matter() {
        for text in ["pets", "/pets", "pets/", "/pets/"] {
            assert_eq!(parse_context(text).as_deref(), Ok("pets"));
        }
        assert_eq!(parse_context("shop/pets").as_deref(), Ok("shop/pets"));
    }

    #[test]
    fn contexts_that_a_proxy_could_read_in_two_ways_are_refused() {
        let bad = [
            "",
            "/",
            "//",
            "//pets",
            "pets//",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "/..",
            "%2e%2e",
            "a%2fb",
            "a b",
            "a\tb",
            "a\u{0}",
            "a\nb",
            "ä",
            "a?b",
            "a#b",
            "a;b",
            "a\\b",
            "{a}",
            "*",
            "health",
            "health/x",
            "metrics",
            ".well-known/x",
        ];
        for text in bad {
            assert!(parse_context(text).is_err(), "{text:?}");
        }
        assert!(parse_context(&"a".repeat(201)).is_err());
        assert!(parse_context("healthy").is_ok());
    }

    #[test]
    fn a_version_is_one_plain_segment() {
        for good in ["1", "1.0.0", "v2-beta_1~x"] {
            assert_eq!(parse_version(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "1/0", "1 0", "1%2e0", "\u{7f}", "é"] {
            assert!(parse_version(bad).is_err(), "{bad:?}");
        }
        assert!(parse_version(&"1".repeat(31)).is_err());
    }

    #[test]
    fn a_path_is_below_another_by_whole_segments() {
        assert!(overlap(&api_at("pets", "1"), &api_at("pets/1", "2")));
        assert!(!overlap(&api_at("pets", "1"), &api_at("pets", "10")));
        assert!(!overlap(&api_at("pets", "1"), &api_at("petshop", "1")));
    }

    #[test]
    fn a_default_version_answers_at_the_bare_context() {
        let mut default = api_at("shop/pets", "2");
        default.definition.default_version = true;

        assert!(collide(&default, &api_at("shop", "pets")));
        assert!(overlap(&default, &api_at("shop/pets", "1")));
        assert!(!collide(&default, &api_at("shop/pets", "1")));
        let mut other = api_at("shop/pets", "3");
        other.definition.default_version = true;
        assert!(!collide(&default, &other));
    }

    proptest! {
        #[test]
        fn whatever_parses_parses_again_to_itself(text in "\\PC{0,40}") {
            if let Ok(context) = parse_context(&text) {
                prop_assert_eq!(parse_context(&context), Ok(context.clone()));
                prop_assert!(!context.starts_with('/') && !context.ends_with('/') && !context.contains(".."), "{}", context);
            }
        }

        #[test]
        fn plain_segments_make_a_context(segments in proptest::collection::vec("[a-z0-9_~-]{1,8}", 1..5)) {
            let context = format!("x{}", segments.join("/"));
            prop_assert_eq!(parse_context(&format!("/{context}")), Ok(context));
        }
    }
}
