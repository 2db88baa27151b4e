//! What is changed of the messages of an API and of its operations, compiled once for each table.
//!
//! The API's changes are made first and the operation's after them, so that the narrower one has the last word. Requests
//! are changed after they are cleaned for the backend: no `Connection` header can strike a header that is set here.

use std::borrow::Cow;
use std::collections::HashMap;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::path::decoded;
use crate::domain::api::transform::{Edits, Transforms};
use crate::domain::api::{Definition, Operation};

/// The changes of one API. Most have none: nothing is read to see that.
#[derive(Default)]
pub struct Shapes {
    all: Option<Box<Shape>>,
    operations: Option<Box<ByOperation>>,
}

/// By path, then method.
type ByOperation = HashMap<Box<str>, Vec<(Box<str>, Shape)>>;

/// The changes of an API or an operation.
#[derive(Default)]
struct Shape {
    request: Headers,
    query: Query,
    response: Headers,
}

#[derive(Default)]
struct Headers {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Default)]
struct Query {
    /// What is taken away, or replaced by what is appended.
    drop: Vec<Box<str>>,
    /// Encoded, without an ampersand at its ends.
    append: String,
}

/// What one request is changed by.
#[derive(Clone, Copy)]
pub struct Changes<'s>([Option<&'s Shape>; 2]);

impl Shapes {
    /// Compiles what a publisher says.
    #[must_use]
    pub fn compile(definition: &Definition) -> Self {
        let mut operations = ByOperation::new();
        for operation in definition.operations.iter().filter(|operation| !operation.transforms.is_empty()) {
            let shape = (operation.method.as_str().into(), Shape::compile(&operation.transforms));
            operations.entry(operation.path.as_str().into()).or_default().push(shape);
        }
        let all = &definition.transforms;
        Self {
            all: (!all.is_empty()).then(|| Shape::compile(all).into()),
            operations: (!operations.is_empty()).then(|| operations.into()),
        }
    }

    /// The changes of requests to `operation`.
    #[must_use]
    pub fn of(&self, operation: &Operation) -> Changes<'_> {
        let at_path = self.operations.as_ref().and_then(|all| all.get(operation.path.as_str()));
        let own = at_path.and_then(|all| all.iter().find(|(method, _)| **method == *operation.method));
        Changes([self.all.as_deref(), own.map(|(_, shape)| shape)])
    }
}

impl Changes<'_> {
    /// Whether the headers of requests stay as they are.
    #[must_use]
    pub fn leave_requests(&self) -> bool {
        self.0.iter().flatten().all(|shape| shape.request.is_empty())
    }

    /// Changes the headers of a request that are otherwise fit for the backend.
    pub fn request(&self, headers: &mut HeaderMap) {
        self.0.iter().flatten().for_each(|shape| shape.request.change(headers));
    }

    /// Changes the headers of an answer.
    pub fn response(&self, headers: &mut HeaderMap) {
        self.0.iter().flatten().for_each(|shape| shape.response.change(headers));
    }

    /// The query that the backend sees; what is not named keeps its bytes and its order.
    #[must_use]
    pub fn query<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let mut query = query.map(Cow::Borrowed);
        for shape in self.0.iter().flatten() {
            query = shape.query.change(query);
        }
        query
    }
}

impl Shape {
    fn compile(transforms: &Transforms) -> Self {
        Self {
            request: Headers::compile(&transforms.request_headers),
            query: Query::compile(&transforms.query),
            response: Headers::compile(&transforms.response_headers),
        }
    }
}

impl Headers {
    /// What storage holds was checked when it was sent; what is unfit all the same is left out.
    fn compile(edits: &Edits) -> Self {
        let pairs = |pairs: &[(String, String)]| {
            let pair = |(name, value): &(String, String)| {
                Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
            };
            pairs.iter().filter_map(pair).collect()
        };
        let remove = edits.remove.iter().filter_map(|name| HeaderName::try_from(name).ok());
        Self { remove: remove.collect(), set: pairs(&edits.set), add: pairs(&edits.add) }
    }

    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    fn change(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

impl Query {
    fn compile(edits: &Edits) -> Self {
        let set = edits.set.iter().map(|(name, _)| name);
        let drop = edits.remove.iter().chain(set).map(|name| name.as_str().into());
        let appended = edits.set.iter().chain(&edits.add);
        let append = appended.map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        Self { drop: drop.collect(), append: append.collect::<Vec<_>>().join("&") }
    }

    fn change<'q>(&self, query: Option<Cow<'q, str>>) -> Option<Cow<'q, str>> {
        let query = match query {
            Some(query) if self.drop.iter().any(|name| pieces(&query).any(|(_, piece)| is(piece, name))) => {
                self.without(&query).map(Cow::Owned)
            }
            query => query,
        };
        match query {
            query if self.append.is_empty() => query,
            Some(query) if !query.is_empty() => Some(Cow::Owned(format!("{query}&{}", self.append))),
            _ => Some(Cow::Owned(self.append.clone())),
        }
    }

