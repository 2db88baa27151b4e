//! What may be called: method and path of an operation.

use std::collections::BTreeSet;

use super::{Operation, OperationAuth};

/// The methods that an operation can have.
pub const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"];
/// The longest path of an operation, in characters.
const LONGEST_PATH: usize = 500;
/// The most scopes that one operation names.
pub const MOST_SCOPES: usize = 20;

/// Reads a method, in any case.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_method(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    if METHODS.contains(&upper.as_str()) {
        return Ok(upper);
    }
    Err(format!("must be one of: {}", METHODS.join(", ")))
}

/// Reads a path below the API: literal segments, `{name}` for one segment, and `/*` at the end.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_path(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > LONGEST_PATH {
        return Err("is too long; at most 500 characters are accepted");
    }
    let Some(rest) = text.strip_prefix('/') else { return Err("must begin with /") };
    if text.contains('%') {
        return Err("must not hold percent-encoding; write {name} for what varies");
    }
    let segments: Vec<&str> = rest.split('/').collect();
    let mut names = BTreeSet::new();
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        match *segment {
            // One slash at the end is a path of its own; two in a row are none.
            "" if !is_last || (place > 0 && segments.get(place - 1).is_some_and(|s| s.is_empty())) => {
                return Err("must not hold empty segments (//)");
            }
            "" => {}
            "." | ".." => return Err("must not hold the segments . and .."),
            "*" if is_last => {}
            _ if segment.contains('*') => return Err("may hold * only as its last segment, as in /files/*"),
            _ if segment.contains(['{', '}']) => {
                let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
                let name = name
                    .filter(|n| is_parameter_name(n))
                    .ok_or("must write what varies as a whole segment, as in /pets/{id}")?;
                if !names.insert(name) {
                    return Err("names a parameter twice");
                }
            }
            _ if segment.bytes().all(is_path_byte) => {}
            _ => return Err("holds a character that no path can hold"),
        }
    }
    Ok(text.to_owned())
}

fn is_parameter_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 50
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// RFC 3986's `pchar` without percent-encoding and `*`.
fn is_path_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&b)
}

/// What is wrong with the operations taken together: the place in the list, the member, and the reason.
#[must_use]
pub fn faults(operations: &[Operation]) -> Vec<(usize, &'static str, &'static str)> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        if !seen.insert((operation.method.as_str(), shape(&operation.path))) {
            faults.push((place, "path", "repeats an operation: no request could tell the two apart"));
        }
        if operation.auth == OperationAuth::None && !operation.scopes.is_empty() {
            faults.push((place, "scopes", "need a token; leave them out where auth is none"));
        }
    }
    faults
}

/// The path with its parameters' names left out: what a request can be told by.
#[must_use]
pub fn shape(path: &str) -> String {
    let plain = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared_claims::scope::ScopeSet;

    use super::*;

    #[test]
    fn a_method_is_read_in_any_case_and_kept_in_upper_case() {
        assert_eq!(parse_method("get").as_deref(), Ok("GET"));
        assert_eq!(parse_method("*").as_deref(), Ok("*"));
        for bad in ["", "FETCH", "GET ", "CONNECT", "TRACE"] {
            assert!(parse_method(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_literals_parameters_and_one_star_at_the_end() {
        for good in ["/", "/*", "/pets", "/pets/", "/pets/{id}", "/a/{b}/c/*", "/a.b/x:y@z", "/{a}/{b}"] {
            assert_eq!(parse_path(good).as_deref(), Ok(good), "{good}");
        }
        let bad = [
            "", "pets", "*", "//", "/a//b", "/a//", "/../a", "/a/.", "/*/a", "/a*", "/a/**", "/{}", "/{a",
            "/a}", "/x{a}", "/{a}{b}", "/{a}/{a}", "/{a b}", "/a%2fb", "/a b", "/a?b", "/a#b", "/ä", "/a\\b",
            "/a\u{0}",
        ];
        for text in bad {
            assert!(parse_path(text).is_err(), "{text:?}");
        }
        assert!(parse_path(&format!("/{}", "a".repeat(500))).is_err());
    }

    #[test]
    fn operations_that_differ_only_by_a_parameters_name_repeat_each_other() {
        let operations = [
            Operation::new("GET", "/pets/{id}"),
            Operation::new("GET", "/pets/{name}"),
            Operation::new("PUT", "/pets/{id}"),
        ];
        let places: Vec<usize> = faults(&operations).iter().map(|(place, _, _)| *place).collect();
        assert_eq!(places, [1]);
    }

    #[test]
    fn scopes_without_a_token_are_refused() {
        let open = Operation {
            scopes: ScopeSet::parse("read").unwrap(),
            auth: OperationAuth::None,
            ..Operation::new("GET", "/")
        };
        assert_eq!(faults(&[open])[0].1, "scopes");
    }

    proptest! {
        #[test]
        fn no_path_panics_and_none_that_climbs_parses(text in "(/|\\.|\\*|\\{|\\}|a|%|\\PC){0,20}") {
            if let Ok(path) = parse_path(&text) {
                prop_assert!(path.starts_with('/') && !path.contains("//"));
                prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
            }
        }
    }
}
