//! The declared operations of one API as a tree of path segments.
//!
//! The most specific path that has the method wins: a literal segment before `{name}`, that before `/*`. Segments are
//! compared as the text they stand for, so that no escape makes a path match less than what the backend will read.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use super::path::decoded;
use crate::ahead::fetch;
use crate::domain::api::{Operation, OperationAuth};

/// Declared operations, ready to be searched.
#[derive(Default)]
pub struct Operations(Node);

type Literals = HashMap<Box<str>, Node>;

/// In memory as written: a path that meets nothing but `/*` has no need of `here`.
#[derive(Default)]
#[repr(C)]
struct Node {
    literals: Option<Box<Literals>>,
    /// `{name}`: one segment that is not empty.
    any: Option<Box<Node>>,
    /// `/*`: whatever follows, also nothing.
    below: Methods,
    here: Methods,
}

/// What is declared for one path. The methods are here and not only where the operations are, and the first of them right
/// here: of thousands of APIs a processor has none at hand, and waits for each line of memory that it has to read.
type Methods = SmallVec<[Declared; 1]>;

/// One method of a path, with what a decision asks first right beside it.
pub struct Declared {
    verb: Verb,
    /// Whether anybody may call it.
    pub is_open: bool,
    /// The rest.
    pub operation: Arc<Operation>,
}

/// A method that can be declared (see [`operation::METHODS`](crate::domain::api::operation::METHODS)), in one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Any,
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    /// Not one of these: only `*` stands for it.
    Other,
}

impl Declared {
    fn of(operation: &Operation) -> Self {
        let verb = match operation.method.as_str() {
            "*" => Verb::Any,
            named => Method::from_bytes(named.as_bytes()).map_or(Verb::Other, |method| Verb::of(&method)),
        };
        Self { verb, is_open: is_open(operation), operation: Arc::new(operation.clone()) }
    }
}

impl Verb {
    /// The method of a request.
    fn of(asked: &Method) -> Self {
        match *asked {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }

    /// Whether it stands for the method of a request by name.
    fn is(self, asked: Self) -> bool {
        self == asked && asked != Self::Other
    }
}

/// Why no operation answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undeclared {
    /// The path is not declared.
    Path,
    /// The path is declared with these methods only.
    Method(BTreeSet<String>),
}

impl Operations {
    /// Builds the tree. Of two operations with the same path and method, the first counts.
    #[must_use]
    pub fn compile(operations: &[Operation]) -> Self {
        let mut root = Node::default();
        for operation in operations {
            let path = operation.path.strip_prefix('/').unwrap_or(&operation.path);
            let mut node = &mut root;
            let mut segments = (!path.is_empty()).then(|| path.split('/')).into_iter().flatten().peekable();
            let mut open = false;
            while let Some(segment) = segments.next() {
                if segment == "*" && segments.peek().is_none() {
                    open = true;
                } else if segment.starts_with('{') && segment.ends_with('}') {
                    node = node.any.get_or_insert_default();
                } else {
                    node = node.literals.get_or_insert_default().entry(decoded(segment).into()).or_default();
                }
            }
            let list = if open { &mut node.below } else { &mut node.here };
            list.push(Declared::of(operation));
        }
        Self(root)
    }

    /// As [`Route::fetch`](super::route::Route::fetch).
    pub fn fetch(&self) {
        fetch(&self.0.below);
        fetch(&self.0.here);
    }

    /// As [`Route::fetch_further`](super::route::Route::fetch_further).
    pub fn fetch_further(&self) {
        if let Some(Declared { operation, .. }) = self.0.below.first().or_else(|| self.0.here.first()) {
            fetch(&operation.auth);
            fetch(&operation.rewrite);
        }
    }

    /// The operation for `method` at `rest`, which is empty or begins with a slash.
    ///
    /// # Errors
    /// [`Undeclared`].
    pub fn find(&self, method: &Method, rest: &str) -> Result<&Declared, Undeclared> {
        let mut others = Others::default();
        let rest = rest.strip_prefix('/').filter(|rest| !rest.is_empty());
        let found = self.0.find(Verb::of(method), rest, &mut others);
        found.ok_or(if others.0.is_empty() { Undeclared::Path } else { Undeclared::Method(others.0) })
    }
}

/// The methods that the path is declared with, where the one asked for is not among them.
#[derive(Default)]
struct Others(BTreeSet<String>);

impl Others {
    fn pick<'o>(&mut self, methods: &'o [Declared], asked: Verb) -> Option<&'o Declared> {
        let exact = methods.iter().find(|declared| declared.verb.is(asked));
        let found = exact.or_else(|| methods.iter().find(|declared| matches!(declared.verb, Verb::Any)));
        if found.is_none() {
            self.0.extend(methods.iter().map(|declared| declared.operation.method.clone()));
        }
        found
    }
}

impl Node {
    /// Visits each node at most once: a node stands at one depth, and so meets one segment of the path.
    fn find(&self, method: Verb, rest: Option<&str>, others: &mut Others) -> Option<&Declared> {
        let Some(rest) = rest else {
            return others.pick(&self.here, method).or_else(|| others.pick(&self.below, method));
        };
        let (segment, rest) =
            rest.split_once('/').map_or((rest, None), |(segment, rest)| (segment, Some(rest)));
        let text = decoded(segment);
        let literals = self.literals.as_deref();
        let find = |name: &str, others: &mut Others| literals?.get(name)?.find(method, rest, others);
        let mut literal = find(&text, others);
        // Many servers cut path parameters off: to them `/admin;x` is `/admin`.
        if literal.is_none()
            && let Some((name, _)) = text.split_once(';')
        {
            literal = find(name, others);
        }
        let found = literal.or_else(|| match &self.any {
            Some(node) if !segment.is_empty() => node.find(method, rest, others),
            _ => None,
        });
        // Backends take `/admin/` for `/admin`: were it not the same here, it could slip through to a laxer `/*`.
        let found = found.or_else(|| {
            if segment.is_empty() && rest.is_none() { others.pick(&self.here, method) } else { None }
        });
        found.or_else(|| others.pick(&self.below, method))
    }
}