    fn without(&self, query: &str) -> Option<String> {
        let mut left: Option<String> = None;
        for (separator, piece) in pieces(query) {
            if self.drop.iter().any(|name| is(piece, name)) {
                continue;
            }
            match &mut left {
                Some(left) => {
                    left.push_str(separator);
                    left.push_str(piece);
                }
                None => left = Some(piece.to_owned()),
            }
        }
        left
    }
}

/// The parameters of a query, each with the separator before it. Some backends take `;` for one: a parameter that is
/// taken away must not slip past behind it.
fn pieces(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(query);
    let mut separator = "";
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.find(['&', ';']);
        let (piece, after) = end.map_or((text, ""), |end| text.split_at(end));
        let before = std::mem::replace(&mut separator, after.get(..1).unwrap_or_default());
        rest = end.and_then(|end| text.get(end + 1..));
        Some((before, piece))
    })
}

/// Whether a parameter has this name, in any spelling.
fn is(piece: &str, name: &str) -> bool {
    let spelled = piece.split('=').next().unwrap_or_default();
    spelled == name || decoded(&spelled.replace('+', " ")) == name
}

/// Everything but unreserved characters is escaped (RFC 3986, section 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> Query {
        let pairs =
            |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let remove = remove.iter().map(|name| (*name).to_owned()).collect();
        Query::compile(&Edits { set: pairs(set), add: pairs(add), remove })
    }

    fn changed(query: &Query, text: Option<&str>) -> Option<String> {
        query.change(text.map(Cow::Borrowed)).map(Cow::into_owned)
    }

    #[test]
    fn what_is_not_named_keeps_its_bytes() {
        let all = query(&[("b", "x y&=é")], &[("c", "")], &["d"]);
        for (before, after) in [
            (None, "b=x%20y%26%3D%C3%A9&c="),
            (Some(""), "b=x%20y%26%3D%C3%A9&c="),
            (Some("a=%zz&&=;+"), "a=%zz&&=;+&b=x%20y%26%3D%C3%A9&c="),
            (Some("b=1&a&b=2&c=3"), "a&c=3&b=x%20y%26%3D%C3%A9&c="),
            (Some("d=1"), "b=x%20y%26%3D%C3%A9&c="),
        ] {
            assert_eq!(changed(&all, before).as_deref(), Some(after), "{before:?}");
        }
        let none = query(&[], &[], &["d"]);
        assert_eq!(changed(&none, Some("d=1&d")), None);
        assert_eq!(changed(&none, Some("")).as_deref(), Some(""));
        assert_eq!(changed(&none, None), None);
    }

    #[test]
    fn no_spelling_slips_past_a_removal() {
        let none = query(&[], &[], &["is admin", "debug"]);
        for sneaky in ["debug", "debug=1", "%64ebug=1", "is+admin=1", "is%20admin", "is%20admin=a=b"] {
            assert_eq!(changed(&none, Some(sneaky)), None, "{sneaky}");
            assert_eq!(changed(&none, Some(&format!("a=1;{sneaky}"))).as_deref(), Some("a=1"), "{sneaky}");
            assert_eq!(changed(&none, Some(&format!("{sneaky}&a=1"))).as_deref(), Some("a=1"), "{sneaky}");
        }
    }

    proptest! {
        #[test]
        fn a_query_without_the_names_stays_as_it_is(text in "[ -\"$-~]{0,40}") {
            let none = query(&[], &[], &["not there"]);
            prop_assert_eq!(changed(&none, Some(&text)), Some(text));
        }

        #[test]
        fn nothing_of_the_name_is_left(text in "[ax=&;%61+]{0,30}") {
            let all = query(&[], &[], &["a"]);
            let left = changed(&all, Some(&text)).unwrap_or_default();
            prop_assert!(pieces(&left).all(|(_, piece)| !is(piece, "a")), "{text} {left}");
        }
    }
}
