//! The path that the backend sees, where an operation names one: the operation's template filled with the segments that
//! were sent, each as it was sent.
//!
//! Only whole segments are put in, and none of them is empty or a dot segment, or the path would not have been matched.
//! So the result has the template's segments and never leaves the backend's base path.

/// Fills `template` with what `rest` has where `path` has names. `None` where `rest` does not have the form of `path`.
#[must_use]
pub fn fill(path: &str, template: &str, rest: &str) -> Option<String> {
    let sent = rest.strip_prefix('/').unwrap_or(rest);
    let (fixed, is_open) = match path.strip_suffix("/*") {
        Some(fixed) => (fixed, true),
        None => (path, false),
    };
    let declared: Vec<&str> = fixed.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    let value = |name: &str| {
        let place = declared.iter().position(|segment| *segment == name)?;
        sent.split('/').nth(place).filter(|segment| !segment.is_empty())
    };

    let (shape, ends_open) = match template.strip_suffix("/*") {
        Some(shape) => (shape, is_open),
        None => (template, false),
    };
    let mut filled = String::with_capacity(template.len() + rest.len());
    for segment in shape.split('/').skip(1) {
        filled.push('/');
        filled.push_str(if segment.starts_with('{') { value(segment)? } else { segment });
    }
    if ends_open {
        filled.push_str(after(rest, declared.len()));
    }
    Some(filled)
}

/// What follows the first `count` segments: empty, or with a slash in front.
fn after(rest: &str, count: usize) -> &str {
    let place = rest.match_indices('/').nth(count).map_or(rest.len(), |(place, _)| place);
    rest.get(place..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::api::Operation;
    use crate::domain::api::transform::parse_rewrite;
    use crate::gateway::operations::Operations;
    use crate::gateway::path::canonical;
    use crate::gateway::upstream::address::Address;

    #[test]
    fn names_stand_for_the_segments_that_were_sent() {
        for (path, template, rest, expected) in [
            ("/cats/{id}", "/v2/cats/{id}", "/cats/7", "/v2/cats/7"),
            ("/cats/{id}", "/v2/cats/{id}", "/cats/7/", "/v2/cats/7"),
            ("/cats/{id}", "/v2/cats/{id}", "/cats/a%20b;c=d", "/v2/cats/a%20b;c=d"),
            ("/{a}/{b}", "/{b}/{a}/{b}", "/x/y", "/y/x/y"),
            ("/files/*", "/archive/*", "/files", "/archive"),
            ("/files/*", "/archive/*", "/files/", "/archive/"),
            ("/files/*", "/archive/*", "/files/a/b%2Cc/", "/archive/a/b%2Cc/"),
            ("/files/*", "/index", "/files/a", "/index"),
            ("/{who}/files/*", "/of/{who}/*", "/me/files/a", "/of/me/a"),
            ("/*", "/v2/*", "", "/v2"),
            ("/*", "/v2/*", "/", "/v2/"),
            ("/*", "/v2/*", "/a", "/v2/a"),
            ("/*", "/*", "/a/b", "/a/b"),
            ("/", "/home", "", "/home"),
            ("/admin", "/x", "/admin;y", "/x"),
        ] {
            assert_eq!(fill(path, template, rest).as_deref(), Some(expected), "{path} {template} {rest}");
        }
        assert_eq!(fill("/cats/{id}", "/v2/{id}", "/cats"), None);
    }

    proptest! {
        #[test]
        fn a_rewritten_path_never_leaves_the_backends_base_path(
            path in "(/[ab]|/\\{x\\}|/\\{y\\}){0,4}(/|/\\*)?",
            template in "(/[ab]|/\\{x\\}|/\\{y\\}|/\\.\\.|/){0,4}(/|/\\*)?",
            rest in "(/([ab%./;\\\\]|%2[eEfF5]|%3[bB]|\\.){0,4}){0,6}",
        ) {
            let (Ok(path), Ok(rest)) =
                (crate::domain::api::operation::parse_path(&path), canonical(&rest)) else { return Ok(()) };
            let Ok(template) = parse_rewrite(&template, &path) else { return Ok(()) };
            let operations = Operations::compile(&[Operation::new("GET", path.clone())]);
            if operations.find(&Method::GET, &rest).is_err() { return Ok(()) }

            let filled = fill(&path, &template, &rest);
            prop_assert!(filled.is_some(), "{path} {template} {rest}");
            let filled = filled.unwrap();
            let backend = Address::parse("http://b.example/base/").unwrap();
            let uri = backend.uri(&filled, None).unwrap();
            prop_assert!(uri.path() == "/base" || uri.path().starts_with("/base/"), "{uri}");
            let spelled = canonical(uri.path());
            prop_assert_eq!(spelled.as_deref(), Ok(uri.path()));
        }
    }
}
