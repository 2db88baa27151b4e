//! Security requirements, read as what the gateway can ask for: nothing, a token, a token with one of some scopes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Document, Problems};

/// What an operation asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    /// Nothing: anybody may call.
    pub(super) is_open: bool,
    /// Any one of these; none asks for no scope.
    pub(super) scopes: Vec<String>,
}

/// Reads the requirements that stand at `pointer`. Where `any_scope` is set, one of several scopes that are asked for
/// together will do.
pub(super) fn read(
    document: &Document,
    (requirements, pointer): (&Value, &str),
    any_scope: bool,
    problems: &mut Problems,
) -> Access {
    let Some(alternatives) = requirements.as_array() else {
        problems.note(pointer, "must be a list of security requirements; an empty list lets everybody call");
        return Access::default();
    };
    // An empty requirement makes the others optional (OpenAPI 3.1, section 4.8.30), so that anybody may call.
    if alternatives.is_empty() || alternatives.iter().any(|one| one.as_object().is_some_and(|o| o.is_empty()))
    {
        return Access { is_open: true, scopes: Vec::new() };
    }
    let mut found: Vec<Option<Vec<String>>> = Vec::new();
    for (place, alternative) in alternatives.iter().enumerate() {
        found.push(scopes_of(document, (alternative, &format!("{pointer}/{place}")), any_scope, problems));
    }
    // Keys and passwords of the backend's own are not what the gateway asks for, so alternatives that are made of them
    // alone open nothing.
    let by_token: Vec<Vec<String>> = found.into_iter().flatten().collect();
    let is_free = by_token.iter().any(Vec::is_empty);
    let mut scopes: Vec<String> = if is_free { Vec::new() } else { by_token.into_iter().flatten().collect() };
    scopes.sort();
    scopes.dedup();
    Access { is_open: false, scopes }
}

/// The scopes that one alternative asks for; `None` where no scheme of it issues tokens with scopes.
fn scopes_of(
    document: &Document,
    (alternative, pointer): (&Value, &str),
    any_scope: bool,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let Some(schemes) = alternative.as_object() else {
        problems.note(pointer, "must be an object that names security schemes");
        return None;
    };
    let mut scopes: Option<Vec<String>> = None;
    for (name, wanted) in schemes {
        let below = super::step(pointer, name);
        let scheme = document.root().pointer(&super::step("/components/securitySchemes", name));
        let Some((scheme, _)) = scheme.and_then(|scheme| document.resolve(scheme, String::new())) else {
            problems.note(&below, "is no scheme of components/securitySchemes");
            continue;
        };
        let texts = wanted.as_array().map(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let Some(Some(texts)) = texts else {
            problems.note(&below, "must be a list of scopes");
            continue;
        };
        if matches!(scheme["type"].as_str(), Some("oauth2" | "openIdConnect")) {
            scopes.get_or_insert_default().extend(texts.into_iter().map(str::to_owned));
        }
    }
    if scopes.as_ref().is_some_and(|scopes| scopes.len() > 1) && !any_scope {
        let detail = "asks for several scopes at once, and the gateway lets in whoever has one of an operation's \
                      scopes; name one, or say with scopes=any that any of them will do";
        problems.note(pointer, detail);
    }
    scopes
}

/// What the document says about its scopes, for people.
pub(super) fn descriptions(document: &Document) -> BTreeMap<String, String> {
    let schemes =
        document.object("/components/securitySchemes").into_iter().flat_map(|schemes| schemes.values());
    let flows = schemes.filter_map(|scheme| scheme["flows"].as_object()).flat_map(|flows| flows.values());
    let scopes = flows.filter_map(|flow| flow["scopes"].as_object()).flatten();
    scopes.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn access(requirements: Value, any_scope: bool) -> (Access, Vec<String>) {
        let schemes = json!({"oauth": {"type": "oauth2"}, "oidc": {"type": "openIdConnect"}, "key": {"type": "apiKey"}});
        let document = Document { root: json!({"components": {"securitySchemes": schemes}}) };
        let mut problems = Problems::default();
        let access = read(&document, (&requirements, "/security"), any_scope, &mut problems);
        (access, problems.into_list().into_iter().map(|problem| problem.field).collect())
    }

    fn scopes(names: &[&str]) -> Access {
        Access { is_open: false, scopes: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn alternatives_become_scopes_of_which_any_will_do() {
        let good = [
            (json!([{"oauth": ["b"]}, {"oidc": ["a"]}]), scopes(&["a", "b"])),
            (json!([{"oauth": ["a"], "key": []}]), scopes(&["a"])),
            (json!([{"oauth": ["a"]}, {"oauth": []}]), scopes(&[])),
            // A key of the backend's is no way around the scope.
            (json!([{"oauth": ["a"]}, {"key": []}]), scopes(&["a"])),
            (json!([{"key": []}]), scopes(&[])),
        ];
        for (requirements, expected) in good {
            assert_eq!(access(requirements, false), (expected, Vec::new()));
        }
        for open in [json!([]), json!([{"oauth": ["a"]}, {}])] {
            assert!(access(open, false).0.is_open);
        }
    }

    #[test]
    fn what_the_gateway_cannot_ask_for_is_a_problem_and_never_less() {
        assert_eq!(access(json!([{"oauth": ["a", "b"]}]), false).1, ["/security/0"]);
        assert_eq!(access(json!([{"oauth": ["a"], "oidc": ["b"]}]), false).1, ["/security/0"]);
        assert_eq!(access(json!([{"oauth": ["b", "a"]}]), true), (scopes(&["a", "b"]), Vec::new()));
        for (bad, pointer) in [
            (json!({}), "/security"),
            (json!([5]), "/security/0"),
            (json!([{"nobody": []}]), "/security/0/nobody"),
            (json!([{"oauth": "a"}]), "/security/0/oauth"),
            (json!([{"oauth": [1]}]), "/security/0/oauth"),
        ] {
            let (access, problems) = access(bad, false);
            assert_eq!((access.is_open, problems), (false, vec![pointer.to_owned()]));
        }
    }
}