/// Whether anybody may call it.
#[must_use]
pub fn is_open(operation: &Operation) -> bool {
    operation.auth == OperationAuth::None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api::operation::METHODS;
    use proptest::prelude::*;

    fn operations(declared: &[(&str, &str)]) -> Operations {
        let declared: Vec<Operation> =
            declared.iter().map(|(method, path)| Operation::new(*method, *path)).collect();
        Operations::compile(&declared)
    }

    fn found(operations: &Operations, method: &str, rest: &str) -> String {
        match operations.find(&method.parse().unwrap(), rest) {
            Ok(declared) => declared.operation.path.clone(),
            Err(Undeclared::Path) => "404".to_owned(),
            Err(Undeclared::Method(allow)) => format!("405 {}", Vec::from_iter(allow).join(" ")),
        }
    }

    #[test]
    fn the_most_specific_path_wins() {
        let all = operations(&[
            ("GET", "/*"),
            ("GET", "/cats/{id}"),
            ("GET", "/cats/mine"),
            ("GET", "/cats/{id}/toys/*"),
        ]);
        for (rest, path) in [
            ("/cats/mine", "/cats/mine"),
            ("/cats/7", "/cats/{id}"),
            ("/cats/7/toys", "/cats/{id}/toys/*"),
            ("/cats/7/toys/a/b", "/cats/{id}/toys/*"),
            ("/cats/mine/toys/a", "/cats/{id}/toys/*"),
            ("/cats/7/dogs", "/*"),
            ("", "/*"),
            ("/", "/*"),
        ] {
            assert_eq!(found(&all, "GET", rest), path, "{rest}");
        }
    }

    #[test]
    fn an_undeclared_path_is_404_and_an_undeclared_method_405() {
        let all = operations(&[("GET", "/cats"), ("PUT", "/cats/{id}"), ("GET", "/cats/{id}")]);
        assert_eq!(found(&all, "GET", "/dogs"), "404");
        assert_eq!(found(&all, "GET", ""), "404");
        assert_eq!(found(&all, "GET", "/cats/1/2"), "404");
        assert_eq!(found(&all, "DELETE", "/cats/1"), "405 GET PUT");
        assert_eq!(found(&all, "get", "/cats"), "405 GET");
    }

    #[test]
    fn a_method_that_only_a_wider_path_declares_goes_there() {
        let all = operations(&[("GET", "/cats"), ("*", "/*")]);
        assert_eq!(found(&all, "GET", "/cats"), "/cats");
        assert_eq!(found(&all, "POST", "/cats"), "/*");
    }

    #[test]
    fn every_method_that_can_be_declared_is_found_by_itself_and_by_no_other() {
        let named = METHODS.into_iter().filter(|method| *method != "*");
        for declared in named.clone() {
            let all = operations(&[(declared, "/cats")]);
            for asked in named.clone() {
                let is_found = found(&all, asked, "/cats") == "/cats";
                assert_eq!(is_found, asked == declared, "{asked} where {declared} is declared");
            }
        }
    }

    #[test]
    fn a_method_that_nobody_can_declare_is_let_through_by_a_star_only() {
        for method in ["PROPFIND", "*", "get"] {
            assert_eq!(found(&operations(&[("GET", "/cats"), ("*", "/*")]), method, "/cats"), "/*");
            assert_eq!(
                found(&operations(&[(method, "/cats")]), "PROPFIND", "/cats") == "/cats",
                method == "*"
            );
        }
    }

    #[test]
    fn no_spelling_slips_past_a_strict_path_to_a_lax_one() {
        let all = operations(&[("GET", "/*"), ("GET", "/admin"), ("GET", "/users/@me")]);
        assert_eq!(found(&all, "GET", "/admin/"), "/admin");
        assert_eq!(found(&all, "GET", "/users/%40me"), "/users/@me");
        assert_eq!(found(&all, "GET", "/admin;x=1"), "/admin");
        assert_eq!(found(&all, "GET", "/admin%3Bx"), "/admin");
        assert_eq!(found(&all, "GET", "/admin/x"), "/*");
    }

    #[test]
    fn a_trailing_slash_may_be_declared_by_itself() {
        let all = operations(&[("GET", "/cats"), ("GET", "/cats/")]);
        assert_eq!(found(&all, "GET", "/cats"), "/cats");
        assert_eq!(found(&all, "GET", "/cats/"), "/cats/");
    }

    #[test]
    fn a_name_stands_for_one_segment_that_is_not_empty() {
        let all = operations(&[("GET", "/cats/{id}")]);
        assert_eq!(found(&all, "GET", "/cats/"), "404");
        assert_eq!(found(&all, "GET", "/cats"), "404");
    }

    proptest! {
        #[test]
        fn an_escaped_path_matches_what_the_plain_one_does(rest in "(/[a-c@]{1,3}){0,4}/?") {
            let all = operations(&[("GET", "/*"), ("GET", "/a/{x}"), ("GET", "/a/b"), ("GET", "/@/c/*")]);
            let escaped = rest.replace('@', "%40");
            prop_assert_eq!(found(&all, "GET", &rest), found(&all, "GET", &escaped));
        }
    }
}
